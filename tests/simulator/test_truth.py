"""The audience and the ledger, without network."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.campaign_file import LINK, parse_campaign
from campaigns.template import render
from schemas.events import HOLDOUT
from schemas.subject import SubjectKey, Tokenizer
from simulator.effects import EffectsError, parse_effects
from simulator.ledger import Ledger, read_totals
from simulator.messages import Assembler
from simulator.people import read_people, write_audience
from simulator.reactions import handling, organic, reactions
from simulator.recognise import Recogniser
from smpp_bridge.protocol import constants
from smpp_bridge.protocol.pdu import SubmitSm
from smpp_bridge.protocol.text import encode_text
from tests.campaigns.test_campaign_file import EXAMPLE

EFFECTS_TEXT = (Path(__file__).parents[2] / "examples/double11/effects.yaml").read_text("utf-8")
EFFECTS = parse_effects(EFFECTS_TEXT)
CAMPAIGN = parse_campaign(EXAMPLE)
NUMBERS = [f"86138{number:08d}" for number in range(20_000)]
NAME = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1)


def near(count: int, trials: int, rate: float) -> bool:
    """Within 4 standard errors."""
    return abs(count - trials * rate) <= 4 * math.sqrt(trials * rate * (1 - rate))


@pytest.mark.parametrize("variant_id", ["A", "B"])
def test_people_behave_at_the_true_rates(variant_id: str) -> None:
    """Over many people the drawn rates are those of the file."""
    truth = EFFECTS.variants[variant_id]
    all_ = [reactions(number, variant_id, EFFECTS, seed=3) for number in NUMBERS]
    clicks = [r for r in all_ if r.click_delay_s is not None]
    bought = [r for r in clicks if r.bought_after_click is not None]
    assert near(len(clicks), len(NUMBERS), truth.click_rate)
    assert near(len(bought), len(clicks), truth.conversion_rate)
    assert near(sum(r.opt_out_delay_s is not None for r in all_), len(NUMBERS), truth.opt_out_rate)
    handled = [handling(number, variant_id, EFFECTS, seed=3) for number in NUMBERS]
    assert near(sum(h.is_delivered for h in handled), len(NUMBERS), truth.delivery_rate)
    buys = [organic(number, EFFECTS, seed=3) for number in NUMBERS]
    assert near(sum(b is not None for b in buys), len(NUMBERS), EFFECTS.everyone.organic_rate)


def test_the_same_person_does_the_same_whatever_the_order() -> None:
    """A draw depends on seed and number only, so a run can be repeated."""
    forward = [reactions(n, "A", EFFECTS, seed=1) for n in NUMBERS[:50]]
    backward = [reactions(n, "A", EFFECTS, seed=1) for n in reversed(NUMBERS[:50])]
    assert forward == backward[::-1]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("reject_rate: 0.004", "reject_rate: 4", "operator.reject_rate: 4 must be a number from 0"),
        (
            "organic_delay: [2, 20]",
            "organic_delay: [20, 2]",
            "everyone.organic_delay: .* must rise",
        ),
        ("    bot_rate: 0.030\n", "", "variants.A.bot_rate: is missing"),
    ],
)
def test_a_mistake_in_the_effects_is_a_sentence(old: str, new: str, sentence: str) -> None:
    """Each names where it is and the rule."""
    with pytest.raises(EffectsError, match=sentence):
        parse_effects(EFFECTS_TEXT.replace(old, new))


@given(NAME, NAME, st.sampled_from(["A", "B"]))
def test_a_received_text_tells_its_variant_and_link(name: str, shop: str, variant: str) -> None:
    """Whatever the merge values, even long ones in several parts, the variant is recognised."""
    template = next(v.template for v in CAMPAIGN.variants if v.variant_id == variant)
    link = "http://127.0.0.1:8090/abcdefghij"
    text = render(template, {"用户名": name, "店铺名": shop, LINK: link})
    encoded = encode_text(text, reference=3)
    assembler = Assembler()
    esm_class = constants.ESM_UDHI if encoded.has_udh else 0
    joined = [
        assembler.add(
            SubmitSm(esm_class=esm_class, data_coding=encoded.data_coding, short_message=part)
        )
        for part in encoded.parts
    ]
    assert joined[:-1] == [None] * (len(encoded.parts) - 1)
    found = Recogniser(CAMPAIGN).recognise(joined[-1] or "")
    assert found is not None
    assert (found.variant_id, found.link) == (variant, link)


def test_a_made_audience_is_read_back_without_its_bad_rows(tmp_path: Path) -> None:
    """Good rows become people with arms; bad ones are left out."""
    path = tmp_path / "audience.csv"
    write_audience(path, 2000, seed=5, bad_rows=7)
    assert len(path.read_text("utf-8").splitlines()) == 1 + 2000 + 7
    people = list(read_people(path, CAMPAIGN, Tokenizer(SubjectKey("k1", bytes(32)))))
    assert len(people) == 2000
    assert near(sum(p.variant_id == HOLDOUT for p in people), 2000, CAMPAIGN.holdout)


def test_the_ledger_counts_people_once_and_adds_money(tmp_path: Path) -> None:
    """Two purchases of one person are one conversion and their sum; a repeated id adds nothing."""
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    for row in (1, 2):
        ledger.write("assigned", row=row, variant_id="A", at_ms=1)
    for number, value in (("1", 500), ("2", 300), ("2", 300)):
        ledger.write(
            "converted", row=1, variant_id="A", at_ms=2, value_minor=value, conversion_id=number
        )
    ledger.write(
        "refunded", row=1, variant_id="A", at_ms=3, value_minor=300, conversion_id="2-refund"
    )
    ledger.write("assigned", row=3, variant_id=HOLDOUT, at_ms=1)
    ledger.close()
    totals = read_totals(path)
    assert totals["A"]["assigned"] == 2
    assert totals["A"]["converted"] == 1
    assert (totals["A"]["revenue_minor"], totals["A"]["refunded_minor"]) == (800, 300)
    assert totals["total"]["assigned"] == 3


def test_a_purchase_after_the_window_is_told_but_not_counted(tmp_path: Path) -> None:
    """The campaign can take no credit for it."""
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.write("assigned", row=1, variant_id="A", at_ms=1)
    ledger.write(
        "converted",
        row=1,
        variant_id="A",
        at_ms=9,
        value_minor=5,
        conversion_id="c",
        in_window=False,
    )
    ledger.close()
    totals = read_totals(path)["A"]
    assert (totals["assigned"], totals["converted"], totals["revenue_minor"]) == (1, 0, 0)


def test_a_line_that_is_no_fact_is_told(tmp_path: Path) -> None:
    """Truth is never guessed."""
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"fact": "assi"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="line 1 is not a fact"):
        read_totals(path)


def test_a_torn_line_is_not_read_and_is_cut_off_by_the_next_simulator(tmp_path: Path) -> None:
    """Its fact was never told to anybody."""
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.write("assigned", row=1, variant_id="A", at_ms=1)
    ledger.close()
    with path.open("a", encoding="utf-8") as file:
        file.write('{"fact": "assi')
    assert read_totals(path)["A"]["assigned"] == 1
    again = Ledger(path)
    again.write("assigned", row=2, variant_id="A", at_ms=1)
    again.close()
    assert read_totals(path)["A"]["assigned"] == 2
