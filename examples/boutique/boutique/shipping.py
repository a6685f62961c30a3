"""The component that ships orders."""

from dataclasses import field
from random import Random

import weaver
from boutique.shop import shipping
from boutique.shop.cart import CartItem
from boutique.shop.money import Money
from boutique.shop.shipping import Address


@weaver.component
class Shipping:
    random: Random = field(default_factory=Random)

    @weaver.idempotent
    async def quote(
        self,
        address: Address,  # noqa: ARG002 # one price for all of the world
        items: list[CartItem],
    ) -> Money:
        """What shipping these items would cost, in US dollars."""
        return shipping.quote(items)

    async def ship(
        self,
        address: Address,
        items: list[CartItem],  # noqa: ARG002 # nothing is shipped
    ) -> str:
        """Ship the items and return the parcel's tracking id."""
        return shipping.tracking_id(address, self.random)
