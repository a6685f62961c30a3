"""What is in a cart, and how it grows. This file must not know whose cart it is."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CartItem:
    """A number of pieces of one product."""

    product_id: str
    quantity: int


def with_item(items: Sequence[CartItem], new: CartItem) -> list[CartItem]:
    """The cart with the new item: added to the line of its product, or as the last line."""
    lines = {item.product_id: item.quantity for item in items}
    lines[new.product_id] = lines.get(new.product_id, 0) + new.quantity
    return [CartItem(product_id, quantity) for product_id, quantity in lines.items()]


def pieces(items: Sequence[CartItem]) -> int:
    """How many pieces there are in all lines together."""
    return sum(item.quantity for item in items)
