"""The shoppers of the load as users of Locust: the original's tasks, weights and pauses.

    locust -f bench/boutique/locustfile.py --host http://127.0.0.1:8080

Tasks and weights are those of `shoppers.py`. Redirects are followed one by one, so that each
request that the shop serves is one that Locust counts: left alone, it counts a pair as one.
Importing this file patches the standard library (gevent), as Locust does.
"""

import random
from typing import Any, ClassVar

from locust import FastHttpUser, between
from shoppers import CURRENCIES, ORDER, PRODUCTS, WEIGHTS

SEES_OTHER = 302


class Shopper(FastHttpUser):
    """One visitor; `lines_seen` are those of the carts that all have looked at."""

    wait_time = between(1, 10)
    lines_seen: ClassVar[list[int]] = []

    def on_start(self) -> None:
        self.cart: set[str] = set()
        self.index()

    def index(self) -> None:
        self._get("/", "/")

    def set_currency(self) -> None:
        self._post("/setCurrency", {"currency_code": random.choice(CURRENCIES)})
        self._get("/", "/")

    def browse(self) -> None:
        self._product(random.choice(PRODUCTS))

    def view_cart(self) -> None:
        self.lines_seen.append(len(self.cart))
        self._get("/cart", "/cart")

    def add_to_cart(self) -> None:
        product = random.choice(PRODUCTS)
        self._product(product)
        quantity = str(random.randint(1, 10))
        self._post("/cart", {"product_id": product, "quantity": quantity})
        self.cart.add(product)
        self.view_cart()

    def checkout(self) -> None:
        self.add_to_cart()
        self.lines_seen.append(len(self.cart))
        self._post("/cart/checkout", ORDER, 200)
        self.cart.clear()

    def _product(self, product: str) -> None:
        self._get(f"/product/{product}", "/product/[id]")

    def _get(self, path: str, name: str) -> None:
        self._ask("GET", path, name, 200)

    def _post(self, path: str, fields: dict[str, str], status: int = SEES_OTHER) -> None:
        self._ask("POST", path, path, status, data=fields)

    def _ask(self, method: str, path: str, name: str, status: int, **more: Any) -> None:
        with self.client.request(
            method, path, name=name, catch_response=True, allow_redirects=False, **more
        ) as answer:
            if answer.status_code == status:
                answer.success()
            else:
                answer.failure(f"{answer.status_code} instead of {status}")

    tasks = {  # noqa: RUF012 # so Locust wants them
        index: WEIGHTS["index"],
        set_currency: WEIGHTS["set_currency"],
        browse: WEIGHTS["browse"],
        add_to_cart: WEIGHTS["add_to_cart"],
        view_cart: WEIGHTS["view_cart"],
        checkout: WEIGHTS["checkout"],
    }
