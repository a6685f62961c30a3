"""Which credit cards are taken. No money moves: this is a demonstration.

This file decides about cards; it must not know about orders. What it raises names no more of a
card than its last four digits.
"""

import re
from dataclasses import dataclass, field
from datetime import date

_ACCEPTED = ("visa", "mastercard")

# The first match decides, so that a special card wins over the wide range it lies in.
_TYPES: tuple[tuple[str, str, range], ...] = (
    ("amex", r"3[47]", range(15, 16)),
    ("diners", r"30[0-5]|3[689]|309", range(14, 15)),
    ("jcb", r"35(2[89]|[3-8]\d)", range(16, 17)),
    ("laser", r"6304|670[69]|6771", range(16, 20)),
    ("visa_electron", r"4026|417500|4508|4844|491[37]", range(16, 17)),
    ("visa", r"4", range(16, 17)),
    ("mastercard", r"5[1-5]", range(16, 17)),
    (
        "maestro",
        r"5018|5081|5044|5020|5038|603845|6304|6759|676[1-3]|6220|504834|504817|504645",
        range(12, 20),
    ),
    ("rupay", r"60(6[0-9]|7|8[0-4])|65(2[1-9]|30)|508[5-9]", range(16, 17)),
    ("discover", r"6011|65|622", range(16, 17)),
)


@dataclass(frozen=True, slots=True)
class Card:
    """A credit card as it was typed in; its number and code are left out of the repr."""

    number: str = field(repr=False)
    cvv: str = field(repr=False)
    year: int
    month: int


class CardError(ValueError):
    """A card that is not taken; the message is for the customer."""


class InvalidCardError(CardError):
    """The number is not that of any card."""

    def __init__(self) -> None:
        super().__init__("Credit card info is invalid")


class UnacceptedCardError(CardError):
    """A good card of a type that is not taken."""

    def __init__(self, card_type: str) -> None:
        super().__init__(
            f"Sorry, we cannot process {card_type} credit cards. "
            "Only VISA or MasterCard is accepted."
        )
        self.card_type = card_type


class ExpiredCardError(CardError):
    """A card past its last month."""

    def __init__(self, last_four: str, month: int, year: int) -> None:
        super().__init__(f"Your credit card (ending {last_four}) expired on {month}/{year}")
        self.last_four = last_four


def check_card(card: Card, today: date) -> str:
    """The card's type, if it can be charged; a card is good until the end of its month.

    Raises InvalidCardError, UnacceptedCardError or ExpiredCardError, whichever applies first.
    """
    number = digits_of(card.number)
    card_type = _card_type(number)
    if card_type is None or not passes_luhn(number):
        raise InvalidCardError
    if card_type not in _ACCEPTED:
        raise UnacceptedCardError(card_type)
    if (today.year, today.month) > (card.year, card.month):
        raise ExpiredCardError(number[-4:], card.month, card.year)
    return card_type


def digits_of(number: str) -> str:
    """A card number without the spaces and hyphens that people type."""
    return number.replace(" ", "").replace("-", "")


def passes_luhn(number: str) -> bool:
    """Whether the last digit is the checksum of the others."""
    if not re.fullmatch("[0-9]+", number):
        return False
    digits = [int(digit) for digit in reversed(number)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _card_type(number: str) -> str | None:
    for name, prefix, lengths in _TYPES:
        if len(number) in lengths and re.match(prefix, number):
            return name
    return None
