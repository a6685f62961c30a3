"""Amounts of money, exact to a billionth of a unit.

This file decides how amounts add up and how they are shown. It must not know exchange rates.
"""

from collections.abc import Iterable
from dataclasses import dataclass

NANOS = 1_000_000_000
_SYMBOLS = {"USD": "$", "CAD": "$", "JPY": "¥", "EUR": "€", "TRY": "₺", "GBP": "£"}


class MoneyError(ValueError):
    """An amount that cannot exist, or a sum over different currencies."""


@dataclass(frozen=True, slots=True)
class Money:
    """`units` whole units and `nanos` billionths; both have the same sign.

    Raises MoneyError for `nanos` of a whole unit or more, and for mixed signs.
    """

    currency: str
    units: int
    nanos: int = 0

    def __post_init__(self) -> None:
        if not -NANOS < self.nanos < NANOS:
            raise MoneyError(f"{self.nanos} nanos are a unit or more")
        if self.units * self.nanos < 0:
            raise MoneyError(f"{self.units} units and {self.nanos} nanos differ in sign")

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise MoneyError(f"cannot add {other.currency} to {self.currency}")
        return _of_nanos(self.currency, self._total_nanos + other._total_nanos)

    def __mul__(self, quantity: int) -> "Money":
        return _of_nanos(self.currency, self._total_nanos * quantity)

    def __neg__(self) -> "Money":
        return Money(self.currency, -self.units, -self.nanos)

    def __str__(self) -> str:
        """As in "$19.99": cut to two digits, never rounded up."""
        sign = "-" if self.units < 0 or self.nanos < 0 else ""
        symbol = _SYMBOLS.get(self.currency, "$")
        return f"{sign}{symbol}{abs(self.units)}.{abs(self.nanos) // 10_000_000:02}"

    @property
    def _total_nanos(self) -> int:
        return self.units * NANOS + self.nanos


def total(amounts: Iterable[Money], start: Money) -> Money:
    """The sum of `start` and the amounts. Raises MoneyError when currencies differ."""
    return sum(amounts, start)


def _of_nanos(currency: str, nanos: int) -> Money:
    units, rest = divmod(abs(nanos), NANOS)
    return Money(currency, units, rest) if nanos >= 0 else Money(currency, -units, -rest)
