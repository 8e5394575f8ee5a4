"""`smslab trace`: one message through an SMSC, step by step, with times.

`model` types · `messages` what is sent · `conversation` which answer and receipt is whose ·
`advice` what to do · `masks` what is not shown · `run` the socket · `show` lines · `command`.
"""
