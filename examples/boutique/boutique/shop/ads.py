"""Advertisements by product category. This file must not know who sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Ad:
    """A line of text that leads to a page of the shop."""

    url: str
    text: str


_ADS: dict[str, tuple[Ad, ...]] = {
    "clothing": (Ad("/product/66VCHSJNUP", "Sail Tee: stripes for less, 20% off."),),
    "accessories": (Ad("/product/1YMWWN1N4O", "Clock: buy one, and the second is half price."),),
    "footwear": (Ad("/product/L9ECAV7KIM", "Sandals: order a pair, get a brush for free."),),
    "hair": (Ad("/product/2ZYFJ3GM2N", "Hairbrush: now at half price."),),
    "decor": (Ad("/product/0PUK6V6EV0", "Brass Lantern: 30% off until the candle is out."),),
    "kitchen": (
        Ad("/product/9SIQT8TOJO", "Cork Storage Jar: 10% off the whole shelf."),
        Ad("/product/6E92ZMYYFZ", "Mug: buy two, and the third is on us."),
    ),
}
_ALL = tuple(ad for ads in _ADS.values() for ad in ads)


def ads_for(categories: Sequence[str], random: Random) -> list[Ad]:
    """The ads of these categories; without any, two drawn from all of them."""
    found = [ad for category in categories for ad in _ADS.get(category, ())]
    return found or random.choices(_ALL, k=2)
