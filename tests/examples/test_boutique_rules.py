"""What the shop does with money, cards, carts, ads and parcels: its plain functions."""

import json
from datetime import date
from pathlib import Path
from random import Random

import pytest
from boutique.shop import ads, cart, catalog, currency, recommendation, shipping
from boutique.shop.cart import CartItem
from boutique.shop.email import confirmation
from boutique.shop.money import Money, MoneyError, total
from boutique.shop.orders import Order, OrderItem, total_cost
from boutique.shop.payment import (
    Card,
    ExpiredCardError,
    InvalidCardError,
    UnacceptedCardError,
    check_card,
    passes_luhn,
)
from boutique.shop.shipping import Address

# What the original shop has: rates and products, and what its formula makes of prices in dollars.
REFERENCE = json.loads((Path(__file__).parent / "boutique_reference.json").read_text())
TODAY = date(2026, 11, 24)


def card(number: str, year: int = 2027, month: int = 1) -> Card:
    return Card(number, "672", year, month)


# --- currencies ---


@pytest.mark.parametrize(
    ("to", "units", "nanos"),
    [
        ("EUR", 17, 682441398),
        ("USD", 19, 990000000),
        ("JPY", 2235, 60592707),
        ("GBP", 15, 201594869),
        ("TRY", 108, 299648830),
        ("CAD", 26, 749997346),
    ],
)
def test_sun_shades_cost_the_same_everywhere(to: str, units: int, nanos: int) -> None:
    price = Money("USD", 19, 990_000_000)
    assert currency.convert(price, to) == Money(to, units, nanos)
    assert currency.convert(-price, to) == Money(to, -units, -nanos)


def test_every_reference_conversion_agrees_to_the_last_digit() -> None:
    cases = REFERENCE["conversions"]
    assert len(cases) == 66
    for name, units, nanos, to, *expected in cases:
        converted = currency.convert(Money("USD", units, nanos), to)
        assert converted == Money(to, *expected), name


def test_the_rates_are_those_of_the_reference() -> None:
    rates = REFERENCE["rates"]
    assert currency.supported() == list(rates)
    assert rates == currency._PER_EURO


def test_33_currencies_are_exchanged_the_euro_first() -> None:
    codes = currency.supported()
    assert (len(codes), len(set(codes)), codes[0]) == (33, 33, "EUR")
    for code in codes:
        assert currency.convert(Money("USD", 0), code) == Money(code, 0)


@pytest.mark.parametrize(("source", "to"), [("XXX", "EUR"), ("EUR", "XXX"), ("EUR", "")])
def test_an_unknown_currency_is_named(source: str, to: str) -> None:
    with pytest.raises(currency.UnknownCurrencyError, match="no exchange rate"):
        currency.convert(Money(source, 1), to)


# --- money ---


def test_sums_carry_and_borrow() -> None:
    assert Money("USD", 1, 600_000_000) + Money("USD", 2, 700_000_000) == Money(
        "USD", 4, 300_000_000
    )
    assert Money("USD", 1, 100_000_000) + Money("USD", 0, -200_000_000) == Money(
        "USD", 0, 900_000_000
    )
    assert Money("USD", 0, 100_000_000) + Money("USD", -1) == Money("USD", 0, -900_000_000)
    assert Money("USD", 19, 990_000_000) * 10 == Money("USD", 199, 900_000_000)
    assert total([Money("USD", 1)] * 3, Money("USD", 8)) == Money("USD", 11)


def test_money_of_two_currencies_has_no_sum() -> None:
    with pytest.raises(MoneyError, match="cannot add EUR to USD"):
        _ = Money("USD", 1) + Money("EUR", 1)


@pytest.mark.parametrize(("units", "nanos"), [(1, -1), (-1, 1), (0, 10**9), (0, -(10**9))])
def test_impossible_amounts_are_refused(units: int, nanos: int) -> None:
    with pytest.raises(MoneyError):
        Money("USD", units, nanos)


@pytest.mark.parametrize(
    ("money", "shown"),
    [
        (Money("USD", 19, 990_000_000), "$19.99"),
        (Money("EUR", 17, 682_441_398), "€17.68"),
        (Money("GBP", 0, 9_999_999), "£0.00"),
        (Money("TRY", 1, 19_999_999), "₺1.01"),
        (Money("JPY", 2235, 60_592_707), "¥2235.06"),
        (Money("CAD", 5), "$5.00"),
        (Money("CHF", 0, -50_000_000), "-$0.05"),
    ],
)
def test_money_is_cut_to_two_digits(money: Money, shown: str) -> None:
    assert str(money) == shown


# --- cards ---


@pytest.mark.parametrize(
    ("number", "good"),
    [
        ("4432801561520454", True),
        ("4432801561520455", False),
        ("79927398713", True),
        ("79927398710", False),
        ("0", True),
        ("", False),
        ("44328015615204x4", False),
        ("٤٤٣٢٨٠١٥٦١٥٢٠٤٥٤", False),
    ],
)
def test_the_last_digit_is_a_checksum(number: str, good: bool) -> None:
    assert passes_luhn(number) is good


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("4432801561520454", "visa"),
        ("4432-8015-6152-0454", "visa"),
        ("4432 8015 6152 0454", "visa"),
        ("5555555555554444", "mastercard"),
        ("5105105105105100", "mastercard"),
    ],
)
def test_visa_and_mastercard_are_taken(number: str, kind: str) -> None:
    assert check_card(card(number), TODAY) == kind


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("378282246310005", "amex"),
        ("30569309025904", "diners"),
        ("3530111333300000", "jcb"),
        ("6011111111111117", "discover"),
        ("4026000000000002", "visa_electron"),  # lies within the numbers of visa
    ],
)
def test_other_cards_are_refused_by_name(number: str, kind: str) -> None:
    with pytest.raises(UnacceptedCardError, match=f"cannot process {kind} credit cards") as refused:
        check_card(card(number), TODAY)
    assert refused.value.card_type == kind


@pytest.mark.parametrize(
    "number", ["4432801561520455", "443280156152045", "1234567890123452", "", "visa"]
)
def test_numbers_of_no_card_are_invalid(number: str) -> None:
    with pytest.raises(InvalidCardError, match="Credit card info is invalid"):
        check_card(card(number), TODAY)


def test_a_card_is_good_until_the_end_of_its_month() -> None:
    number = "4432801561520454"
    assert check_card(card(number, 2026, 11), TODAY) == "visa"
    for year, month in ((2026, 10), (2025, 12)):
        with pytest.raises(ExpiredCardError, match=rf"ending 0454\) expired on {month}/{year}"):
            check_card(card(number, year, month), TODAY)


def test_a_card_shows_neither_number_nor_code() -> None:
    shown = repr(card("4432801561520454"))
    assert "4432" not in shown
    assert "672" not in shown


# --- the rest ---


def test_a_cart_grows_by_line_in_the_order_of_first_insertion() -> None:
    items = cart.with_item([CartItem("a", 1)], CartItem("b", 2))
    assert cart.with_item(items, CartItem("a", 3)) == [CartItem("a", 4), CartItem("b", 2)]
    assert cart.pieces(items) == 3


def test_the_catalogue_has_nine_products_with_a_drawing_each() -> None:
    products = catalog.products()
    assert len({p.id for p in products}) == 9
    static = Path(catalog.__file__).parents[1]
    for product in products:
        assert (static / product.picture.lstrip("/")).is_file()
        assert product.description
        assert product.price.currency == "USD"


def test_ids_prices_and_categories_are_those_of_the_reference() -> None:
    found = [[p.id, p.price.units, p.price.nanos, list(p.categories)] for p in catalog.products()]
    assert found == REFERENCE["products"]
    assert {p.price.currency for p in catalog.products()} == {"USD"}


def test_products_are_found_by_id_and_by_words() -> None:
    assert catalog.product("6E92ZMYYFZ").name == "Mug"
    assert [p.name for p in catalog.search("CORK")] == ["Cork Storage Jar"]
    assert catalog.search("no such thing") == []
    with pytest.raises(catalog.UnknownProductError, match="no product with ID nope"):
        catalog.product("nope")


def test_recommendations_leave_out_what_was_seen() -> None:
    known = [p.id for p in catalog.products()]
    for seen in range(10):
        found = recommendation.recommend(known, known[:seen], Random(seen))
        assert len(found) == len(set(found)) == min(5, 9 - seen)
        assert not set(found) & set(known[:seen])


def test_ads_fit_the_category_or_are_random() -> None:
    assert [ad.url for ad in ads.ads_for(["kitchen"], Random(1))] == [
        "/product/9SIQT8TOJO",
        "/product/6E92ZMYYFZ",
    ]
    for nothing in ([], ["beauty"]):
        found = ads.ads_for(nothing, Random(1))
        assert len(found) == 2
        assert all(ad.text for ad in found)


def test_shipping_is_flat_and_free_for_nothing() -> None:
    assert shipping.quote([]) == Money("USD", 0)
    assert shipping.quote([CartItem("a", 0)]) == Money("USD", 0)
    assert shipping.quote([CartItem("a", 1), CartItem("b", 9)]) == Money("USD", 8, 990_000_000)


def test_a_tracking_id_is_made_of_the_address_and_chance() -> None:
    address = Address("1 Harbour Street", "Mountain View", "CA", "United States", "94043")
    found = shipping.tracking_id(address, Random(3))
    letters, first, second = found.split("-")
    assert letters.isalpha()
    assert letters.isupper()
    assert first.startswith("35")  # the length of "1 Harbour Street, Mountain View, CA"
    assert len(first) == 5
    assert second.startswith("17")
    assert len(second) == 9


def test_a_confirmation_names_the_order_and_escapes_what_was_typed() -> None:
    items = [OrderItem(CartItem("6E92ZMYYFZ", 2), Money("EUR", 7, 952_233_525))]
    address = Address("<b>1</b> Street", "City", "ST", "Country", "01234")
    cost = Money("EUR", 7, 952_233_525)
    html = confirmation(Order("the-order", "AB-1-2", cost, address, items))
    assert total_cost(items, cost) == Money("EUR", 23, 856_700_575)
    for part in ("#the-order", "#AB-1-2", "#6E92ZMYYFZ", "€7.95", "01234", "&lt;b&gt;1&lt;/b&gt;"):
        assert part in html
    assert "<b>" not in html
