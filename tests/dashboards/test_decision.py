"""The decision in words and HTML: plain, complete in both languages, safe with hostile data."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.components import decision as parts
from dashboards.facts import Decision
from dashboards.light_words import lights
from dashboards.texts import Words
from dashboards.verdict_words import TONES, banner
from pipeline.rows import CHECKS, Verdict
from tests.support.decisions import read_decision
from tests.support.snapshots import CASES, write_cases

JARGON = re.compile(
    r"(?i:\b(p-?value|confiden\w*|significan\w*|hypothes\w*|null|SRM|sample ratio|interval"
    r"|variance|nan)\b)|置信|显著|假设检验|方差|\bNone\b"
)
VOID = {"br", "img", "hr"}


class Outline(HTMLParser):
    """Tags in use, text, and whether every tag is closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember the tag."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It must be the last one opened."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Remember the text."""
        self.words.append(data)


@pytest.fixture(scope="module")
def decisions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Decision]:
    """Every case, evaluated and published by the product."""
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder, *CASES)
    return {name: read_decision(folder, name) for name in CASES}


def whole(words: Words, decision: Decision) -> str:
    """All parts of the page."""
    zone = ZoneInfo("Asia/Shanghai")
    return "".join(
        (
            parts.head(words, decision),
            parts.verdict(words, decision, decision.info.snapshot_at_ms),
            parts.rule(words, decision, zone),
            parts.trust(words, decision),
            parts.results(words, decision),
            parts.texts(words, decision),
            parts.foot(words, decision, zone),
        )
    )


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", CASES)
def test_every_state_is_told_plainly(
    decisions: dict[str, Decision], name: str, language: str
) -> None:
    """A page for each verdict and reason, without statistics words and without holes."""
    words, decision = Words(language), decisions[name]
    told = banner(words, decision, decision.info.snapshot_at_ms)
    assert decision.verdict is not None
    assert told.tone == TONES[decision.verdict.verdict]
    said = " ".join(filter(None, (told.say, told.why, told.big, told.lead, *told.details)))
    assert not JARGON.search(said)
    assert "{" not in said
    assert "  " not in said
    page = Outline(whole(words, decision))
    assert page.open == []
    assert not JARGON.search(" ".join(page.words))


@pytest.mark.parametrize(
    ("name", "say", "big"),
    [
        ("ship", "Ship B", "+¥6,400"),
        ("keep", "Keep A", "+¥9,600"),
        ("stop", "Stop B", "+4.22 pts"),
        ("equal", "No difference that matters", "−¥2,658 to +¥2,871"),
        ("split", "Do not trust these numbers", "No figure"),
        ("unusable", "This plan cannot be evaluated", "No figure"),
        ("collecting", "Collecting results", "0%"),
    ],
)
def test_the_banner_says_what_to_do_and_what_it_is_worth(
    decisions: dict[str, Decision], name: str, say: str, big: str
) -> None:
    """Profit of 0.3 × ¥80 × (480 − 360)/9,000 = ¥0.32 a head, times 20,000 people."""
    told = banner(Words("en"), decisions[name], decisions[name].info.snapshot_at_ms)
    assert (told.say, told.big) == (say, big)


def test_seconds_count_down_while_collecting(decisions: dict[str, Decision]) -> None:
    """The wait shrinks with the clock of the page and ends in words, not below zero."""
    decision = decisions["collecting"]
    at_ms = decision.info.snapshot_at_ms
    leads = [banner(Words("en"), decision, at_ms + s * 1000).lead for s in (0, 10, 60)]
    assert leads == ["at least 31 s left", "at least 21 s left", "any moment now"]
    assert banner(Words("en"), decision, at_ms).progress == 0


def test_the_numbers_in_the_banner_are_the_newest(decisions: dict[str, Decision]) -> None:
    """A verdict keeps its first evidence; the sentence is made from the rows of this snapshot."""
    decision = decisions["ship"]
    assert decision.verdict is not None
    old = msgspec.structs.replace(decision.verdict, evidence={"effect_size": -99})
    again = Decision(**{**vars_of(decision), "verdict": old})
    assert banner(Words("en"), again, 0) == banner(Words("en"), decision, 0)


def test_a_code_of_a_newer_worker_still_makes_a_sentence(decisions: dict[str, Decision]) -> None:
    """Unknown reasons fall back to the verdict."""
    decision = decisions["ship"]
    verdict = msgspec.structs.replace(verdict_of(decision), reason="brand_new")
    told = banner(Words("en"), Decision(**{**vars_of(decision), "verdict": verdict}), 0)
    assert (told.say, told.tone) == ("Ship B", "good")


@pytest.mark.parametrize("name", [name for name in CASES if name != "unusable"])
def test_there_is_a_light_for_every_check(decisions: dict[str, Decision], name: str) -> None:
    """Each check has its light and proof; that of the covariate only where the plan has one."""
    shown = lights(Words("en"), decisions[name])
    has_covariate = decisions[name].campaign.covariate is not None
    assert len(shown) == len(CHECKS) - (not has_covariate)
    assert all(light.title and light.proof for light in shown)


def test_lost_records_are_named_and_never_said_to_be_repairable(
    decisions: dict[str, Decision],
) -> None:
    """How many of which kind at most, beside how many were counted."""
    words, lost = Words("en"), decisions["lost"]
    told = banner(words, lost, 0)
    assert (told.say, told.tone) == ("Do not trust these numbers", "bad")
    assert told.why.startswith("Up to 4,000 delivery receipts of this campaign were deleted")
    assert "cannot be brought back" in told.lead
    shown = {light.title: (light.status, light.proof) for light in lights(words, lost)}
    assert shown["Records lost"] == ("bad", "up to 4,000 delivery receipts")
    few = {
        light.title: (light.status, light.proof) for light in lights(words, decisions["lost_few"])
    }
    assert few["Records lost"] == ("warn", "up to 400 delivery receipts")
    whole = {light.title: light.proof for light in lights(words, decisions["ship"])}
    assert whole["Nothing lost"] == "all read in time"


def test_live_numbers_are_marked_and_not_coloured(decisions: dict[str, Decision]) -> None:
    """Nobody takes a lead of half-time for a result."""
    live = parts.results(Words("en"), decisions["collecting"])
    done = parts.results(Words("en"), decisions["ship"])
    assert live.count("live, not final") == 3
    assert "c-good" not in live
    assert "live, not final" not in done
    assert "c-good" in done


def test_the_holdout_shows_only_what_it_can_have(decisions: dict[str, Decision]) -> None:
    """Nobody of the holdout was sent a message."""
    funnel = parts.results(Words("en"), decisions["ship"])
    assert funnel.count('<td class="none">') == 5
    without = parts.results(Words("en"), decisions["no_holdout"])
    assert 'class="none"' not in without
    assert "No holdout" in without
    assert "No holdout" not in funnel


def test_a_text_that_costs_more_is_named(decisions: dict[str, Decision]) -> None:
    """Two segments instead of one."""
    page = parts.results(Words("en"), decisions["no_holdout"])
    assert "B costs 2 times as much as A" in page


def test_every_arm_is_in_every_part(decisions: dict[str, Decision]) -> None:
    """Four variants: four lines in each card, three in each group of the plot."""
    page = parts.results(Words("en"), decisions["four"])
    for arm in ("A", "B", "emoji", "long-name-of-a-variant-of-32-cha"):
        assert page.count(f"</span>{arm}</i>") == 4
        assert page.count(f'<span class="arm">{arm}</span>') == 7
        assert page.count(f'<div class="l"><b>{arm}</b></div>') == (0 if arm == "A" else 4)


@pytest.fixture(scope="module")
def ship(decisions: dict[str, Decision]) -> Callable[[], Decision]:
    """Behind a function: hypothesis writes out the arguments of a test, however long they are."""
    return lambda: decisions["ship"]


HOSTILE = st.text(
    st.sampled_from("<>&\"'{}$*_`[]()/\\ascript=onerr\n\u202e中文🎉"), min_size=1, max_size=24
)


@given(name=HOSTILE, template=HOSTILE, variant=HOSTILE, fault=HOSTILE, hash_=HOSTILE)
def test_nothing_from_data_becomes_html(
    ship: Callable[[], Decision], name: str, template: str, variant: str, fault: str, hash_: str
) -> None:
    """Names, texts and reasons of others are shown as they are written, never run."""
    plain = ship()
    replace = msgspec.structs.replace
    verdict = replace(
        verdict_of(plain),
        verdict="do_not_trust",
        reason="plan_unusable",
        variant_id=variant,
        evidence={"fault": fault},
    )
    hostile = Decision(
        plain.info,
        replace(plain.campaign, campaign_id=name, currency=name, plan_hash=hash_),
        [replace(v, variant_id=v.variant_id + variant, template=template) for v in plain.variants],
        [replace(r, variant_id=r.variant_id + variant) for r in plain.results],
        [replace(c, treatment=c.treatment + variant) for c in plain.comparisons],
        plain.checks,
        verdict,
    )
    found, usual = Outline(whole(Words("en"), hostile)), Outline(whole(Words("en"), plain))
    assert found.open == []
    assert found.tags <= usual.tags
    assert found.attributes <= usual.attributes
    assert template in "".join(found.words)


def verdict_of(decision: Decision) -> Verdict:
    """The verdict, which is there."""
    assert decision.verdict is not None
    return decision.verdict


def vars_of(decision: Decision) -> dict[str, object]:
    """The fields of a decision."""
    names = ("info", "campaign", "variants", "results", "comparisons", "checks", "verdict")
    return {name: getattr(decision, name) for name in names}


def test_the_file_of_cases_is_what_the_worker_writes(tmp_path: Path) -> None:
    """The states come from the product's own evaluation, one campaign each."""
    write_cases(tmp_path, "ship", "open")
    assert read_decision(tmp_path, "ship").verdict != read_decision(tmp_path, "open").verdict


@pytest.mark.parametrize("language", ["en", "zh"])
def test_segments_say_whether_they_differ_by_more_than_chance(
    decisions: dict[str, Decision], language: str
) -> None:
    """One sentence per attribute; colour only where it is clear; the rest comes last."""
    words = Words(language)
    unlike, alike = (parts.results(words, decisions[name]) for name in ("segments", "alike"))
    assert words("segments.unequal", treatment="B") in unlike
    assert words("segments.unknown") in unlike
    assert words("segments.equal") in alike
    cards = unlike[unlike.index("segs") :]
    assert cards.count('class="c-good"') == 1
    assert "<b>x</b>" not in cards
    assert cards.index("tier-2") < cards.index(words("segment.absent"))
    assert "segs" not in parts.results(words, decisions["ship"])


def test_the_frozen_plan_is_told_with_its_changes(decisions: dict[str, Decision]) -> None:
    """Version, cap, covariate and the family of several texts; a change stands in the head."""
    words, zone = Words("en"), ZoneInfo("UTC")
    changed = decisions["segments"]
    told = parts.rule(words, changed, zone)
    for part in ("¥10,000", "past_revenue", "version 2", "+¥0.320"):
        assert part in told
    assert "plan changed: version 2" in parts.head(words, changed)
    assert "plan changed" not in parts.head(words, decisions["ship"])
    four = decisions["four"]
    for family in ("Holm", "Bonferroni", "Benjamini", "Dunnett"):
        code = {"Benjamini": "bh"}.get(family, family.lower())
        campaign = msgspec.structs.replace(four.campaign, family=code)
        assert family in parts.rule(
            words, Decision(**{**vars_of(four), "campaign": campaign}), zone
        )
    assert "Holm" not in parts.rule(words, decisions["ship"], zone)
