"""The nine products on sale. This file must not know how they are shown."""

from dataclasses import dataclass

from boutique.shop.money import Money


@dataclass(frozen=True, slots=True)
class Product:
    """One product; `picture` is a path on the web site."""

    id: str
    name: str
    description: str
    picture: str
    price: Money
    categories: tuple[str, ...]


class UnknownProductError(LookupError):
    """No product has this id."""

    def __init__(self, product_id: str) -> None:
        super().__init__(f"no product with ID {product_id}")
        self.product_id = product_id


def products() -> list[Product]:
    """All products, in the order of the shop window."""
    return list(_PRODUCTS)


def product(product_id: str) -> Product:
    """The product with exactly this id. Raises UnknownProductError."""
    found = _BY_ID.get(product_id)
    if found is None:
        raise UnknownProductError(product_id)
    return found


def search(words: str) -> list[Product]:
    """The products whose name or description contains the words, in any case."""
    wanted = words.casefold()
    return [p for p in _PRODUCTS if wanted in f"{p.name}\n{p.description}".casefold()]


def _product(
    product_id: str, name: str, price: tuple[int, int], categories: str, description: str
) -> Product:
    units, cents = price
    picture = f"/static/products/{name.lower().replace(' & ', '-').replace(' ', '-')}.svg"
    return Product(
        product_id,
        name,
        description,
        picture,
        Money("USD", units, cents * 10_000_000),
        tuple(categories.split()),
    )


_PRODUCTS = (
    _product(
        "OLJCESPC7Z",
        "Sun Shades",
        (19, 99),
        "accessories",
        "Round amber lenses in a light frame, for long walks by bright water.",
    ),
    _product(
        "66VCHSJNUP",
        "Sail Tee",
        (18, 99),
        "clothing tops",
        "Soft striped cotton, cut a little loose for easy days.",
    ),
    _product(
        "1YMWWN1N4O",
        "Clock",
        (109, 99),
        "accessories",
        "A quiet desk clock with a walnut case, and hands you can read at dusk.",
    ),
    _product(
        "L9ECAV7KIM",
        "Sandals",
        (89, 99),
        "footwear",
        "Two straps, one buckle, all summer long.",
    ),
    _product(
        "2ZYFJ3GM2N",
        "Hairbrush",
        (24, 99),
        "hair beauty",
        "A paddle brush of oiled beech, with rounded pins that are kind to every head.",
    ),
    _product(
        "0PUK6V6EV0",
        "Brass Lantern",
        (18, 99),
        "decor home",
        "Carries one candle through a breeze and hangs from any hook.",
    ),
    _product(
        "LS4PSXUNUM",
        "Oil & Vinegar Cruets",
        (18, 49),
        "kitchen",
        "Two that share one salad bowl.",
    ),
    _product(
        "9SIQT8TOJO",
        "Cork Storage Jar",
        (5, 49),
        "kitchen",
        "Thick clear glass and a snug cork: holds 400 ml of beans, tea or buttons.",
    ),
    _product(
        "6E92ZMYYFZ",
        "Mug",
        (8, 99),
        "kitchen",
        "Speckled glaze, and room for a refill.",
    ),
)
_BY_ID = {product.id: product for product in _PRODUCTS}
