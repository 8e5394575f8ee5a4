"""Faust agents as plain async generators."""
