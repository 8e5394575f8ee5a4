"""ISO 4217: how many decimals a currency's minor unit has."""

from __future__ import annotations

from typing import Final

_NO_DECIMALS: Final = (
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()  # noqa: SIM905 - a list to compare with the standard
)
_THREE_DECIMALS: Final = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
EXPONENTS: Final = dict.fromkeys(_NO_DECIMALS, 0) | dict.fromkeys(_THREE_DECIMALS, 3)
"""ISO 4217 list one; currencies that are not named have 2."""
_MICRO_DECIMALS: Final = 6


def exponent_of(currency: str) -> int:
    """Decimals of the minor unit.

    Examples:
        >>> exponent_of("CNY"), exponent_of("JPY"), exponent_of("KWD")
        (2, 0, 3)
    """
    return EXPONENTS.get(currency, 2)


def micro_per_minor(currency: str) -> int:
    """How many micro-units (millionths of the major unit) one minor unit has.

    Examples:
        >>> micro_per_minor("CNY"), micro_per_minor("JPY"), micro_per_minor("KWD")
        (10000, 1000000, 1000)
    """
    factor: int = 10 ** (_MICRO_DECIMALS - exponent_of(currency))
    return factor
