"""The `smslab` command and the local stack."""
