"""The audience: making an audience file, and reading one as the truth about who is in which arm."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from campaigns.assignment import assign
from campaigns.campaign_file import Campaign
from schemas.subject import Tokenizer

COLUMNS: Final = ("msisdn", "用户名", "店铺名", "city_tier", "loyalty")
_NUMBER: Final = re.compile(r"\+?(86\d{11})")
_FAMILY: Final = "王李张刘陈杨赵黄周吴徐孙马朱胡郭何林高罗"
_GIVEN: Final = "伟芳娜敏静丽强磊军洋勇艳杰涛明超霞平刚英"
_SHOPS: Final = ("云店", "小城百货", "好物集")
_BAD: Final = (
    ("not-a-number", "坏行", "云店", "1", "new"),
    ("+861", "太短", "云店", "2", "new"),
    ("+8613999999999", "", "云店", "3", "new"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the audience. `row` counts from 1."""

    row: int
    msisdn: str = field(repr=False)
    variant_id: str


def write_audience(path: Path, people: int, *, seed: int, bad_rows: int = 0) -> None:
    """Write an audience file of `people` good rows, and bad ones spread among them."""
    draw = random.Random(seed)
    numbers = draw.sample(range(10**8), people)
    bad_at = set(draw.sample(range(people), min(bad_rows, people)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for index, number in enumerate(numbers):
            if index in bad_at:
                writer.writerow(_BAD[index % len(_BAD)])
            name = draw.choice(_FAMILY) + draw.choice(_GIVEN)
            tier, loyalty = draw.choice("123"), draw.choice(("new", "silver", "gold"))
            writer.writerow((f"+86138{number:08d}", name, draw.choice(_SHOPS), tier, loyalty))


def read_people(path: Path, campaign: Campaign, tokenizer: Tokenizer) -> Iterator[Person]:
    """Everybody who can be sent to, with the arm that the campaign's rule gives them.

    Reads the file on its own, so that a fault of the dispatcher shows as a difference.
    """
    seen: set[str] = set()
    with path.open(newline="", encoding="utf-8") as file:
        for row, record in enumerate(csv.DictReader(file), 1):
            found = _NUMBER.fullmatch(record["msisdn"])
            if found is None or not record["用户名"] or found[1] in seen:
                continue
            seen.add(found[1])
            arm = assign(
                tokenizer.token(found[1]),
                salt=campaign.campaign_id,
                holdout=campaign.holdout,
                shares=campaign.shares,
            )
            yield Person(row, found[1], arm)
