"""The sans-I/O SMPP core: PDUs, session, timers, receipts, texts."""
