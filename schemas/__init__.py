"""The facts that travel: events, topics, codec, subject token. Imports nothing of ours; no I/O."""
