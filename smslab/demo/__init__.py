"""`smslab demo`: the whole system on this machine, with a campaign whose truth is known."""
