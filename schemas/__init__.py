"""The facts that travel: events, topics, their codec and the subject token. Imports nothing of ours, does no I/O."""
