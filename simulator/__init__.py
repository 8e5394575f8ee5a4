"""An operator (SMSC) and an audience with known true effects, and the ledger of what happened."""
