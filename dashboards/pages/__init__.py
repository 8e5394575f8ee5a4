"""The pages: they ask the reader and lay out components."""
