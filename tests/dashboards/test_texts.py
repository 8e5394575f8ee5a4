"""The tables of sentences: both languages say the same things."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.texts import HTML_LANGUAGES, LANGUAGES, TEXTS, Words
from pipeline.rows import CHECKS, LightStatus, VerdictKind
from pipeline.verdict import REASONS

DASHBOARDS = Path(__file__).parents[2] / "dashboards"


def fields(text: str) -> list[str]:
    """The names in braces."""
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_languages_have_the_same_keys() -> None:
    """No sentence exists in one language only."""
    assert set(TEXTS) == set(LANGUAGES) == set(HTML_LANGUAGES) == {"en", "zh"}
    assert set(TEXTS["en"]) == set(TEXTS["zh"])


@pytest.mark.parametrize("key", TEXTS["en"])
def test_a_sentence_has_the_same_fields_in_every_language(key: str) -> None:
    """A number in English is not missing in Chinese."""
    assert set(fields(TEXTS["en"][key])) == set(fields(TEXTS["zh"][key]))
    assert all(text[key].strip() for text in TEXTS.values())


def test_chinese_is_translated() -> None:
    """A Chinese sentence has Chinese characters, or is nothing but a value or a command."""
    same = {
        key
        for key, text in TEXTS["zh"].items()
        if not re.search(r"[\u4e00-\u9fff]", re.sub(r"\{.*?\}", "", text))
    }
    assert all(
        key.endswith(".command") or fields(TEXTS["zh"][key]) or key == "list" for key in same
    )


@pytest.mark.parametrize("language", TEXTS)
def test_every_verdict_reason_and_light_has_words(language: str) -> None:
    """What `evaluate` can say is said in every language."""
    words = Words(language)
    assert set(REASONS) == set(get_args(VerdictKind))
    for kind, reasons in REASONS.items():
        assert words.has(f"say.{kind}")
        assert words.has(f"why.{kind}")
        assert all(words.has(f"why.{reason}") for reason in reasons)
    assert all(words.has(f"status.{status}") for status in get_args(LightStatus))
    assert all(words.has(f"light.{c}") and words.has(f"light.{c}.off") for c in CHECKS)


def test_every_text_is_used() -> None:
    """A sentence that neither a page nor a command says is a leftover."""
    folders = DASHBOARDS, DASHBOARDS.parent / "smslab"
    found = (path for folder in folders for path in folder.rglob("*.py"))
    sources = [path for path in found if path.parent.name != "texts"]
    code = "\n".join(path.read_text() for path in [*sources, DASHBOARDS / "texts" / "__init__.py"])
    literals = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_0-9]+)*)["']""", code))
    prefixes = re.findall(r"""f["']([a-z_]*\.?[a-z_]*)\.?\{""", code)
    patterns = re.findall(r"""f["']((?:[a-z_.]|\{[^}]*\})+)["']""", code)
    dynamic = [re.sub(r"\\\{.*?\\\}", r"[\\w.]+", re.escape(pattern)) for pattern in patterns]
    assert prefixes
    for key in TEXTS["en"]:
        is_dynamic = any(re.fullmatch(pattern, key) for pattern in dynamic)
        assert key in literals or is_dynamic or key.startswith("topic."), key


def test_an_unknown_code_gets_a_general_sentence() -> None:
    """A worker newer than the page does not break it."""
    assert Words("en").first("why.brand_new", "why.your_call") == TEXTS["en"]["why.your_call"]


@given(seconds=st.floats(-10, 1e9))
def test_a_duration_has_at_most_two_units(seconds: float) -> None:
    """People read `1 h 5 min`, not 3,912 s."""
    text = Words("en").duration(seconds)
    assert re.fullmatch(r"\d+ (d|h|min|s)( \d+ (h|min|s))?", text)


def test_durations() -> None:
    """The largest unit, and the next where the first is small."""
    words = Words("en")
    found = [words.duration(s) for s in (0, 59.6, 90, 3_900, 36_000, 5 * 86_400)]
    assert found == ["0 s", "1 min", "1 min 30 s", "1 h 5 min", "10 h", "5 d"]
