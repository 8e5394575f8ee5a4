"""Summaries, intervals and tests. Pure."""
