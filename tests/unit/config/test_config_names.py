"""Components, groups and listeners that a configuration names must exist."""

from collections.abc import Sequence

import pytest

from weaver.config import load
from weaver.errors import ConfigError, Problem

COMPONENTS = {"shop.web.Web": "Web", "shop.cart.Cart": "Cart", "shop.catalog.Catalog": "Catalog"}
TWO_CARTS = {**COMPONENTS, "rental.Cart": "Cart"}


def problems(
    text: str,
    components: dict[str, str] = COMPONENTS,
    listeners: Sequence[str] = ("http",),
    /,
    **environ: str,
) -> tuple[Problem, ...]:
    config = load(text, environ=environ)
    try:
        config.check_names(components, listeners)
    except ConfigError as error:
        return error.problems
    return ()


GOOD = """
[groups.front]
components = ["Web"]
[groups.shop]
components = ["shop.cart.Cart", "Catalog"]
[listeners.http]
[components.Web]
[components."shop.cart.Cart"]
"""


def test_short_and_full_names_are_accepted() -> None:
    assert not problems(GOOD)
    assert not problems(GOOD, WEAVER__COMPONENTS__CATALOG__SIZE="1")
    assert not problems(GOOD, WEAVER__COMPONENTS__SHOP_CATALOG_CATALOG__SIZE="1")
    assert not problems(GOOD, WEAVER__LISTENERS__HTTP__ADDRESS="a:1")
    assert not problems("")


def test_listener_of_the_environment_is_matched_without_case() -> None:
    assert not problems("", COMPONENTS, ["adminHttp"], WEAVER__LISTENERS__ADMINHTTP__ADDRESS="a:1")


def test_full_names_are_accepted_where_a_short_one_is_ambiguous() -> None:
    text = '[components."rental.Cart"]\n[components."shop.cart.Cart"]'

    assert not problems(text, TWO_CARTS, WEAVER__COMPONENTS__RENTAL_CART__DAYS="1")


@pytest.mark.parametrize(
    ("text", "what", "where", "fix"),
    [
        ("[components.Crt]\nx=1", 'unknown component "Crt" in [components]', ":1", '"Cart"'),
        ("[components.cart]", 'unknown component "cart" in [components]', ":1", '"Cart"'),
        (
            "[components.shop.cart.Cart]\nx = 1",
            'unknown component "shop" in [components]',
            ":1",
            'quote it: [components."shop.cart.Cart"]',
        ),
        (
            '[groups.a]\ncomponents = [\n  "Web",\n  "Catlog"]',
            'unknown component "Catlog" in [groups.a] components',
            ":4",
            '"Catalog"',
        ),
        (
            '[groups.a]\ncomponents = ["Web"]\n[groups.b]\ncomponents = ["shop.web.Web"]',
            'component "shop.web.Web" is in two groups',
            ":4",
            "name it once",
        ),
        (
            '[groups.a]\ncomponents = ["Web", "Web"]',
            'component "Web" is twice in [groups.a]',
            ":2",
            "name it once",
        ),
        (
            '[components.Cart]\n[components."shop.cart.Cart"]',
            "component shop.cart.Cart has two sections",
            ":2",
            "keep one",
        ),
        ("[listeners.htp]", 'unknown listener "htp" in [listeners]', ":1", '"http"'),
        ("[listeners.HTTP]", 'unknown listener "HTTP" in [listeners]', ":1", '"http"'),
    ],
)
def test_unknown_name_is_refused_with_place_and_nearest(
    text: str, what: str, where: str, fix: str
) -> None:
    (problem,) = problems(text)

    assert problem.what == what
    assert problem.where == f"weaver.toml{where}"
    assert fix in problem.fix


def test_second_group_of_a_component_names_the_first() -> None:
    (problem,) = problems('[groups.a]\ncomponents=["Web"]\n[groups.b]\ncomponents=["Web"]')

    assert problem.why == "it is already in [groups.a] at weaver.toml:2"


def test_ambiguous_short_name_is_refused_with_all_candidates() -> None:
    found = problems(
        '[components.Cart]\n[groups.a]\ncomponents = ["Cart"]',
        TWO_CARTS,
        WEAVER__COMPONENTS__CART__SIZE="1",
    )

    assert [problem.where for problem in found] == [
        "weaver.toml:1",
        "environment WEAVER__COMPONENTS__CART__SIZE",
        "weaver.toml:3",
    ]
    for problem in found:
        assert "shop.cart.Cart" in problem.why
        assert "rental.Cart" in problem.why
    assert "WEAVER__COMPONENTS__SHOP_CART_CART__" in found[1].fix
    assert '"shop.cart.Cart" or "rental.Cart"' in found[0].fix


def test_suggestion_for_an_ambiguous_component_is_its_full_name() -> None:
    (problem,) = problems("[components.rental_Cart]", TWO_CARTS)

    assert problem.fix == 'did you mean "rental.Cart"?'


def test_listener_of_an_application_without_listeners_says_so() -> None:
    (problem,) = problems("[listeners.http]", COMPONENTS, [])

    assert problem.why == "the application has no listeners"
    assert "weaver.Listener" in problem.fix


@pytest.mark.parametrize(
    ("variable", "why", "fix"),
    [
        ("WEAVER__COMPONENTS__CRT__SIZE", "no such component", 'did you mean "CART"?'),
        ("WEAVER__COMPONENTS__CART", "no field", "add __ and the field"),
        ("WEAVER__COMPONENTS__SHOP_CART_CAR__X", "no such component", "valid names"),
    ],
)
def test_variable_of_an_unknown_component_is_refused(variable: str, why: str, fix: str) -> None:
    (problem,) = problems("", **{variable: "s3cret"})

    assert problem.what == f"environment variable {variable} matches nothing"
    assert why in problem.why
    assert fix in problem.fix
    assert "s3cret" not in str(problem)


def test_all_problems_come_at_once() -> None:
    found = problems(
        '[components.A]\n[groups.g]\ncomponents = ["B", "C"]\n[listeners.D]',
        WEAVER__COMPONENTS__E__X="1",
    )

    assert len(found) == 5
