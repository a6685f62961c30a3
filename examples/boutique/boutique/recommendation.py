"""The component that recommends products."""

from dataclasses import field
from random import Random

import weaver
from boutique.catalog import Catalog
from boutique.shop import recommendation


@weaver.component
class Recommendation:
    catalog: Catalog
    random: Random = field(default_factory=Random)

    @weaver.idempotent
    async def recommend(
        self,
        user: str,  # noqa: ARG002 # for tastes, one day
        product_ids: list[str],
    ) -> list[str]:
        """The ids of up to five products other than these."""
        known = [product.id for product in await self.catalog.list_products()]
        return recommendation.recommend(known, product_ids, self.random)
