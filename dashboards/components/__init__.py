"""Pieces of a page; one function each."""
