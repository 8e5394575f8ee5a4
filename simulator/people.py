"""The audience: making an audience file, and reading one as the truth about who is in which arm."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import phonenumbers

from campaigns.assignment import assign
from campaigns.campaign_file import LINK, Campaign
from campaigns.template import fields_of
from schemas.subject import Tokenizer

COLUMNS: Final = ("msisdn", "用户名", "店铺名", "city_tier", "loyalty")
MAX_PEOPLE: Final = 50_000_000
"""Made numbers are +86138 and 8 digits: 10^8 of them, half of which may be drawn."""
_INTERNATIONAL: Final = re.compile(r"[1-9][0-9]{6,14}")
_FAMILY: Final = "王李张刘陈杨赵黄周吴徐孙马朱胡郭何林高罗"
_GIVEN: Final = "伟芳娜敏静丽强磊军洋勇艳杰涛明超霞平刚英"
_SHOPS: Final = ("云店", "小城百货", "好物集")
_BAD: Final = (
    ("not-a-number", "坏行", "云店", "1", "new"),
    ("+861", "太短", "云店", "2", "new"),
    ("+8613999999999", "", "云店", "3", "new"),
)


class AudienceError(ValueError):
    """The audience file cannot be used; one sentence with the fix."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the audience. `row` counts from 1."""

    row: int
    msisdn: str = field(repr=False)
    variant_id: str


def made_numbers(count: int, *, seed: int) -> list[str]:
    """Different MSISDNs; the same seed gives the same ones, a larger count more of them."""
    draw = random.Random(seed)
    numbers: dict[int, None] = {}
    while len(numbers) < count:
        numbers[draw.randrange(10**8)] = None
    return [f"86138{number:08d}" for number in numbers]


def write_audience(path: Path, people: int, *, seed: int, bad_rows: int = 0) -> None:
    """Write an audience file of `people` good rows, and bad ones spread among them."""
    numbers = made_numbers(people, seed=seed)
    draw = random.Random(f"{seed}|rows")
    bad_at = sorted(draw.randrange(people) for _ in range(bad_rows))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for index, number in enumerate(numbers):
            while bad_at and bad_at[0] == index:
                writer.writerow(_BAD[len(bad_at) % len(_BAD)])
                del bad_at[0]
            name = draw.choice(_FAMILY) + draw.choice(_GIVEN)
            tier, loyalty = draw.choice("123"), draw.choice(("new", "silver", "gold"))
            writer.writerow((f"+{number}", name, draw.choice(_SHOPS), tier, loyalty))


def read_people(path: Path, campaign: Campaign, tokenizer: Tokenizer) -> Iterator[Person]:
    """Everybody who can be sent to, with the arm that the campaign's rule gives them.

    Reads the file on its own, so that a fault of the dispatcher shows as a difference.

    Raises:
        AudienceError: If the file lacks a column that the campaign needs.
    """
    number_column, needed = campaign.audience.msisdn, _needed(campaign)
    seen: set[str] = set()
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.DictReader(file, restkey="", restval="")
        absent = {number_column, *needed} - set(rows.fieldnames or ())
        if absent:
            raise AudienceError(f"{path.name} has no column {', '.join(sorted(absent))}.")
        for row, record in enumerate(rows, 1):
            msisdn = _msisdn(record[number_column], campaign.audience.default_region)
            if msisdn is None or msisdn in seen or not all(record[name] for name in needed):
                continue
            seen.add(msisdn)
            arm = assign(
                tokenizer.token(msisdn),
                salt=campaign.campaign_id,
                holdout=campaign.holdout,
                shares=campaign.shares,
            )
            yield Person(row, msisdn, arm)


def _needed(campaign: Campaign) -> set[str]:
    """Merge fields without default: who lacks one cannot be sent to, in whatever arm."""
    fields = (field for variant in campaign.variants for field in fields_of(variant.template))
    return {field.name for field in fields if field.default is None and field.name != LINK}


def _msisdn(text: str, region: str) -> str | None:
    """E.164 digits, or `None`. Digits with `+`, or without any region, are international."""
    digits = text.strip()
    if digits.startswith("+") or not region:
        plain = digits.removeprefix("+")
        if _INTERNATIONAL.fullmatch(plain):
            return plain
    try:
        number = phonenumbers.parse(digits, region or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    found = f"{number.country_code}{phonenumbers.national_significant_number(number)}"
    return found if _INTERNATIONAL.fullmatch(found) else None
