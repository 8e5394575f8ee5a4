"""Checked reading of nested mappings: every problem is found at once, each with path and rule."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

REQUIRED: Final = object()
Parse = Callable[[Any], Any]


class Key(NamedTuple):
    """One key of a mapping. `parse` raises ValueError with the rule ("must be …")."""

    parse: Parse
    default: Any = REQUIRED


class Problems:
    """What is wrong, as sentences."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def add(self, path: str, sentence: str) -> None:
        """Note one problem."""
        self.sentences.append(f"{path}: {sentence}")


def read_keys(value: Any, path: str, keys: Mapping[str, Key], problems: Problems) -> dict[str, Any]:
    """Read a mapping; unknown keys are problems, with the nearest known one suggested.

    Returns: What could be read; keys with a problem are absent.
    """
    where = path or "the file"
    if not isinstance(value, Mapping):
        problems.add(where, f"must be a mapping with {', '.join(keys)}.")
        return {}
    for unknown in [key for key in value if key not in keys]:
        near = difflib.get_close_matches(str(unknown), keys, 1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(keys)}."
        problems.add(_join(path, unknown), f"is not a known key; {hint}")
    found: dict[str, Any] = {}
    for name, key in keys.items():
        if value.get(name) is None:
            if key.default is REQUIRED:
                problems.add(_join(path, name), "is missing.")
            else:
                found[name] = key.default
            continue
        try:
            found[name] = key.parse(value[name])
        except ValueError as error:
            problems.add(_join(path, name), f"{value[name]!r} {error}")
    return found


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text.")
    return value


def number(low: float, high: float) -> Parse:
    """A number within [low, high]."""

    def parse(value: Any) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}.")
        return float(value)

    return parse


def whole(low: int, high: int) -> Parse:
    """A whole number within [low, high]."""

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}.")
        return value

    return parse


def one_of(*options: str) -> Parse:
    """One of the given words."""

    def parse(value: Any) -> str:
        if value not in options:
            raise ValueError(f"must be one of {', '.join(options)}.")
        return str(value)

    return parse


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of texts.")
    return tuple(value)


def anything(value: Any) -> Any:
    """Whatever it is; read further by the caller."""
    return value
