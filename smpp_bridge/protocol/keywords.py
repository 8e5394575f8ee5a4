"""What a person's reply asks for: opt out, opt in, help. Tables by language, no text leaves.

Sources: CTIA and Twilio keyword lists; FCC 47 CFR 64.1200(a)(10) (in force 2025-04-11);
MIIT practice (回复R/T/TD退订).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

Wish = Literal["opt_out", "opt_in", "help"]

_WORDS: Final[dict[Wish, dict[str, str]]] = {
    "opt_out": {
        "en": "stop stopall unsubscribe cancel end quit revoke optout remove",
        "zh": "r t td tdd n 退订 退定 拒收 取消 停止",
        "de": "stopp abmelden",
        "es": "baja alto parar",
        "fr": "arret arrêt desabonner",
    },
    "opt_in": {"en": "start yes unstop subscribe", "zh": "y 订阅 恢复"},
    "help": {"en": "help info", "zh": "帮助", "de": "hilfe", "es": "ayuda", "fr": "aide"},
}
_MEANING: Final = {
    word: (wish, language)
    for wish, languages in _WORDS.items()
    for language, words in languages.items()
    for word in words.split()
}
_PHRASES: Final = {"opt out": "optout", "stop all": "stopall"}
_NOISE: Final = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class Reply:
    """The classified reply. `keyword` is only ever a word of our own tables."""

    keyword: str | None = None
    wish: Wish | None = None
    language: str | None = None


def classify_reply(text: str) -> Reply:
    """Match the whole message, else its first word; one-letter words only as whole message.

    Examples:
        >>> classify_reply(" “Stop.” ")
        Reply(keyword='stop', wish='opt_out', language='en')
        >>> classify_reply("R").wish, classify_reply("r u there").wish
        ('opt_out', None)
    """
    words = _NOISE.sub(" ", unicodedata.normalize("NFKC", text)).casefold().split()
    whole = " ".join(words)
    whole = _PHRASES.get(whole, whole)
    first = words[0] if words else ""
    for word in (whole, first if len(first) > 1 else ""):
        if word in _MEANING:
            wish, language = _MEANING[word]
            return Reply(word, wish, language)
    return Reply()
