"""The pages of the shop as HTML, made from values of the shop.

This file decides what a page needs to know. It must not know how the values are found, nor HTTP:
another shop with the same values can use it as it is.
"""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boutique.shop.ads import Ad
from boutique.shop.catalog import Product
from boutique.shop.money import Money, total
from boutique.shop.orders import Order
from boutique.templates import render


@dataclass(frozen=True)
class Frame:
    """What every page shows around its content; `served_by` says which process made it."""

    session_id: str
    request_id: str
    currency: str
    served_by: tuple[tuple[str, str], ...]
    currencies: tuple[str, ...] = ()  # none: no switch is shown
    cart_size: int = 0


@dataclass(frozen=True)
class Offer:
    """A product with its price in the visitor's currency."""

    product: Product
    price: Money


@dataclass(frozen=True)
class Line:
    """A line of the cart; `price` is for all its pieces."""

    product: Product
    quantity: int
    price: Money


@dataclass(frozen=True, eq=False)
class CheckoutForm:
    """The checkout form: what its fields hold, and what is wrong with them.

    Its fields are drawn once for each such object without errors: do not make one per visitor.
    """

    values: Mapping[str, str]
    errors: Mapping[str, str]
    this_year: int

    @property
    def months(self) -> list[tuple[int, str]]:
        """The months of a year, with their names."""
        return [(month, f"{month:02} {calendar.month_name[month]}") for month in range(1, 13)]

    @property
    def years(self) -> list[tuple[int, int]]:
        """The years in which a card may expire."""
        return [(year, year) for year in range(self.this_year, self.this_year + 10)]


def home(frame: Frame, offers: Sequence[Offer], ad: Ad | None) -> str:
    """The shop window."""
    return render("home.html", frame=frame, offers=offers, ad=ad)


def product(frame: Frame, offer: Offer, recommended: Sequence[Product], ad: Ad | None) -> str:
    """One product, and how to buy it."""
    return render("product.html", frame=frame, offer=offer, recommended=recommended, ad=ad)


def cart(
    frame: Frame,
    lines: Sequence[Line],
    shipping: Money,
    recommended: Sequence[Product],
    form: CheckoutForm,
) -> str:
    """The cart and the way to the checkout."""
    to_pay = total((line.price for line in lines), shipping)
    return render(
        "cart.html",
        frame=frame,
        lines=lines,
        shipping=shipping,
        to_pay=to_pay,
        recommended=recommended,
        form=form,
    )


def order(frame: Frame, order: Order, paid: Money, recommended: Sequence[Product]) -> str:
    """Thanks for an order."""
    return render("order.html", frame=frame, order=order, paid=paid, recommended=recommended)


def error(frame: Frame, status: str, messages: Sequence[str]) -> str:
    """What went wrong, in words for the visitor; `status` is as in "404 Not Found"."""
    return render("error.html", frame=frame, status=status, messages=messages)
