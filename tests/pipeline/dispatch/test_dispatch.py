"""The dispatcher: rows, plans, and what reaches Kafka."""

from __future__ import annotations

import csv
import uuid
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from campaigns.campaign_file import Campaign, parse_campaign
from campaigns.definition import definition_of
from pipeline.dispatch.audience import (
    AudienceError,
    Recipient,
    RejectedRow,
    e164,
    read_recipients,
)
from pipeline.dispatch.plan import Planned, Planner, link_token
from pipeline.dispatch.publish import Survey, dispatch, survey, write_rejected
from runtime.kafka import KafkaPublisher
from schemas.events import HOLDOUT, LinkIssued, MessageRequested, Plan, RecipientAssigned
from schemas.subject import SubjectKey, Tokenizer
from schemas.topics import LINK_ISSUED, OUTBOUND_REQUESTED, RECIPIENT_ASSIGNED
from tests.campaigns.test_campaign_file import EXAMPLE
from tests.support.topics import TopicReader, wait_until

SECRET = bytes(32)
TOKENIZER = Tokenizer(SubjectKey("k1", SECRET))
HEADER = ["msisdn", "用户名", "店铺名", "city_tier", "loyalty"]


@pytest.fixture
def campaign() -> Campaign:
    """The demo campaign under a name of this test alone."""
    return replace(parse_campaign(EXAMPLE), campaign_id=f"t{uuid.uuid4().hex[:10]}")


def audience(folder: Path, *rows: list[str]) -> Path:
    """A CSV audience."""
    path = folder / "audience.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def person(number: int) -> list[str]:
    """A good row."""
    return [f"+86138{number:08d}", f"用户{number}", "云店", "1", "gold"]


def test_bad_rows_are_rejected_with_reason_and_without_the_number(
    campaign: Campaign, tmp_path: Path
) -> None:
    """Every row is a recipient or a rejected row; the file of rejects is safe to pass on."""
    path = audience(
        tmp_path,
        person(1),
        ["not a number", "x", "y", "1", "gold"],
        ["+8613800000001", "again", "y", "1", "gold"],
        ["+8613800000002", "", "y", "1", "gold"],
        ["13800000003", "national", "y", "1", "gold"],
    )
    rows = list(read_recipients(campaign, path, TOKENIZER))
    assert [type(row) for row in rows] == [
        Recipient,
        RejectedRow,
        RejectedRow,
        RejectedRow,
        Recipient,
    ]
    rejected = [row for row in rows if isinstance(row, RejectedRow)]
    write_rejected(tmp_path / "rejected.csv", rejected)
    written = (tmp_path / "rejected.csv").read_text()
    assert "2,msisdn,is not a phone number" in written
    assert "3,msisdn,repeats an earlier row" in written
    assert "4,用户名,merge field is empty and has no default" in written
    assert "138" not in written


def test_parquet_and_csv_give_the_same_recipients(campaign: Campaign, tmp_path: Path) -> None:
    """The file type does not matter."""
    path = audience(tmp_path, person(1), person(2))
    columns = zip(*[person(1), person(2)], strict=True)
    table = pa.table({name: list(column) for name, column in zip(HEADER, columns, strict=True)})
    pyarrow.parquet.write_table(table, tmp_path / "audience.parquet")
    from_csv = list(read_recipients(campaign, path, TOKENIZER))
    assert list(read_recipients(campaign, tmp_path / "audience.parquet", TOKENIZER)) == from_csv


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.csv", None, "does not exist"),
        ("audience.xlsx", b"", "must end in .csv or .parquet"),
        ("audience.csv", b"phone,name\n", "has no column msisdn"),
        ("audience.parquet", b"nonsense", "is not Parquet"),
    ],
)
def test_an_unusable_file_is_one_sentence(
    campaign: Campaign, tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    """The file and the fix are named."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AudienceError, match=sentence):
        list(read_recipients(campaign, tmp_path / name, TOKENIZER))


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+86 138 0000 0001", "", "8613800000001"),
        ("13800000001", "CN", "8613800000001"),
        ("8613800000001", "", "8613800000001"),
        ("+8613800000001", "CN", "8613800000001"),
        ("12", "CN", None),
        ("", "CN", None),
        ("0123456789", "", None),
    ],
)
def test_numbers_of_every_spelling_are_read(text: str, region: str, expected: str | None) -> None:
    """National numbers take the campaign's region."""
    assert e164(text, region) == expected


def test_a_plan_is_the_same_every_time(campaign: Campaign, tmp_path: Path) -> None:
    """Running again after a crash repeats facts instead of making new ones."""
    planner = Planner(campaign, SECRET, "http://t.example")
    (recipient,) = read_recipients(campaign, audience(tmp_path, person(1)), TOKENIZER)
    assert isinstance(recipient, Recipient)
    assert planner.plan(recipient, now_ms=5) == planner.plan(recipient, now_ms=5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120),
        ("-3.6", -4),
        ("", None),
        ("gold", None),
        ("nan", None),
        ("inf", None),
        ("1e400", None),
        ("1e12", 10**12),
        ("1000000000001", None),
    ],
)
def test_a_covariate_that_is_no_number_is_counted(
    campaign: Campaign, text: str, expected: int | None
) -> None:
    """Nobody is lost for it: the worker would refuse a larger one, and with it the assignment."""
    planner = Planner(replace(campaign, plan=Plan(covariate="past")), SECRET, "http://t")
    fields = dict(zip(HEADER, person(1), strict=True)) | {"past": text}
    found = survey(planner, [Recipient(1, "s1", "8613800000001", fields)])
    assert found.recipients == 1
    assert found.without_covariate == (expected is None)
    planned = planner.plan(Recipient(1, "s1", "8613800000001", fields), now_ms=0)
    assert planned.assigned.covariate == expected


def test_link_tokens_differ_by_key_and_message() -> None:
    """Nobody without the key can guess a link."""
    tokens = {link_token(key, message) for key in (SECRET, b"1" * 32) for message in ("a", "b")}
    assert len(tokens) == 4
    assert all(len(token) == 10 and token.isalnum() for token in tokens)


@pytest.mark.kafka
async def test_everyone_is_assigned_and_everyone_but_the_holdout_is_sent_to(
    campaign: Campaign, kafka: str, tmp_path: Path
) -> None:
    """One assignment per recipient, one request and link per message; the survey foretold it."""
    path = audience(tmp_path, *(person(number) for number in range(1200)))
    planner = Planner(campaign, SECRET, "http://t.example")
    foretold = survey(planner, read_recipients(campaign, path, TOKENIZER))
    definition = definition_of(campaign, now_ms=1, audience_size=foretold.recipients)
    name = campaign.campaign_id
    async with (
        KafkaPublisher(kafka) as publisher,
        TopicReader(kafka, RECIPIENT_ASSIGNED.name) as assigned,
        TopicReader(kafka, OUTBOUND_REQUESTED.name) as requested,
        TopicReader(kafka, LINK_ISSUED.name) as links,
    ):
        rows = read_recipients(campaign, path, TOKENIZER)
        assert await dispatch(planner, definition, rows, publisher) == 1200

        def mine() -> tuple[list[RecipientAssigned], list[MessageRequested], list[LinkIssued]]:
            return (
                [e for e in assigned.events(RecipientAssigned) if e.campaign_id == name],
                [e for e in requested.events(MessageRequested) if e.campaign_id == name],
                [e for e in links.events(LinkIssued) if e.campaign_id == name],
            )

        await wait_until(
            lambda: tuple(map(len, mine())) == (1200, foretold.messages, foretold.messages)
        )
        people, messages, issued = mine()
    held_out = {event.subject for event in people if event.variant_id == HOLDOUT}
    assert len(held_out) == foretold.assigned[HOLDOUT] > 0
    assert {event.subject for event in messages}.isdisjoint(held_out)
    tokens = {event.message_id: event.token for event in issued}
    assert all(
        f"http://t.example/{tokens[event.message_id]} " in event.text + " " for event in messages
    )


def test_a_survey_lists_the_values_of_each_dimension() -> None:
    """The most frequent first, so that the definition can name them before anybody is assigned."""
    found = Survey()
    for city in ("small", "large", "large", ""):
        assigned = RecipientAssigned(
            event_id="e",
            occurred_at_ms=0,
            subject="s",
            campaign_id="c",
            variant_id="A",
            attributes={"city": city},
        )
        found.add(Planned(assigned))
    assert found.dimension_values == {"city": ("large", "small")}
