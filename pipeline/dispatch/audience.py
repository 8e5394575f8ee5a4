"""Reads an audience file row by row: a recipient, or a rejected row with its reason."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import phonenumbers
import pyarrow.parquet

from campaigns.campaign_file import LINK, Campaign
from campaigns.template import fields_of
from schemas.subject import Tokenizer

_BATCH_ROWS: Final = 10_000
Row = dict[str, str]


class AudienceError(ValueError):
    """The audience file as a whole cannot be used; one sentence with the fix."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person to assign. `row` counts from 1, the header not included."""

    row: int
    subject: str
    msisdn: str = field(repr=False)
    fields: Row = field(repr=False)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be used. The reason never holds the number."""

    row: int
    column: str
    reason: str


def read_recipients(
    campaign: Campaign, path: Path, tokenizer: Tokenizer
) -> Iterator[Recipient | RejectedRow]:
    """Every row, in order. Rejection never depends on the arm, which would bias the comparison.

    Raises:
        AudienceError: If the file is missing, has an unknown type, or lacks a column.
    """
    seen: set[str] = set()
    needed = _needed_fields(campaign)
    for number, row in enumerate(_rows(path, _columns(campaign)), 1):
        missing = next((name for name in needed if not row.get(name)), None)
        if missing is not None:
            yield RejectedRow(number, missing, "merge field is empty and has no default")
            continue
        msisdn = e164(row.get(campaign.audience.msisdn) or "", campaign.audience.default_region)
        if msisdn is None:
            yield RejectedRow(number, campaign.audience.msisdn, "is not a phone number")
            continue
        subject = tokenizer.token(msisdn)
        if subject in seen:
            yield RejectedRow(number, campaign.audience.msisdn, "repeats an earlier row")
            continue
        seen.add(subject)
        yield Recipient(number, subject, msisdn, row)


def e164(text: str, default_region: str) -> str | None:
    """E.164 digits without `+`, or `None`. International digits take the fast path."""
    digits = text.strip()
    plain = digits.removeprefix("+")
    is_international = digits.startswith("+") or not default_region
    if is_international and plain.isascii() and plain.isdigit():
        return plain if 7 <= len(plain) <= 15 and plain[0] != "0" else None
    try:
        number = phonenumbers.parse(digits, default_region or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return f"{number.country_code}{phonenumbers.national_significant_number(number)}"


def _needed_fields(campaign: Campaign) -> tuple[str, ...]:
    """Merge fields that some variant needs and has no default for."""
    needed = dict.fromkeys(
        field.name
        for variant in campaign.variants
        for field in fields_of(variant.template)
        if field.default is None and field.name != LINK
    )
    return tuple(needed)


def _columns(campaign: Campaign) -> tuple[str, ...]:
    wanted = (campaign.audience.msisdn, *_needed_fields(campaign), *campaign.analyse_by)
    return (*wanted, campaign.covariate) if campaign.covariate else wanted


def _rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    if not path.is_file():
        raise AudienceError(f"audience.file: {path} does not exist.")
    readers = {".csv": _csv_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise AudienceError(f"audience.file: {path.name} must end in .csv or .parquet.")
    yield from reader(path, columns)


def _csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file, restkey="", restval="")
        _require(columns, reader.fieldnames or (), path)
        yield from reader


def _parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    try:
        parquet = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise AudienceError(f"audience.file: {path.name} is not Parquet: {error}") from error
    _require(columns, parquet.schema_arrow.names, path)
    for batch in parquet.iter_batches(_BATCH_ROWS):
        for row in batch.to_pylist():
            yield {name: "" if value is None else str(value) for name, value in row.items()}


def _require(columns: Sequence[str], present: Sequence[str], path: Path) -> None:
    missing = [name for name in columns if name not in present]
    if missing:
        raise AudienceError(
            f"audience.file: {path.name} has no column {', '.join(missing)}; "
            f"it has {', '.join(present)}."
        )
