"""What shipping costs, and what a parcel is called. Nothing is shipped."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from boutique.shop.cart import CartItem, pieces
from boutique.shop.money import Money

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXY"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to; the zip code is text, because it may begin with 0 or hold letters."""

    street: str
    city: str
    state: str
    country: str
    zip_code: str


NOWHERE = Address("", "", "", "", "")  # a quote does not depend on the address


def quote(items: Sequence[CartItem]) -> Money:
    """The price of shipping: flat, and nothing for an empty cart."""
    return Money("USD", 8, 990_000_000) if pieces(items) else Money("USD", 0)


def tracking_id(address: Address, random: Random) -> str:
    """As in "QD-24123-124567890": two letters, then lengths mixed with random digits."""
    text = f"{address.street}, {address.city}, {address.state}"
    letters = "".join(random.choices(_LETTERS, k=2))
    digits = "".join(random.choices("0123456789", k=10))
    return f"{letters}-{len(text)}{digits[:3]}-{len(text) // 2}{digits[3:]}"
