"""Which component of the boutique asks which others, for systems that are not run by weaver.

The components are used as the plain classes that they are: business code is the same
in all systems.
This file must not know how a client reaches its service.
"""

from collections.abc import Callable
from typing import Any

from boutique.ads import Ads
from boutique.cart import Cart, CartCache, CartCacheConfig
from boutique.catalog import Catalog
from boutique.checkout import Checkout
from boutique.currency import Currency
from boutique.email import Email
from boutique.payment import Payment
from boutique.recommendation import Recommendation
from boutique.shipping import Shipping
from boutique.site.services import Services

CLASSES = {
    "ads": Ads,
    "cart": Cart,
    "cart_cache": CartCache,
    "catalog": Catalog,
    "checkout": Checkout,
    "currency": Currency,
    "email": Email,
    "payment": Payment,
    "recommendation": Recommendation,
    "shipping": Shipping,
}
CAPACITY = 100_000  # carts, as in examples/boutique/weaver.toml

Client = Callable[[str], Any]
"""Gives the client of the service with this name."""


def component(name: str, client: Client) -> Any:
    """The component that the service `name` runs; its references are clients."""
    match name:
        case "cart":
            return Cart(cache=client("cart_cache"))
        case "cart_cache":
            return CartCache(config=CartCacheConfig(CAPACITY))
        case "checkout":
            asked = ("cart", "catalog", "currency", "email", "payment", "shipping")
            return Checkout(**{callee: client(callee) for callee in asked})
        case "recommendation":
            return Recommendation(catalog=client("catalog"))
        case _:
            return CLASSES[name]()


def services(client: Client) -> Services:
    """What the web site asks."""
    asked = ("ads", "cart", "catalog", "checkout", "currency", "recommendation", "shipping")
    return Services(**{callee: client(callee) for callee in asked})
