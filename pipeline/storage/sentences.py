"""The sentences under the fields of `pipeline.rows`, which become comments in SQL."""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import lru_cache

from pipeline.rows import Row


def field_sentence(row_type: type[Row], field: str) -> str:
    """The string that stands under a field.

    Raises:
        KeyError: If there is none.
    """
    return _sentences(row_type.__module__)[row_type.__name__, field]


def plain(text: str) -> str:
    """A docstring in one line."""
    return " ".join(text.split())


@lru_cache
def _sentences(module: str) -> dict[tuple[str, str], str]:
    """(class, field) → sentence, from the source: Python does not keep strings under fields."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    found = {}
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for field, below in zip(owner.body, owner.body[1:], strict=False):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[owner.name, name] = plain(text)
    return found
