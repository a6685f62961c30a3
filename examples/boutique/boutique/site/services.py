"""What the web site asks for. References to components fit, and so does any client like them."""

from dataclasses import dataclass

from boutique.ads import Ads
from boutique.cart import Cart
from boutique.catalog import Catalog
from boutique.checkout import Checkout
from boutique.currency import Currency
from boutique.recommendation import Recommendation
from boutique.shipping import Shipping


@dataclass(frozen=True)
class Services:
    """The seven components that pages are made from."""

    ads: Ads
    cart: Cart
    catalog: Catalog
    checkout: Checkout
    currency: Currency
    recommendation: Recommendation
    shipping: Shipping
