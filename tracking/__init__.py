"""The HTTP edge: short links and the conversion webhook."""
