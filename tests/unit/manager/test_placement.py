from collections.abc import Sequence

import msgspec
import pytest

from weaver.config import load
from weaver.config.configuration import Config
from weaver.manager.placement import Group, place


class M(msgspec.Struct, frozen=True):
    routed_by: str | None = None


class C(msgspec.Struct, frozen=True):
    name: str
    references: Sequence[str] = ()
    listeners: Sequence[str] = ()
    methods: Sequence[M] = (M(),)

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]


SHOP = [
    C("shop.Web", ("shop.Cart", "shop.Mail", "shop.Catalog"), ("http",)),
    C("shop.Cart", ("shop.Catalog",), methods=(M(), M("user"))),
    C("shop.Mail", ("shop.Template",)),
    C("shop.Template"),
    C("shop.Catalog"),
]


def config(text: str) -> Config:
    return load(text)


def members(groups: dict[str, Group]) -> dict[str, list[str]]:
    return {
        name: [component.rpartition(".")[2] for component in group.components]
        for name, group in groups.items()
    }


def test_split_gives_every_component_its_own_group() -> None:
    assert members(place(config(""), SHOP)) == {
        name: [name] for name in ("Web", "Cart", "Mail", "Template", "Catalog")
    }


def test_groups_of_the_configuration_come_first_and_keep_their_settings() -> None:
    text = """
[groups.front]
components = ["Web"]
replicas = { min = 2, max = 5, target_load = 0.5 }
hosts = ["tag:big"]
prefer = "local"
preload = false
[listeners.http]
address = "127.0.0.1:8080"
"""
    groups = place(config(text), SHOP, "shop.Web")
    assert list(groups) == ["front", "Cart", "Mail", "Template", "Catalog"]
    assert groups["front"] == Group(
        components=("shop.Web",),
        replicas=2,
        least=2,
        most=5,
        target_load=0.5,
        entry="shop.Web",
        hosts=("tag:big",),
        prefer="local",
        preload=False,
        listeners={"http": "127.0.0.1:8080"},
        calls=("Cart", "Catalog", "Mail"),
    )
    assert groups["Cart"].routed
    assert groups["Cart"].entry == ""


def test_together_puts_what_no_group_names_into_one() -> None:
    text = '[placement]\ndefault = "together"\n[groups.shop]\ncomponents = ["Cart", "Catalog"]'
    assert members(place(config(text), SHOP)) == {
        "shop": ["Cart", "Catalog"],
        "main": ["Web", "Mail", "Template"],
    }


def test_auto_puts_a_component_beside_its_only_caller() -> None:
    text = '[placement]\ndefault = "auto"'
    assert members(place(config(text), SHOP)) == {
        "main": ["Web", "Cart", "Mail", "Template"],
        "Catalog": ["Catalog"],
    }


def test_auto_adds_nothing_to_a_group_of_the_configuration() -> None:
    text = '[placement]\ndefault = "auto"\n[groups.front]\ncomponents = ["Web"]'
    assert members(place(config(text), SHOP)) == {
        "front": ["Web"],
        "Cart": ["Cart"],
        "main": ["Mail", "Template"],
        "Catalog": ["Catalog"],
    }


def test_auto_keeps_components_that_call_each_other_together() -> None:
    text = '[placement]\ndefault = "auto"'
    circle = [C("a.Even", ("a.Odd",)), C("a.Odd", ("a.Even",)), C("a.Self", ("a.Self",))]
    assert members(place(config(text), circle)) == {"main": ["Even", "Odd"], "Self": ["Self"]}


def test_components_with_one_short_name_give_their_groups_full_names() -> None:
    groups = place(config(""), [C("a.Cart"), C("b.Cart"), C("a.Web")])
    assert list(groups) == ["a.Cart", "b.Cart", "Web"]


@pytest.mark.parametrize("default", ["split", "together", "auto"])
def test_a_group_that_has_the_name_of_another_component_takes_nothing_away(default: str) -> None:
    text = f'[placement]\ndefault = "{default}"\n[groups.Cart]\ncomponents = ["Web"]\n'
    text += '[groups.main]\ncomponents = ["Mail"]'
    groups = place(config(text), SHOP)
    assert sorted(name for g in groups.values() for name in g.components) == sorted(
        component.name for component in SHOP
    )
