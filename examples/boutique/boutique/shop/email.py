"""The text of the confirmation that a customer gets by e-mail."""

from boutique.shop.orders import Order
from boutique.templates import render


def confirmation(order: Order) -> str:
    """The confirmation of an order, as HTML."""
    return render("confirmation.html", order=order)
