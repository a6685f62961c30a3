"""A visit to the boutique: its requests, the order that ends it, and the calls that it takes."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import httpx

Calls = Counter[tuple[str, str]]
"""How often who called which "Component.method"."""

MUG: Final = "6E92ZMYYFZ"
CLOCK: Final = "1YMWWN1N4O"
ORDER: Final = {
    "email": "ada@example.com",
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
VISIT: Final[tuple[tuple[str, str, dict[str, str]], ...]] = (
    ("GET", "/", {}),
    ("GET", f"/product/{MUG}", {}),
    ("POST", "/cart", {"product_id": MUG, "quantity": "2"}),
    ("POST", "/cart", {"product_id": CLOCK, "quantity": "1"}),
    ("POST", "/setCurrency", {"currency_code": "JPY"}),
    ("GET", "/cart", {}),
    ("POST", "/cart/checkout", ORDER),
    ("GET", "/product/nope", {}),
)
# Who calls what on that visit, page by page: with n products in the cart, the table of the original
# has 14, 13, 4, 4, 0, 12 + 2n, 18 + 2n calls, and 1 for a product that there is none of.
CALLS: Final[Calls] = Counter(
    {
        ("Web", "Currency.supported"): 4,
        ("Web", "Catalog.list_products"): 1,
        ("Web", "Catalog.get_product"): 6 + 1 + 1 + 7 + 5 + 1,
        ("Web", "Currency.convert"): 9 + 1 + 3,
        ("Web", "Cart.get_cart"): 3,
        ("Web", "Cart.add_item"): 2,
        ("Web", "Ads.get_ads"): 2,
        ("Web", "Recommendation.recommend"): 3,
        ("Web", "Shipping.quote"): 1,
        ("Web", "Checkout.place_order"): 1,
        ("Recommendation", "Catalog.list_products"): 3,
        ("Cart", "CartCache.get"): 3 + 2 + 1,
        ("Cart", "CartCache.put"): 2,
        ("Cart", "CartCache.remove"): 1,
        ("Checkout", "Cart.get_cart"): 1,
        ("Checkout", "Cart.empty_cart"): 1,
        ("Checkout", "Catalog.get_product"): 2,
        ("Checkout", "Currency.convert"): 3,
        ("Checkout", "Shipping.quote"): 1,
        ("Checkout", "Shipping.ship"): 1,
        ("Checkout", "Payment.charge"): 1,
        ("Checkout", "Email.send_confirmation"): 1,
    }
)
UNEVEN: Final = (
    r"[0-9a-f]{8}-[0-9a-f-]{27}",  # of requests, sessions, orders
    r"[A-Z]{2}-\d+-\d+",  # of parcels
    r'<aside class="wrap" aria-label="Advertisement">.*?</aside>',
    r'<section class="wrap section" aria-labelledby="more">.*?</section>',
    r'<dl class="where">.*?</dl>',
)


def visit(address: str) -> list[str]:
    """What a visitor is answered, without what is drawn anew each time."""
    pages: list[str] = []
    with httpx.Client(base_url=f"http://{address}", timeout=50, trust_env=False) as browser:
        for method, path, fields in VISIT:
            answer = browser.request(method, path, data=fields or None)
            text = f"{answer.status_code} {answer.headers.get('location', '')}\n{answer.text}"
            for pattern in UNEVEN:
                text = re.sub(pattern, "…", text, flags=re.DOTALL)
            pages.append(text)
    return pages


def order(address: str) -> None:
    """Put something into the cart and pay for it, as a visitor does."""
    with httpx.Client(
        base_url=f"http://{address}", timeout=50, follow_redirects=True, trust_env=False
    ) as visitor:
        added = visitor.post("/cart", data={"product_id": MUG, "quantity": "2"})
        assert added.status_code == 200
        paid = visitor.post("/cart/checkout", data=ORDER)
        assert paid.status_code == 200
        assert "Your order is complete" in paid.text


def calls(methods: Iterable[dict[str, Any]]) -> tuple[Calls, Calls]:
    """The calls in a status, all of them and those that left their process."""
    every: Calls = Counter()
    remote: Calls = Counter()
    for method in methods:
        caller, callee = (method[key].rpartition(".")[2] for key in ("caller", "component"))
        edge = (caller, f"{callee}.{method['method']}")
        every[edge] += method["calls"]
        remote[edge] += method["remote"]
    return every, remote
