"""The pages of the boutique over HTTP, as a visitor's browser sees them."""

import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from boutique.shop.money import Money

if TYPE_CHECKING:
    from tests.examples.conftest import OpenShop, Shop

pytestmark = pytest.mark.usefixtures("many_processes")

MUG, SUN_SHADES = "6E92ZMYYFZ", "OLJCESPC7Z"
PRODUCTS = [
    *("Sun Shades", "Sail Tee", "Clock", "Sandals", "Hairbrush", "Brass Lantern"),
    *("Oil &amp; Vinegar Cruets", "Cork Storage Jar", "Mug"),
]
FORM = {
    "email": "ada@example.com",
    "street_address": "1 Harbour Street",
    "zip_code": "01234",
    "city": "Mountain View",
    "state": "CA",
    "country": "United States",
    "credit_card_number": "4432-8015-6152-0454",
    "credit_card_expiration_month": "1",
    "credit_card_expiration_year": "2099",
    "credit_card_cvv": "672",
}
LAST_YEAR = str(datetime.now(UTC).year - 1)

# The reference data is not part of this repository: checked where it lies beside it.
REFERENCE = Path(__file__).parent / "boutique_reference.json"


def shown(html: str, name: str) -> str:
    """The value that stands beside a term of a list."""
    found = re.search(rf"<dt[^>]*>{re.escape(name)}</dt><dd[^>]*>([^<]*)</dd>", html)
    assert found, html
    return found[1]


def prices(html: str) -> list[str]:
    return re.findall(r'class="price">([^<]*)<', html)


# --- the shop window ---


async def test_the_home_page_shows_nine_products_with_prices(shop: "Shop") -> None:
    html = await shop.page("/")
    for name in PRODUCTS:
        assert f"<h3>{name}</h3>" in html
    assert prices(html) == [
        "$19.99",
        "$18.99",
        "$109.99",
        "$89.99",
        "$24.99",
        "$18.99",
        "$18.49",
        "$5.49",
        "$8.99",
    ]
    assert html.count('href="/product/') >= 9
    assert len(html) < 13_000  # what the original's page weighs, and a fifth


async def test_a_product_page_offers_to_buy(shop: "Shop") -> None:
    html = await shop.page(f"/product/{MUG}")
    assert "<h1>Mug</h1>" in html
    assert prices(html) == ["$8.99"]
    assert "Speckled glaze" in html
    options = re.findall(r"<option>(\d+)</option>", html)
    assert options == ["1", "2", "3", "4", "5", "10"]
    recommended = re.findall(r'class="card" href="/product/(\w+)"', html)
    assert len(set(recommended)) == 4
    assert MUG not in recommended


async def test_every_picture_and_stylesheet_of_the_pages_is_there(open_shop: "OpenShop") -> None:
    async with open_shop() as shop:
        html = await shop.page("/") + await shop.page(f"/product/{MUG}") + await shop.page("/cart")
        paths = set(re.findall(r'(?:src|href|content)="(/static/[^"]+)"', html))
        assert len(paths) >= 9 + 3
        for path in sorted(paths):
            answer = await shop.visitor.get(path)
            assert answer.status_code == 200, path
            assert len(answer.content) < 20_000, path


async def test_an_unknown_product_is_a_page_of_its_own(shop: "Shop") -> None:
    html = await shop.page("/product/nope", status=404)
    assert "Uh, oh!" in html
    assert "HTTP Status: 404 Not Found" in html


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/cart/checkout", 405), ("POST", "/", 405)],
)
async def test_wrong_addresses_and_methods_get_the_error_page(
    shop: "Shop", method: str, path: str, status: int
) -> None:
    answer = await shop.visitor.request(method, path)
    assert answer.status_code == status
    assert "Uh, oh!" in answer.text


async def test_robots_stay_away_and_the_shop_is_healthy(shop: "Shop") -> None:
    assert await shop.page("/robots.txt") == "User-agent: *\nDisallow: /"
    assert await shop.page("/_healthz") == "ok"
    assert (await shop.visitor.head("/")).status_code == 200


async def test_text_of_visitors_is_escaped(shop: "Shop") -> None:
    await shop.put_into_cart(MUG)
    evil = '"><script>alert(1)</script>'
    answer = await shop.post("/cart/checkout", **(FORM | {"city": evil, "zip_code": "0"}))
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]  # only our own: default


# --- cookies ---


async def test_a_visitor_gets_a_session_for_two_days_once(shop: "Shop") -> None:
    first = await shop.visitor.get("/")
    cookie = first.headers["set-cookie"]
    assert cookie.startswith("shop_session-id=")
    for attribute in ("Path=/", "Max-Age=172800", "HttpOnly", "SameSite=Lax"):
        assert attribute in cookie
    assert shop.session in first.text  # the footer names it
    second = await shop.visitor.get("/")
    assert "set-cookie" not in second.headers
    assert shown(first.text, "request-id:") != shown(second.text, "request-id:")


async def test_carts_of_two_sessions_are_apart(shop: "Shop") -> None:
    await shop.put_into_cart(MUG)
    assert "Cart (1)" in await shop.page("/cart")
    shop.visitor.cookies.clear()
    assert "Your shopping cart is empty!" in await shop.page("/cart")


async def test_logout_forgets_every_cookie(shop: "Shop") -> None:
    await shop.page("/")
    await shop.post("/setCurrency", currency_code="EUR")
    answer = await shop.visitor.get("/logout")
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    assert dict(shop.visitor.cookies) == {}


@pytest.mark.parametrize("session", ["a b", "x" * 65, "<b>", ""])
async def test_a_session_that_is_no_session_is_replaced(shop: "Shop", session: str) -> None:
    answer = await shop.visitor.get("/", headers={"cookie": f"shop_session-id={session}"})
    assert "shop_session-id=" in answer.headers["set-cookie"]
    assert "<b>" not in shown(answer.text, "session-id:")


# --- currencies ---


@pytest.mark.parametrize(
    ("code", "price"),
    [
        ("USD", "$19.99"),
        ("EUR", "€17.68"),
        ("JPY", "¥2235.06"),
        ("GBP", "£15.20"),
        ("TRY", "₺108.29"),
        ("CAD", "$26.74"),
    ],
)
async def test_prices_are_in_the_visitors_currency(shop: "Shop", code: str, price: str) -> None:
    answer = await shop.post("/setCurrency", currency_code=code)
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    assert shop.visitor.cookies["shop_currency"] == code
    html = await shop.page("/")
    assert prices(html)[0] == price
    assert f'<option value="{code}" selected>' in html
    codes = re.findall(r'<option value="([A-Z]{3})"', html)
    assert codes == ["EUR", "USD", "JPY", "GBP", "TRY", "CAD"]


async def test_every_price_in_every_currency_is_that_of_the_reference(shop: "Shop") -> None:
    expected: dict[str, list[str]] = {}
    for name, _, _, to, units, nanos in json.loads(REFERENCE.read_text())["conversions"]:
        if name not in {"SHIPPING", "ZERO"}:
            expected.setdefault(to, []).append(str(Money(to, units, nanos)))
    assert len(expected) == 6
    for code, shown_prices in expected.items():
        await shop.post("/setCurrency", currency_code=code)
        assert prices(await shop.page("/")) == shown_prices


async def test_choosing_a_currency_leads_back_to_the_page(shop: "Shop") -> None:
    for referer, location in (
        (f"{shop.visitor.base_url}/product/{MUG}?x=1", f"/product/{MUG}?x=1"),
        ("http://evil.example//elsewhere", "/elsewhere"),
        ("http://[bad", "/"),
    ):
        answer = await shop.visitor.post(
            "/setCurrency", data={"currency_code": "EUR"}, headers={"referer": referer}
        )
        assert answer.headers["location"] == location


async def test_a_currency_that_is_not_offered_is_refused(shop: "Shop") -> None:
    answer = await shop.post("/setCurrency", currency_code="CHF")
    assert answer.status_code == 422
    assert "We sell in CAD, EUR, GBP, JPY, TRY, USD." in answer.text
    assert "shop_currency" not in shop.visitor.cookies
    shop.visitor.cookies["shop_currency"] = "nonsense"
    assert prices(await shop.page("/"))[0] == "$19.99"


# --- the cart ---


async def test_the_cart_adds_up_what_was_put_into_it(shop: "Shop") -> None:
    await shop.put_into_cart(MUG, 2)
    await shop.put_into_cart(SUN_SHADES, 1)
    await shop.put_into_cart(MUG, 3)
    html = await shop.page("/cart")
    assert "Cart (6)" in html
    assert re.findall(r"Quantity: (\d+)", html) == ["5", "1"]
    assert re.findall(r"SKU #(\w+)", html) == [MUG, SUN_SHADES]
    assert prices(html) == ["$44.95", "$19.99", "$8.99", "$73.93"]
    assert '<span class="count">6</span>' in await shop.page("/")


async def test_the_cart_is_emptied(shop: "Shop") -> None:
    await shop.put_into_cart(MUG)
    answer = await shop.post("/cart/empty")
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    assert "Your shopping cart is empty!" in await shop.page("/cart")


@pytest.mark.parametrize("quantity", ["0", "11", "-1", "1.5", "many", "", "1" * 5000])
async def test_a_quantity_is_a_number_from_1_to_10(shop: "Shop", quantity: str) -> None:
    answer = await shop.post("/cart", product_id=MUG, quantity=quantity)
    assert answer.status_code == 422
    assert "The quantity is a number from 1 to 10." in answer.text
    assert "is empty" in await shop.page("/cart")


async def test_what_is_not_sold_cannot_be_put_into_the_cart(shop: "Shop") -> None:
    assert (await shop.post("/cart", product_id="nope", quantity="1")).status_code == 404
    assert (await shop.post("/cart", quantity="1")).status_code == 422
    assert "is empty" in await shop.page("/cart")


async def test_a_form_beyond_its_size_is_refused(shop: "Shop") -> None:
    answer = await shop.post("/cart", product_id=MUG, quantity="1", more="x" * 70_000)
    assert answer.status_code == 413


# --- the checkout ---


@pytest.mark.weaver_runners("local", "rpc")  # waits for no log
async def test_an_order_is_paid_shipped_and_confirmed(
    shop: "Shop", caplog: pytest.LogCaptureFixture
) -> None:
    await shop.put_into_cart(MUG, 2)
    await shop.put_into_cart(SUN_SHADES)
    await shop.post("/setCurrency", currency_code="EUR")
    with caplog.at_level(logging.DEBUG, "boutique"):
        answer = await shop.post("/cart/checkout", **FORM)
    assert answer.status_code == 200, answer.text
    html = answer.text
    assert "Your order is complete!" in html
    order_id = shown(html, "Confirmation #")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", order_id)
    assert re.fullmatch(r"[A-Y]{2}-35\d{3}-17\d{7}", shown(html, "Tracking #"))
    assert shown(html, "Shipping") == "€7.95"
    assert shown(html, "Total Paid") == "€41.53"  # 2 x 7.95 + 17.68 + 7.95, and their fractions
    assert "CA 01234" in html
    assert 'action="/setCurrency"' not in html
    assert "is empty" in await shop.page("/cart")
    messages = [record.getMessage() for record in caplog.records]
    assert [m for m in messages if f"confirmation of order {order_id} to ada@example.com" in m]
    assert [m for m in messages if m.startswith("charged €41.53 to visa ending 0454")]
    assert not [m for m in messages if "4432" in m]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"credit_card_number": "4432801561520455"}, "This is not a card number"),
        ({"credit_card_number": "no number"}, "This is not a card number"),
        ({"credit_card_number": "4026000000000002"}, "we cannot process visa_electron"),
        ({"credit_card_number": "378282246310005"}, "we cannot process amex credit cards"),
        ({"credit_card_number": "79927398713000000"}, "Credit card info is invalid"),
        ({"credit_card_expiration_year": LAST_YEAR}, f"(ending 0454) expired on 1/{LAST_YEAR}"),
        ({"credit_card_expiration_month": "13"}, "Choose a month."),
        ({"credit_card_expiration_year": "soon"}, "Choose a year."),
        ({"credit_card_cvv": "12"}, "Enter the three or four digits"),
        ({"email": "nobody"}, "Enter an e-mail address"),
        ({"street_address": "x" * 513}, "of 512 letters at most"),
        ({"zip_code": "00000"}, "Enter a zip code"),
        ({"city": " "}, "Enter a city"),
        ({"state": ""}, "Enter a state"),
        ({"country": "x" * 129}, "Enter a country"),
    ],
)
async def test_an_order_with_a_fault_shows_the_form_again_and_charges_nothing(
    shop: "Shop", caplog: pytest.LogCaptureFixture, changes: dict[str, str], message: str
) -> None:
    await shop.put_into_cart(MUG)
    with caplog.at_level(logging.DEBUG, "boutique"):
        answer = await shop.post("/cart/checkout", **(FORM | changes))
    assert answer.status_code == 422
    assert message in answer.text
    assert "Nothing has been charged." in answer.text
    assert 'value="ada@example.com"' in answer.text or "email" in changes
    assert 'name="credit_card_number" type="text" value=""' in answer.text
    assert not [r for r in caplog.records if r.getMessage().startswith("charged")]
    assert "Cart (1)" in await shop.page("/cart")


async def test_a_card_is_good_in_its_last_month(shop: "Shop") -> None:
    await shop.put_into_cart(MUG)
    now = datetime.now(UTC)
    last = {
        "credit_card_expiration_month": str(now.month),
        "credit_card_expiration_year": str(now.year),
    }
    answer = await shop.post("/cart/checkout", **(FORM | last))
    assert answer.status_code == 200 or datetime.now(UTC).month != now.month


async def test_an_empty_cart_is_not_ordered(shop: "Shop") -> None:
    answer = await shop.post("/cart/checkout", **FORM)
    assert answer.status_code == 422
    assert "Your shopping cart is empty!" in answer.text


async def test_the_form_as_it_is_filled_in_can_be_sent(shop: "Shop") -> None:
    await shop.put_into_cart(MUG)
    html = await shop.page("/cart")
    fields = dict(re.findall(r'<input id="(\w+)" [^>]*?value="([^"]*)"', html))
    for name, options in re.findall(r'<select id="(\w+)"[^>]*>(.*?)</select>', html, re.DOTALL):
        chosen = re.search(r'value="(\w+)" selected', options)
        assert chosen, name
        fields[name] = chosen[1]
    answer = await shop.post("/cart/checkout", **fields)
    assert answer.status_code == 200, answer.text
