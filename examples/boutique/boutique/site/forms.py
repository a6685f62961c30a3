"""The forms of the site: what visitors type, checked, as values of the shop.

This file decides what is acceptable and how a refusal reads. It must not know any component.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from boutique.shop.cart import CartItem
from boutique.shop.orders import OrderRequest
from boutique.shop.payment import Card, digits_of, passes_luhn
from boutique.shop.shipping import Address
from boutique.site.visit import CURRENCIES, Visit

MAX_QUANTITY = 10  # of one click

Fields = Mapping[str, str]


class FormError(ValueError):
    """Fields that cannot be used; `errors` says for each what it should be."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


@dataclass(frozen=True)
class _Rule:
    field: str
    accepts: Callable[[str], bool]
    message: str


def cart_item(fields: Fields) -> CartItem:
    """What is to be put into the cart. Raises FormError."""
    _check(fields, _CART_ITEM)
    return CartItem(fields["product_id"], int(fields["quantity"]))


def currency(fields: Fields) -> str:
    """The currency that the visitor chose. Raises FormError."""
    _check(fields, _CURRENCY)
    return fields["currency_code"]


def order_request(fields: Fields, visit: Visit) -> OrderRequest:
    """The order that the visitor asks for. Raises FormError."""
    _check(fields, _CHECKOUT)
    return OrderRequest(
        user=visit.session_id,
        currency=visit.currency,
        address=Address(
            street=fields["street_address"].strip(),
            city=fields["city"].strip(),
            state=fields["state"].strip(),
            country=fields["country"].strip(),
            zip_code=fields["zip_code"].strip(),
        ),
        email=fields["email"].strip(),
        card=Card(
            number=fields["credit_card_number"],
            cvv=fields["credit_card_cvv"],
            year=int(fields["credit_card_expiration_year"]),
            month=int(fields["credit_card_expiration_month"]),
        ),
    )


def checkout_defaults(today: date) -> dict[str, str]:
    """What the checkout form holds before anybody has typed: a customer who can pay."""
    return {
        "email": "someone@example.com",
        "street_address": "1 Harbour Street",
        "zip_code": "94043",
        "city": "Mountain View",
        "state": "CA",
        "country": "United States",
        "credit_card_number": "4432 8015 6152 0454",
        "credit_card_expiration_month": "1",
        "credit_card_expiration_year": str(today.year + 1),
        "credit_card_cvv": "672",
    }


def _check(fields: Fields, rules: tuple[_Rule, ...]) -> None:
    errors = {
        rule.field: rule.message
        for rule in rules
        if not rule.accepts(fields.get(rule.field, "").strip())
    }
    if errors:
        raise FormError(errors)


def _text(limit: int) -> Callable[[str], bool]:
    return lambda text: 0 < len(text) <= limit


def _like(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


def _between(low: int, high: int) -> Callable[[str], bool]:
    return lambda text: re.fullmatch("[0-9]{1,4}", text) is not None and low <= int(text) <= high


def _card_number(text: str) -> bool:
    digits = digits_of(text)
    return 12 <= len(digits) <= 19 and passes_luhn(digits)


_CART_ITEM = (
    _Rule("product_id", _text(64), "Choose a product."),
    _Rule(
        "quantity", _between(1, MAX_QUANTITY), f"The quantity is a number from 1 to {MAX_QUANTITY}."
    ),
)
_CURRENCY = (
    _Rule("currency_code", CURRENCIES.__contains__, f"We sell in {', '.join(sorted(CURRENCIES))}."),
)
_CHECKOUT = (
    _Rule(
        "email",
        _like(r"(?=.{3,254}$)[^@\s]+@[^@\s.]+(\.[^@\s.]+)+"),
        "Enter an e-mail address, as in someone@example.com.",
    ),
    _Rule("street_address", _text(512), "Enter a street, of 512 letters at most."),
    _Rule("zip_code", _like(r"(?!0+$)[A-Za-z0-9 -]{1,16}"), "Enter a zip code, as in 94043."),
    _Rule("city", _text(128), "Enter a city, of 128 letters at most."),
    _Rule("state", _text(128), "Enter a state, of 128 letters at most."),
    _Rule("country", _text(128), "Enter a country, of 128 letters at most."),
    _Rule("credit_card_number", _card_number, "This is not a card number; check its digits."),
    _Rule("credit_card_expiration_month", _between(1, 12), "Choose a month."),
    _Rule("credit_card_expiration_year", _between(1000, 9999), "Choose a year."),
    _Rule("credit_card_cvv", _like("[0-9]{3,4}"), "Enter the three or four digits of the code."),
)
