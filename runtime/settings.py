"""Settings read from a mapping of environment variables, once, by the entry point. Pure.

A settings class is a frozen dataclass whose fields are made by `setting(...)`: variable name,
default, parser, rule. `read_settings` builds it and rejects unknown `SMS_*` variables, so a
misspelt name is an error and not a silent default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

PREFIX = "SMS_"
PROCESS_PREFIXES = (
    "SMS_BRIDGE_",
    "SMS_DASHBOARD_",
    "SMS_DISPATCH_",
    "SMS_SIMULATOR_",
    "SMS_TRACKING_",
    "SMS_WORKER_",
)
SHARED_VARIABLES = frozenset({"SMS_KAFKA", "SMS_SUBJECT_KEY", "SMS_SUBJECT_KEY_ID"})
_VARIABLE = "variable"
S = TypeVar("S")


class SettingsError(ValueError):
    """A setting is missing, unknown or breaks its rule. The message names it and the fix."""


@dataclasses.dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: how to read it and what it means."""

    name: str
    parse: Callable[[str], Any]
    help: str
    secret: bool = False


def setting(
    name: str,
    parse: Callable[[str], Any],
    help: str,  # noqa: A002 - the word that argparse and click use for it
    *,
    default: Any = dataclasses.MISSING,
    secret: bool = False,
) -> Any:
    """A dataclass field that is read from the environment variable `name`.

    `parse` raises ValueError with the rule ("must be …") when the text is not acceptable.
    Secrets stay out of `repr`.
    """
    metadata = {_VARIABLE: Variable(name, parse, help, secret)}
    if default is dataclasses.MISSING:
        return dataclasses.field(repr=not secret, metadata=metadata, kw_only=True)
    return dataclasses.field(repr=not secret, metadata=metadata, default=default, kw_only=True)


def variables_of(cls: type[Any]) -> dict[str, Variable]:
    """Field name → variable of a settings class."""
    return {
        field.name: field.metadata[_VARIABLE]
        for field in dataclasses.fields(cls)
        if _VARIABLE in field.metadata
    }


def read_settings(cls: type[S], environ: Mapping[str, str]) -> S:
    """Build `cls` from `environ`. Variables of sibling processes may stand in it too.

    Raises:
        SettingsError: If a variable is missing, unknown, or breaks its rule.
    """
    variables = variables_of(cls)
    _reject_unknown({variable.name for variable in variables.values()}, environ)
    values: dict[str, Any] = {}
    for field_name, variable in variables.items():
        text = environ.get(variable.name)
        if text is not None and text != "":
            values[field_name] = _parse(variable, text)
    missing = [
        variables[field.name].name
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if field.name in variables
        and field.name not in values
        and field.default is dataclasses.MISSING
    ]
    if missing:
        raise SettingsError(f"{missing[0]} is not set. {_help(variables, missing[0])}")
    try:
        return cls(**values)
    except SettingsError:
        raise
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _reject_unknown(names: set[str], environ: Iterable[str]) -> None:
    foreign = tuple(p for p in PROCESS_PREFIXES if not any(n.startswith(p) for n in names))
    for name in environ:
        is_ours = name.startswith(PREFIX) and not name.startswith(foreign)
        if is_ours and name not in names | SHARED_VARIABLES:
            raise SettingsError(f"{name} is not a setting. Known: {', '.join(sorted(names))}.")


def _parse(variable: Variable, text: str) -> Any:
    try:
        return variable.parse(text)
    except ValueError as error:
        shown = "(secret)" if variable.secret else f"{text!r}"
        raise SettingsError(f"{variable.name} == {shown}, {error}") from error


def _help(variables: Mapping[str, Variable], name: str) -> str:
    return next(variable.help for variable in variables.values() if variable.name == name)


def text(value: str) -> str:
    """Any text."""
    return value


def integer(low: int, high: int) -> Callable[[str], int]:
    """A whole number within [low, high]."""

    def parse(value: str) -> int:
        rule = f"must be a whole number from {low} to {high}."
        try:
            number = int(value)
        except ValueError:
            raise ValueError(rule) from None
        if not low <= number <= high:
            raise ValueError(rule)
        return number

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    """A decimal number within [low, high]."""

    def parse(value: str) -> float:
        rule = f"must be a number from {low} to {high}."
        try:
            result = float(value)
        except ValueError:
            raise ValueError(rule) from None
        if not low <= result <= high:
            raise ValueError(rule)
        return result

    return parse


def boolean(value: str) -> bool:
    """True or false."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if value.lower() not in words:
        raise ValueError("must be true or false.")
    return words[value.lower()]


def choice(*options: str) -> Callable[[str], str]:
    """One of the given words."""

    def parse(value: str) -> str:
        if value not in options:
            raise ValueError(f"must be one of {', '.join(options)}.")
        return value

    return parse


def secret_bytes(value: str) -> bytes:
    """A secret in hexadecimal, at least 16 bytes."""
    try:
        secret = bytes.fromhex(value)
    except ValueError:
        raise ValueError(
            "must be hexadecimal, e.g. the output of `openssl rand -hex 32`."
        ) from None
    if len(secret) < 16:
        raise ValueError("must be at least 32 hexadecimal digits (16 bytes).")
    return secret


def host_port(value: str) -> str:
    """`host:port`."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("must be host:port, e.g. 127.0.0.1:9092.")
    return value
