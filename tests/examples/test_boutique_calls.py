"""How often each page calls each component: the call graph of the original, counted per edge."""

from typing import TYPE_CHECKING

import pytest
from boutique_visit import CLOCK, MUG, ORDER, Calls

if TYPE_CHECKING:
    from tests.examples.conftest import OpenShop, Shop

# The runners whose components are in this process, where the test can count.
pytestmark = pytest.mark.weaver_runners("local", "rpc")

CART_READ = {("Web", "Cart.get_cart"): 1, ("Cart", "CartCache.get"): 1}
CURRENCIES = {("Web", "Currency.supported"): 1}
AD = {("Web", "Ads.get_ads"): 1}
RECOMMENDED = {
    ("Web", "Recommendation.recommend"): 1,
    ("Recommendation", "Catalog.list_products"): 1,
}


async def calls_of(shop: "Shop", method: str, path: str, **fields: str) -> Calls:
    before = shop.calls()
    answer = await shop.visitor.request(method, path, data=fields or None)
    assert answer.status_code < 400, answer.text
    return shop.calls() - before  # drops what was not called


async def test_the_home_page_makes_14_calls(shop: "Shop") -> None:
    calls = await calls_of(shop, "GET", "/")
    prices = {("Web", "Catalog.list_products"): 1, ("Web", "Currency.convert"): 9}
    assert calls == CURRENCIES | CART_READ | prices | AD
    assert calls.total() == 14


async def test_a_product_page_makes_13_calls(shop: "Shop") -> None:
    calls = await calls_of(shop, "GET", f"/product/{MUG}")
    product = {("Web", "Catalog.get_product"): 1 + 5, ("Web", "Currency.convert"): 1}
    assert calls == product | CURRENCIES | CART_READ | RECOMMENDED | AD
    assert calls.total() == 13


async def test_putting_something_into_the_cart_makes_4_calls(shop: "Shop") -> None:
    calls = await calls_of(shop, "POST", "/cart", product_id=MUG, quantity="2")
    assert calls == {
        ("Web", "Catalog.get_product"): 1,
        ("Web", "Cart.add_item"): 1,
        ("Cart", "CartCache.get"): 1,
        ("Cart", "CartCache.put"): 1,
    }


async def test_emptying_the_cart_makes_2_calls(shop: "Shop") -> None:
    calls = await calls_of(shop, "POST", "/cart/empty")
    assert calls == {("Web", "Cart.empty_cart"): 1, ("Cart", "CartCache.remove"): 1}


@pytest.mark.parametrize(("lines", "total"), [(0, 12), (1, 14), (2, 16)])
async def test_the_cart_makes_two_more_calls_for_each_line(
    shop: "Shop", lines: int, total: int
) -> None:
    for product_id in (MUG, CLOCK)[:lines]:
        await shop.put_into_cart(product_id)
    calls = await calls_of(shop, "GET", "/cart")
    costs = {
        ("Web", "Shipping.quote"): 1,
        ("Web", "Currency.convert"): 1 + lines,
        ("Web", "Catalog.get_product"): 5 + lines,
    }
    assert calls == CURRENCIES | CART_READ | RECOMMENDED | costs
    assert calls.total() == total


@pytest.mark.parametrize(("lines", "total"), [(1, 20), (2, 22)])
async def test_the_checkout_makes_two_more_calls_for_each_line(
    shop: "Shop", lines: int, total: int
) -> None:
    for product_id in (MUG, CLOCK)[:lines]:
        await shop.put_into_cart(product_id)
    calls = await calls_of(shop, "POST", "/cart/checkout", **ORDER)
    order = {
        ("Web", "Checkout.place_order"): 1,
        ("Checkout", "Cart.get_cart"): 1,
        ("Cart", "CartCache.get"): 1,
        ("Checkout", "Catalog.get_product"): lines,
        ("Checkout", "Currency.convert"): lines + 1,
        ("Checkout", "Shipping.quote"): 1,
        ("Checkout", "Payment.charge"): 1,
        ("Checkout", "Shipping.ship"): 1,
        ("Checkout", "Cart.empty_cart"): 1,
        ("Cart", "CartCache.remove"): 1,
        ("Checkout", "Email.send_confirmation"): 1,
    }
    page = CURRENCIES | RECOMMENDED | {("Web", "Catalog.get_product"): 5}
    assert calls == order | page
    assert calls.total() == total


@pytest.mark.parametrize("path", ["/logout", "/robots.txt", "/_healthz", "/static/style.css"])
async def test_what_needs_no_component_calls_none(open_shop: "OpenShop", path: str) -> None:
    async with open_shop() as shop:
        assert await calls_of(shop, "GET", path) == {}


async def test_choosing_a_currency_calls_no_component(shop: "Shop") -> None:
    assert await calls_of(shop, "POST", "/setCurrency", currency_code="EUR") == {}
