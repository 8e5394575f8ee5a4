"""DuckDB: the worker's private state and the published snapshot."""
