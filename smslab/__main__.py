"""`python -m smslab` is the `smslab` command."""

from smslab.cli import main

main()
