"""The dates in a receipt: five forms in use, none with a zone but the longest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_DATE: Final = re.compile(r"([0-9]{10,16})([+-]?)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@lru_cache(maxsize=4096)  # receipts of one minute share their dates; pure, bounded
def date_ms(text: str) -> int | None:
    """A receipt's date in Unix milliseconds; without a zone UTC is assumed. `None`: no date.

    yymmddhhmm, yymmddhhmmss, YYYYMMDDhhmm, YYYYMMDDhhmmss, and SMPP's absolute time
    YYMMDDhhmmsstnnp (tenths, quarter hours from UTC, sign; SMPP 3.4 §7.1.1).

    Examples:
        >>> date_ms("2302101454") == date_ms("20230210145400") == 1676040840000
        True
        >>> date_ms("180711070000012+"), date_ms("YYMMDDhhmm")
        (1531281600000, None)
    """
    found = _DATE.match(text)
    if found is None:
        return None
    digits, sign = found.groups()
    offset = timedelta(0)
    if len(digits) >= 15:
        offset = timedelta(minutes=15 * int(digits[13:15]) * (-1 if sign == "-" else 1))
        digits = digits[:12]
    for year, (month, day, hour, minute, second) in _readings(digits):
        try:
            moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            continue
        return (moment - offset - _EPOCH) // _MILLISECOND
    return None


def _readings(digits: str) -> Iterator[tuple[int, list[int]]]:
    """(year, month … second) in every way that the digits can be read, the likelier first."""
    pairs = [int(digits[at : at + 2]) for at in range(0, len(digits), 2)]
    short = (2000 + pairs[0], pairs[1:])
    long = (100 * pairs[0] + pairs[1], pairs[2:])
    if len(digits) == 10:
        yield short[0], [*short[1], 0]
    elif len(digits) == 14:
        if pairs[0] == 20:
            yield long
    elif len(digits) == 12:
        is_long_likelier = pairs[0] == 20 and 1 <= pairs[2] <= 12
        padded = (long[0], [*long[1], 0])
        yield from (padded, short) if is_long_likelier else (short,)
