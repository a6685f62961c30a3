"""What the shoppers of the load do: tasks, their weights, and the requests of each.

The weights and tasks are those of the original's load test. This file makes bytes; it must not know
how they are sent, nor when.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlencode

PRODUCTS = (
    "OLJCESPC7Z", "66VCHSJNUP", "1YMWWN1N4O", "L9ECAV7KIM", "2ZYFJ3GM2N", "0PUK6V6EV0",
    "LS4PSXUNUM", "9SIQT8TOJO", "6E92ZMYYFZ",
)  # fmt: skip
CURRENCIES = ("EUR", "USD", "JPY", "CAD", "GBP", "TRY")

WEIGHTS = {
    "index": 1, "set_currency": 2, "browse": 10, "add_to_cart": 2, "view_cart": 3, "checkout": 1,
}  # fmt: skip

REQUESTS = {
    "index": 1, "set_currency": 2, "browse": 1, "add_to_cart": 3, "view_cart": 1, "checkout": 4,
}  # fmt: skip
"""How many requests each task makes, redirects that are followed included."""

# One good card for all: the original's random ones are refused now and then, by its own rule.
ORDER = {
    "email": "someone@example.com",
    "street_address": "1 Harbour Street",
    "zip_code": "94043",
    "city": "Mountain View",
    "state": "CA",
    "country": "United States",
    "credit_card_number": "4432801561520454",
    "credit_card_expiration_month": "1",
    "credit_card_expiration_year": "2099",
    "credit_card_cvv": "672",
}


@dataclass
class Shopper:
    """One visitor, whose requests are answered one after the other; `lines` are those of the cart.

    Redirects are followed, as the original's client does; every request counts on its own.
    """

    number: int
    seed: int
    currency: str = "USD"
    cart: set[str] = field(default_factory=set)
    lines_seen: list[int] = field(default_factory=list)

    def requests(self) -> Iterator[tuple[bytes, bytes]]:
        """Requests without end, each with the status that its answer must have."""
        random = Random(f"{self.seed}/{self.number}")
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        tasks = {name: getattr(self, f"_{name}") for name in names}
        while True:
            for name in random.choices(names, weights, k=64):
                yield from tasks[name](random)

    def _index(self, _random: Random) -> Iterator[tuple[bytes, bytes]]:
        yield self._get("/")

    def _set_currency(self, random: Random) -> Iterator[tuple[bytes, bytes]]:
        chosen = random.choice(CURRENCIES)
        yield self._post("/setCurrency", {"currency_code": chosen})
        self.currency = chosen
        yield self._get("/")

    def _browse(self, random: Random) -> Iterator[tuple[bytes, bytes]]:
        yield self._get(f"/product/{random.choice(PRODUCTS)}")

    def _view_cart(self, _random: Random) -> Iterator[tuple[bytes, bytes]]:
        self.lines_seen.append(len(self.cart))
        yield self._get("/cart")

    def _add_to_cart(self, random: Random) -> Iterator[tuple[bytes, bytes]]:
        product = random.choice(PRODUCTS)
        yield self._get(f"/product/{product}")
        quantity = str(random.randint(1, 10))
        yield self._post("/cart", {"product_id": product, "quantity": quantity})
        self.cart.add(product)
        yield from self._view_cart(random)

    def _checkout(self, random: Random) -> Iterator[tuple[bytes, bytes]]:
        yield from self._add_to_cart(random)
        self.lines_seen.append(len(self.cart))
        yield self._post("/cart/checkout", ORDER, b"200")
        self.cart.clear()

    def _get(self, path: str) -> tuple[bytes, bytes]:
        return f"GET {path} HTTP/1.1\r\n{self._headers()}\r\n".encode(), b"200"

    def _post(
        self, path: str, fields: dict[str, str], status: bytes = b"302"
    ) -> tuple[bytes, bytes]:
        body = urlencode(fields)
        head = f"POST {path} HTTP/1.1\r\n{self._headers()}Content-Length: {len(body)}\r\n"
        form = "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        return f"{head}{form}{body}".encode(), status

    def _headers(self) -> str:
        session = f"shop_session-id=load-{self.seed}-{self.number}"
        cookies = f"{session}; shop_currency={self.currency}"
        return f"Host: shop\r\nAccept: text/html\r\nCookie: {cookies}\r\n"
