"""Every sentence of the pages, in every language: `{language: {key: text}}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dashboards.texts import en, zh

TEXTS: Final = {"en": en.TEXTS, "zh": zh.TEXTS}
LANGUAGES: Final = {"en": "EN", "zh": "中文"}
"""Code → what the switch says."""
HTML_LANGUAGES: Final = {"en": "en", "zh": "zh-Hans"}
_DURATIONS: Final = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language."""

    language: str = "en"

    def __call__(self, key: str, **fields: object) -> str:
        """The text of a key with its fields filled in.

        Raises:
            KeyError: If the key or a field is unknown: a defect that a test must find.
        """
        return TEXTS[self.language][key].format_map(fields)

    def first(self, *keys: str, **fields: object) -> str:
        """The text of the first key that exists: codes of a newer worker get a general one."""
        known = next((key for key in keys if key in TEXTS[self.language]), keys[-1])
        return self(known, **fields)

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in TEXTS[self.language]

    def duration(self, seconds: float) -> str:
        """A length of time in its largest unit; two units where it matters."""
        whole = max(0, round(seconds))
        for position, (size, unit) in enumerate(_DURATIONS):
            if whole >= size or size == 1:
                number, rest = divmod(whole, size)
                text = self(f"unit.{unit}", n=number)
                if number < 10 and rest and position + 1 < len(_DURATIONS):
                    smaller, name = _DURATIONS[position + 1]
                    if rest >= smaller:
                        text += " " + self(f"unit.{name}", n=rest // smaller)
                return text
        raise AssertionError("the last unit takes everything")

    @property
    def gap(self) -> str:
        """What stands between two sentences."""
        return "" if self.language == "zh" else " "

    @property
    def html(self) -> str:
        """The value of the `lang` attribute."""
        return HTML_LANGUAGES[self.language]
