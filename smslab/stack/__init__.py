"""The local stack: our processes as children, started in order, watched, stopped in reverse."""

from smslab.stack.children import Child, Stack

__all__ = ["Child", "Stack"]
