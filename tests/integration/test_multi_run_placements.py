"""The boutique from its PEX in three placements: one group, a group each, and as it is shipped."""

import asyncio
import fcntl
import re
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Final

import httpx
import pytest
from boutique.web import Web
from multi_run_shop import MultiRun, multi_run, project_for_session, until

from weaver.packaging.freeze import in_virtual_environment
from weaver.testing import weaver_app

pytestmark = pytest.mark.skipif(
    not in_virtual_environment(), reason="wheels are taken from a virtual environment"
)

BOUTIQUE: Final = Path(__file__).parents[2] / "examples" / "boutique"
MUG, CLOCK = "6E92ZMYYFZ", "1YMWWN1N4O"
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
CALLS: Final = Counter(
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
FREE_PORT: Final = {"listeners": {"http": {"address": "127.0.0.1:0"}}}
VARIABLE: Final = {"WEAVER__LISTENERS__HTTP__ADDRESS": "127.0.0.1:0"}


@pytest.fixture
def free(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The boutique without groups: what shares a process is [placement] default."""
    till = project_for_session(tmp_path_factory)
    with (till.parent / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = till.parent / "boutique"
        if not folder.exists():
            shutil.copytree(BOUTIQUE, folder, ignore=shutil.ignore_patterns("__pycache__"))
            text = (folder / "weaver.toml").read_text()
            grouped = r"(?ms)^\[groups\.\w+\].*?(?=^\[)"
            (folder / "weaver.toml").write_text(re.sub(grouped, "", text))
    return folder


@pytest.mark.timeout(120)  # the first one builds the PEX
@pytest.mark.parametrize(
    ("placement", "groups", "remote"),
    [("together", 1, 0), ("split", 11, 74), ("shipped", 4, 58)],
)
async def test_every_placement_answers_alike_and_makes_the_same_calls(
    free: Path, placement: str, groups: int, remote: int
) -> None:
    async with weaver_app(Web, config=FREE_PORT) as app:
        expected = await asyncio.to_thread(visit, app.address())
    variables = VARIABLE | {"WEAVER__PLACEMENT__DEFAULT": placement}
    config = free / "weaver.toml"
    if placement == "shipped":
        variables = VARIABLE
        config = BOUTIQUE / "weaver.toml"
    with multi_run(free, str(config), app="boutique", **variables) as shop:
        shop.start().live()
        assert len(shop.status()["groups"]) == groups
        for page, found in zip(expected, visit(shop.address()), strict=True):
            assert found == page
        until(lambda: calls(shop)[0].total() >= CALLS.total())
        every, left = calls(shop)
        assert every == CALLS
        assert left.total() == remote
        shop.signal(signal.SIGINT)
        assert shop.wait() == 0
        assert shop.left() == []


def visit(address: str) -> list[str]:
    """What a visitor is answered, without what is drawn anew each time."""
    pages: list[str] = []
    with httpx.Client(base_url=f"http://{address}", timeout=20, trust_env=False) as browser:
        for method, path, fields in VISIT:
            answer = browser.request(method, path, data=fields or None)
            text = f"{answer.status_code} {answer.headers.get('location', '')}\n{answer.text}"
            for pattern in UNEVEN:
                text = re.sub(pattern, "…", text, flags=re.DOTALL)
            pages.append(text)
    return pages


def calls(shop: MultiRun) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """How often who called what, and how many of those calls left their process."""
    every: Counter[tuple[str, str]] = Counter()
    remote: Counter[tuple[str, str]] = Counter()
    for method in shop.status()["methods"]:
        caller, callee = (method[key].rpartition(".")[2] for key in ("caller", "component"))
        edge = (caller, f"{callee}.{method['method']}")
        every[edge] += method["calls"]
        remote[edge] += method["remote"]
    return every, remote
