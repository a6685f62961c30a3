"""The component that chooses advertisements."""

from dataclasses import field
from random import Random

import weaver
from boutique.shop import ads
from boutique.shop.ads import Ad


@weaver.component
class Ads:
    random: Random = field(default_factory=Random)

    @weaver.idempotent
    async def get_ads(self, categories: list[str]) -> list[Ad]:
        """The ads of these product categories; without any, two random ones."""
        return ads.ads_for(categories, self.random)
