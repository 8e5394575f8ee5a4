"""Streamlit pages over `serve.duckdb`."""
