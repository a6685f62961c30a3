"""The pages of the shop as HTML, made from values of the shop.

This file decides what a page needs to know. It must not know how the values are found, nor HTTP:
another shop with the same values can use it as it is.
"""

import calendar
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from boutique.shop.ads import Ad
from boutique.shop.catalog import Product
from boutique.shop.money import Money, total
from boutique.shop.orders import Order
from boutique.templates import filled, fresh, piece, render


class Frame(NamedTuple):
    """What every page shows around its content; `served_by` says which process made it."""

    session_id: str
    request_id: str
    currency: str
    served_by: tuple[tuple[str, str], ...]
    currencies: tuple[str, ...] = ()  # none: no switch is shown
    cart_size: int = 0


class Offer(NamedTuple):
    """A product with its price in the visitor's currency."""

    product: Product
    price: Money


class Line(NamedTuple):
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


def home(frame: Frame, offers: Sequence[Offer], ad: Ad | None) -> bytes:
    """The shop window."""
    window = piece("window", tuple(offers), frame.currency)
    return _page(frame, "", (window, piece("advertisement", ad)))


def product(frame: Frame, offer: Offer, recommended: Sequence[Product], ad: Ad | None) -> bytes:
    """One product, and how to buy it."""
    content = piece("description", offer), piece("advertisement", ad)
    return _page(frame, offer.product.name, content, recommended)


def cart(
    frame: Frame,
    lines: Sequence[Line],
    shipping: Money,
    recommended: Sequence[Product],
    form: CheckoutForm,
) -> bytes:
    """The cart and the way to the checkout."""
    if not lines:
        return _page(frame, "Cart", (piece("empty_cart"),), recommended)
    to_pay = str(total((line.price for line in lines), shipping))
    fields = fresh if form.errors else piece
    content = (
        piece("cart", frame.cart_size, bool(form.errors)),
        *[piece("cart_line", line) for line in lines],
        filled("sums", (shipping,), to_pay),
        fields("checkout_fields", form),
        filled("place_order", (), to_pay),
    )
    return _page(frame, "Cart", content, recommended)


def order(frame: Frame, order: Order, paid: Money, recommended: Sequence[Product]) -> bytes:
    """Thanks for an order."""
    content = render("order.html", order=order, paid=paid).encode()
    return _page(frame, "Order", (content,), recommended)


def error(frame: Frame, status: str, messages: Sequence[str]) -> bytes:
    """What went wrong, in words for the visitor; `status` is as in "404 Not Found"."""
    content = render("error.html", status=status, messages=messages).encode()
    return _page(frame, "Uh, oh!", (content,))


def _page(
    frame: Frame, title: str, content: Iterable[bytes], recommended: Sequence[Product] = ()
) -> bytes:
    """A whole page, as it is sent."""
    page = [
        piece("head", title),
        piece("switch", frame.currencies, frame.currency),
        piece("basket", frame.cart_size),
        piece("begin"),
        *content,
    ]
    if recommended:
        cards = [piece("product_card", product) for product in recommended]
        page += (piece("more"), *cards, piece("end_more"))
    page.append(filled("foot", (frame.served_by,), frame.session_id, frame.request_id))
    return b"".join(page)
