"""Settings from environment variables."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from runtime.settings import (
    SettingsError,
    boolean,
    choice,
    host_port,
    integer,
    number,
    read_settings,
    secret_bytes,
    setting,
)


@dataclass(frozen=True, slots=True)
class Example:
    """A settings class as the processes have them."""

    kafka: str = setting("SMS_KAFKA", host_port, "The broker, host:port.")
    window: int = setting("SMS_BRIDGE_WINDOW", integer(1, 100), "Unanswered PDUs.", default=10)
    key: bytes = setting("SMS_SUBJECT_KEY", secret_bytes, "Key.", default=b"", secret=True)


def test_defaults_and_values_are_read() -> None:
    """Set variables win, others keep their default."""
    read = read_settings(Example, {"SMS_KAFKA": "h:1", "PATH": "/bin", "SMS_BRIDGE_WINDOW": "7"})
    assert (read.kafka, read.window) == ("h:1", 7)
    assert read_settings(Example, {"SMS_KAFKA": "h:1"}).window == 10


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "SMS_KAFKA is not set. The broker, host:port."),
        ({"SMS_KAFKA": "nowhere"}, "SMS_KAFKA == 'nowhere', must be host:port"),
        ({"SMS_KAFKA": "h:1", "SMS_BRIDGE_WINDOW": "0"}, "must be a whole number from 1 to 100"),
        ({"SMS_KAFKA": "h:1", "SMS_BRIDGE_WINDWO": "9"}, "SMS_BRIDGE_WINDWO is not a setting"),
        ({"SMS_KAFKA": "h:1", "SMS_KAFKAA": "9"}, "SMS_KAFKAA is not a setting"),
    ],
)
def test_each_mistake_is_one_sentence_with_the_name(environ: dict[str, str], message: str) -> None:
    """Missing, broken and misspelt variables name themselves and the rule."""
    with pytest.raises(SettingsError, match=re.escape(message)):
        read_settings(Example, environ)


def test_variables_of_other_processes_may_stand_beside() -> None:
    """One environment file can serve all processes."""
    read_settings(Example, {"SMS_KAFKA": "h:1", "SMS_WORKER_DATA": "x", "SMS_SUBJECT_KEY_ID": "k"})


def test_secrets_are_never_shown() -> None:
    """Neither the representation nor an error message holds a secret."""
    good = {"SMS_KAFKA": "h:1", "SMS_SUBJECT_KEY": "ab" * 16}
    assert "abab" not in repr(read_settings(Example, good))
    with pytest.raises(SettingsError) as error:
        read_settings(Example, good | {"SMS_SUBJECT_KEY": "hunter2"})
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("parse", "good", "value", "bad"),
    [
        (boolean, "yes", True, "maybe"),
        (number(0, 1), "0.5", 0.5, "2"),
        (number(0, 1), "1", 1.0, "x"),
        (choice("a", "b"), "a", "a", "c"),
        (host_port, "::1:9", "::1:9", "h:99999"),
        (secret_bytes, "00" * 16, bytes(16), "00"),
        (integer(0, 9), "9", 9, "1.5"),
    ],
)
def test_parsers_take_the_good_and_name_the_rule_for_the_bad(
    parse: object, good: str, value: object, bad: str
) -> None:
    """Each parser's error starts with "must be"."""
    assert callable(parse)
    assert parse(good) == value
    with pytest.raises(ValueError, match=r"^must be"):
        parse(bad)
