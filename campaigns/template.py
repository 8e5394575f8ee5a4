"""Message templates: `{{field}}` and `{{field | default: "text"}}`. Nothing else is special."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

_TAG: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INSIDE: Final = re.compile(r"\s*([^\W\d][\w ]*?)\s*(?:\|\s*default:\s*\"([^\"]*)\"\s*)?")


class TemplateError(ValueError):
    """A template that cannot be read; the message says where and what is expected."""


class MissingField(ValueError):  # noqa: N818 - it names the data, not a failure of ours
    """A recipient lacks a merge field that has no default."""

    def __init__(self, field: str) -> None:
        super().__init__(f"merge field {field!r} is empty and has no default")
        self.field = field


class Field(NamedTuple):
    """A merge field; `default` is `None` when there is none."""

    name: str
    default: str | None


def fields_of(template: str) -> tuple[Field, ...]:
    """The merge fields in order.

    Raises:
        TemplateError: If a tag is not closed or not readable.

    Examples:
        >>> fields_of('{{name}}, from {{shop | default: "us"}}')
        (Field(name='name', default=None), Field(name='shop', default='us'))
    """
    return tuple(part for part in _parts(template) if isinstance(part, Field))


def literals_and_fields(template: str) -> tuple[str | Field, ...]:
    """The template cut into fixed texts and fields."""
    return _parts(template)


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill a template.

    Raises:
        MissingField: If a field without default is absent or empty.
    """
    return "".join(
        part if isinstance(part, str) else _value(part, values) for part in _parts(template)
    )


def _value(field: Field, values: Mapping[str, str]) -> str:
    value = values.get(field.name) or field.default
    if value is None:
        raise MissingField(field.name)
    return value


@lru_cache(maxsize=256)
def _parts(template: str) -> tuple[str | Field, ...]:
    return tuple(_cut(template))


def _cut(template: str) -> Iterator[str | Field]:
    position = 0
    for tag in _TAG.finditer(template):
        yield from _literal(template[position : tag.start()])
        inside = _INSIDE.fullmatch(tag[1])
        if inside is None:
            raise TemplateError(
                f'{tag[0]!r} must be {{{{field}}}} or {{{{field | default: "text"}}}}.'
            )
        yield Field(inside[1], inside[2])
        position = tag.end()
    yield from _literal(template[position:])


def _literal(text: str) -> Iterator[str]:
    if "{{" in text or "}}" in text:
        raise TemplateError(f"{text[:40]!r} has an unpaired {{{{ or }}}}.")
    if text:
        yield text
