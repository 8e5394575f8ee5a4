"""What a person's reply asks for: opt out, opt in, help. Tables by language, no text leaves.

Sources: CTIA and Twilio keyword lists; FCC 47 CFR 64.1200(a)(10) (in force 2025-04-11: any
reasonable wording counts); MIIT practice (回复R/T/TD退订); national practice for the others.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Wish = Literal["opt_out", "opt_in", "help"]
Match = Literal["whole", "first_word", "phrase"]

_WORDS: Final[dict[Wish, dict[str, str]]] = {
    "opt_out": {
        "en": "stop stopall unsubscribe cancel end quit revoke optout remove",
        "zh": "r t td tdd n 退订 退定 退訂 拒收 取消 停止 回复r 回复t 回复td 回r 回t 回td 拒收r "
        "t退订 td退订 r退订 n退订 停止订阅 取消订阅 取消訂閱",
        "de": "stopp abmelden abbestellen",
        "es": "baja alto parar salir cancelar nomas",
        "fr": "arret arreter desabonner desabonnement",
        "pt": "pare sair remover descadastrar",
        "it": "basta ferma annulla disiscrivi cancella",
        "nl": "afmelden stoppen",
        "hi": "बंद रोकें band roko bandkaro",
        "ja": "配信停止 解除",
        "ko": "수신거부 거부 중지",
        "ru": "стоп отписаться отписка",
        "tr": "iptal dur",
        "id": "berhenti henti",
        "ar": "إيقاف ايقاف إلغاء الغاء توقف",
    },
    "opt_in": {
        "en": "start yes unstop subscribe optin",
        "zh": "y 订阅 訂閱 恢复",
        "es": "alta iniciar",
        "fr": "oui",
        "pt": "sim iniciar",
        "hi": "शुरू",
    },
    "help": {
        "en": "help info",
        "zh": "帮助 幫助",
        "de": "hilfe",
        "es": "ayuda",
        "fr": "aide",
        "pt": "ajuda",
        "it": "aiuto",
        "hi": "मदद",
    },
}
_PHRASES: Final[dict[str, str]] = {
    "en": "do not text|do not message|do not contact|dont text|dont message|dont contact|"
    "stop texting|stop messaging|stop sending|no more texts|no more messages|no more sms|"
    "remove me|take me off|wrong number|leave me alone|opt me out|unsubscribe me",
    "es": "no mas|no me manden|no me envien|dar de baja",
    "fr": "ne plus recevoir|desabonnez moi",
    "pt": "nao quero receber|me remova|cancelar inscricao",
    "de": "keine sms|keine werbung|nicht mehr schreiben",
    "zh": "不要再发|别再发|不要发|别发了|勿扰|我要退订|请退订|退订短信|不想收到",
}
"""Opt-outs in free words: whole words in this order anywhere; Chinese anywhere in the text."""
_WHOLE_ONLY: Final = (
    "end quit cancel remove revoke cancelar cancella salir sair alto parar basta dur "
    "取消 停止 解除 yes oui sim start info subscribe iniciar alta band"
)
"""Everyday words: as the first of several they count only before one of `_COMPANY`."""
_COMPANY: Final = (
    "please pls plz now all everything this these it me texts text messages message sms msgs "
    "alerts subscription promotions promos thanks thank"
)
_NO_KEYWORD: Final = ("stop by", "stop at", "stop in")
"""Starts of sentences in which `stop` means a visit."""


_APOSTROPHES: Final = dict.fromkeys(map(ord, "'’‘`´"))


@dataclass(frozen=True, slots=True)
class Reply:
    """The classified reply. `keyword` is only ever a word or phrase of our own tables."""

    keyword: str | None = None
    wish: Wish | None = None
    language: str | None = None
    match: Match | None = None

    @property
    def is_whole_message(self) -> bool:
        """Whether the keyword is all that was written: no doubt about it."""
        return self.match == "whole"

    @property
    def is_first_word(self) -> bool:
        """Whether more was written behind the keyword."""
        return self.match == "first_word"


def classify_reply(text: str) -> Reply:
    """Match the whole message, else its first word, else a phrase that asks to stop.

    Case, punctuation, blanks, accents, full-width letters, byte order marks and invisible
    characters do not matter. One-letter words count only as the whole message.

    Examples:
        >>> classify_reply(" “Stop.” ")
        Reply(keyword='stop', wish='opt_out', language='en', match='whole')
        >>> classify_reply("stop sending me this").match, classify_reply("nonstop fun").wish
        ('first_word', None)
        >>> classify_reply("R").wish, classify_reply("r u there").wish
        ('opt_out', None)
    """
    words = _words(text)
    if not words:
        return Reply()
    for key in (" ".join(words), "".join(words)):  # "opt out" and "S T O P"
        if key in _MEANING:
            return Reply(*_MEANING[key], match="whole")
    first = _first_of(words)
    if first is not None:
        return Reply(*_MEANING[first], match="first_word")
    return next(_phrases(words), Reply())


def classify_part(text: str, number: int) -> Reply:
    """What one part of a long message says for sure, as long as the others are not known.

    The first word is that of part 1, and it is whole if another follows; a phrase counts in
    every part. One that was cut in two is found in the whole text only.

    Examples:
        >>> classify_part("Stop. I told you ", 1).wish, classify_part("stop it now", 2).wish
        ('opt_out', None)
    """
    words = _words(text)
    first = _first_of(words) if number == 1 and words else None
    if first is not None and (len(words) > 1 or first != words[0]):
        return Reply(*_MEANING[first], match="first_word")
    return next(_phrases(words), Reply())


def _first_of(words: list[str]) -> str | None:
    """The keyword at the beginning, if it counts; Chinese goes on without a blank."""
    if _counts_as_first(words):
        return words[0]
    return next((key for key in _BEGINNINGS if _begins(words[0], key)), None)


def _begins(word: str, key: str) -> bool:
    return word.startswith(key) and (not key.isascii() or _is_han(word[len(key) : len(key) + 1]))


def _is_han(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


def _counts_as_first(words: list[str]) -> bool:
    first = words[0]
    if first not in _MEANING or len(first) == 1 or " ".join(words[:2]) in _NO_KEYWORD:
        return False
    return first not in _EVERYDAY or (len(words) > 1 and words[1] in _BESIDE)


def _phrases(words: list[str]) -> Iterator[Reply]:
    spaced = f" {' '.join(words)} "
    for phrase, language in _PHRASE_LANGUAGES.items():
        # Chinese has no blanks between words
        if (phrase if language == "zh" else f" {phrase} ") in spaced:
            yield Reply(phrase, "opt_out", language, "phrase")


def _words(text: str) -> list[str]:
    composed = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES)
    visible = "".join(c for c in composed if unicodedata.category(c) != "Cf")
    return "".join(c if _is_letter(c) else " " for c in _plain(visible)).split()


def _is_letter(character: str) -> bool:
    """Vowel signs of Indic scripts are marks, and parts of words."""
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def _plain(text: str) -> str:
    """Lower case, and Latin letters without their accents; other scripts keep their marks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(
        unicodedata.normalize("NFKD", c)[0] if "\u00c0" <= c <= "\u024f" else c for c in folded
    )


def _key(words: str) -> str:
    return " ".join(_words(words))


_MEANING: Final[dict[str, tuple[str, Wish, str]]] = {
    _key(word): (word, wish, language)
    for wish, languages in reversed(_WORDS.items())
    for language, words in reversed(languages.items())
    for word in words.split()
}
"""Of a word in several languages the first of the table counts."""
_EVERYDAY: Final = frozenset(_key(word) for word in _WHOLE_ONLY.split())
_BESIDE: Final = frozenset(_COMPANY.split())
_PHRASE_LANGUAGES: Final = {
    _key(phrase): language
    for language, phrases in _PHRASES.items()
    for phrase in phrases.split("|")
}
_BEGINNINGS: Final = sorted(
    (
        key
        for word in _WORDS["opt_out"]["zh"].split()
        if len(key := _key(word)) > 1 and key not in _EVERYDAY
    ),
    key=len,
    reverse=True,
)
"""Chinese opt-outs that count before more characters, the longest first."""
