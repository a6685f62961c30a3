"""What else a visitor may like: anything that is not there yet."""

from collections.abc import Sequence
from random import Random

LIMIT = 5


def recommend(known: Sequence[str], seen: Sequence[str], random: Random) -> list[str]:
    """At most five ids of `known` products that are not among the `seen`, in random order."""
    others = [product_id for product_id in known if product_id not in seen]
    return sorted(others, key=lambda _: random.random())[:LIMIT]
