"""What is ordered, and what the customer is told about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from boutique.shop.cart import CartItem
from boutique.shop.money import Money, total
from boutique.shop.payment import Card
from boutique.shop.shipping import Address


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """Buy what is in the cart of `user`, and pay in `currency`."""

    user: str
    currency: str
    address: Address
    email: str
    card: Card


@dataclass(frozen=True, slots=True)
class OrderItem:
    """A line of an order; `cost` is the price of one piece."""

    item: CartItem
    cost: Money


@dataclass(frozen=True, slots=True)
class Order:
    """An order that is paid and shipped."""

    id: str
    tracking_id: str
    shipping_cost: Money
    address: Address
    items: list[OrderItem]


class EmptyCartError(ValueError):
    """There is nothing to order."""

    def __init__(self) -> None:
        super().__init__("the cart is empty")


def total_cost(items: Sequence[OrderItem], shipping_cost: Money) -> Money:
    """What is to be paid. Raises MoneyError when currencies differ."""
    return total((line.cost * line.item.quantity for line in items), shipping_cost)
