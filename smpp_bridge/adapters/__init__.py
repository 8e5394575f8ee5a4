"""Sockets and files of the bridge."""
