"""Exchange between 33 currencies, by fixed rates per euro.

The arithmetic is that of the demo shop this example is modelled on, floating point included, so
that prices can be compared to the last digit. This file must not know which currencies a page
offers.
"""

from math import floor, fmod

from boutique.shop.money import NANOS, Money

_PER_EURO = {
    "EUR": 1.0,
    "USD": 1.1305,
    "JPY": 126.40,
    "BGN": 1.9558,
    "CZK": 25.592,
    "DKK": 7.4609,
    "GBP": 0.85970,
    "HUF": 315.51,
    "PLN": 4.2996,
    "RON": 4.7463,
    "SEK": 10.5375,
    "CHF": 1.1360,
    "ISK": 136.80,
    "NOK": 9.8040,
    "HRK": 7.4210,
    "RUB": 74.4208,
    "TRY": 6.1247,
    "AUD": 1.6072,
    "BRL": 4.2682,
    "CAD": 1.5128,
    "CNY": 7.5857,
    "HKD": 8.8743,
    "IDR": 15999.40,
    "ILS": 4.0875,
    "INR": 79.4320,
    "KRW": 1275.05,
    "MXN": 21.7999,
    "MYR": 4.6289,
    "NZD": 1.6679,
    "PHP": 59.083,
    "SGD": 1.5349,
    "THB": 36.012,
    "ZAR": 16.0583,
}


class UnknownCurrencyError(LookupError):
    """There is no exchange rate for this currency code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"there is no exchange rate for {code!r}")
        self.code = code


def supported() -> list[str]:
    """The ISO 4217 codes that can be exchanged, the euro first."""
    return list(_PER_EURO)


def convert(amount: Money, to: str) -> Money:
    """The amount in another currency. Raises UnknownCurrencyError."""
    if amount.units < 0 or amount.nanos < 0:
        return -convert(-amount, to)
    try:
        source, target = _PER_EURO[amount.currency], _PER_EURO[to]
    except KeyError as unknown:
        raise UnknownCurrencyError(unknown.args[0]) from None
    euros, nanos = _carry(amount.units / source, amount.nanos / source)
    units, nanos = _carry(euros * target, floor(nanos + 0.5) * target)
    return Money(to, floor(units), floor(nanos))


def _carry(units: float, nanos: float) -> tuple[float, float]:
    """Move fractions of units into nanos, and whole units out of them."""
    nanos += fmod(units, 1) * NANOS
    return floor(units) + floor(nanos / NANOS), fmod(nanos, NANOS)
