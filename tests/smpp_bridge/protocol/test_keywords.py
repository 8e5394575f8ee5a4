"""Opt-out, opt-in and help in the words and languages that people use."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.protocol.keywords import _PHRASES, _WORDS, Reply, classify_reply

_LISTED = (
    "STOP STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT ARRET PARE SAIR BAJA R T TD "
    "退订 停止订阅 拒收 回复R 回TD 回T बंद стоп"
)
OPT_OUTS = _LISTED.split()
"""Of Twilio's list, the FCC's, and those of Brazil, France, Spain, China, India, Russia."""


@pytest.mark.parametrize("word", OPT_OUTS)
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        " {} ",
        "{}.",
        "“{}”",
        "‘{}’!",
        "\ufeff{}",
        "*{}*",
        "_{}_",
        "{}\r\n",
        "🛑 {} 🛑",
        "({})",
    ],
)
def test_an_opt_out_is_found_in_every_dress(word: str, form: str) -> None:
    """Case, quotes, blanks, marks and emoji around the word do not matter."""
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)
    for spelling in (word, word.lower(), word.title(), wide, unicodedata.normalize("NFD", word)):
        reply = classify_reply(form.format(spelling))
        assert reply.wish == "opt_out"
        assert reply.is_whole_message
        assert not reply.is_first_word


@pytest.mark.parametrize(
    ("text", "wish", "match"),
    [
        ("Opt out", "opt_out", "whole"),
        ("opt-out", "opt_out", "whole"),
        ("S T O P", "opt_out", "whole"),
        ("st\u200bop", "opt_out", "whole"),
        ("ARRÊT", "opt_out", "whole"),
        ("No Más", "opt_out", "whole"),
        ("STOP PLEASE", "opt_out", "first_word"),
        ("stop sending me this", "opt_out", "first_word"),
        ("Stop 36111", "opt_out", "first_word"),
        *((text, "opt_out", "first_word") for text in ("退订谢谢", "退订0000", "TD谢谢")),
        *((text, "opt_out", "whole") for text in ("T退订", "TD退订", "取消订阅")),
        ("cancel please", "opt_out", "first_word"),
        ("end these texts", "opt_out", "first_word"),
        ("please do not text me again", "opt_out", "phrase"),
        ("Don’t text me", "opt_out", "phrase"),
        ("you have the wrong number", "opt_out", "phrase"),
        ("take me off your list", "opt_out", "phrase"),
        ("请不要再发了", "opt_out", "phrase"),
        ("UNSTOP", "opt_in", "whole"),
        ("START", "opt_in", "whole"),
        ("Yes!", "opt_in", "whole"),
        ("HELP", "help", "whole"),
        ("帮助", "help", "whole"),
        ("AJUDA", "help", "whole"),
        ("help me", "help", "first_word"),
    ],
)
def test_whole_message_first_word_and_phrase_are_told_apart(
    text: str, wish: str, match: str
) -> None:
    """How sure the match is goes with it."""
    reply = classify_reply(text)
    assert (reply.wish, reply.match) == (wish, match)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "nonstop fun",
        "tdd1",
        "取消订单",
        "我要订票",
        "停止线",
        "Where is the bus stop?",
        "Don't stop",
        "stop by tomorrow",
        "End of the month?",
        "cancel my order",
        "start at 9?",
        "yesterday",
        "r u there",
        "T for two",
        "no",
        "ok thanks",
        "helpful",
        "🙂",
    ],
)
def test_a_word_inside_a_sentence_is_no_keyword(text: str) -> None:
    """Not `includes("stop")`: everyday words in everyday sentences ask for nothing."""
    assert classify_reply(text) == Reply()


@given(st.text(max_size=100))
def test_any_text_gives_only_words_of_our_tables(text: str) -> None:
    """Nothing of what the person wrote leaves through the keyword."""
    known = {word for rows in _WORDS.values() for words in rows.values() for word in words.split()}
    known |= {phrase for phrases in _PHRASES.values() for phrase in phrases.split("|")}
    assert classify_reply(text).keyword in known | {None}
