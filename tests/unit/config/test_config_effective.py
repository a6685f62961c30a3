"""The rows of `weaver config`."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from weaver.component.model import Component, Field
from weaver.component.values import Secret
from weaver.config import Row, load, rows
from weaver.errors import ConfigError


@dataclass
class Pool:
    size: int = 4


@dataclass
class CartConfig:
    dsn: str
    capacity: int = 1000
    pool: Pool = field(default_factory=Pool)
    path: Path = Path("/data")
    key: Secret[str] | None = None


class Cart:
    """Stands for a component class."""


def component(full_name: str = "shop.cart.Cart", *fields: Field) -> Component:
    return Component(
        cls=Cart,
        full_name=full_name,
        short_name=full_name.rpartition(".")[2],
        where="cart.py:1",
        methods=(),
        fields=fields,
        generated_init=True,
        hooks=frozenset(),
    )


CONFIG = Field("config", "config", CartConfig)
TOKEN = Field("token", "secret", str)


def table(found: list[Row]) -> dict[str, tuple[Any, str]]:
    return {row.path: (row.value, row.provenance) for row in found}


def test_every_value_of_the_tables_has_a_row_with_its_origin() -> None:
    text = '[app]\ntimeout = "5s"\nenv = { A = "b" }\n[groups.front]\ncomponents = ["Web"]'

    found = table(rows(load(text, environ={"WEAVER__GROUPS__FRONT__REPLICAS": "3"})))

    assert found["app.timeout"] == ("5s", "weaver.toml:2")
    assert found["app.env.A"] == ("b", "weaver.toml:3")
    assert found["app.max_message"] == ("64MiB", "default")
    assert found["groups.front.components"] == (["Web"], "weaver.toml:5")
    assert found["groups.front.replicas"] == (3, "environment WEAVER__GROUPS__FRONT__REPLICAS")
    assert found["rollout.steps"] == (["5%", "25%", "50%", "100%"], "default")
    assert found["ssh.hosts"] == (None, "default")


def test_values_of_components_have_rows_after_the_tables() -> None:
    config = load(
        '[components.Cart]\ndsn = "db"\npool = { size = 5 }',
        environ={"WEAVER__COMPONENTS__CART__CAPACITY": "7"},
    )

    found = rows(config, [component("shop.cart.Cart", CONFIG)])

    assert found[-1].path == "components.Cart.key"
    assert table(found[-5:]) == {
        "components.Cart.dsn": ("db", "weaver.toml:2"),
        "components.Cart.capacity": (7, "environment WEAVER__COMPONENTS__CART__CAPACITY"),
        "components.Cart.pool.size": (5, "weaver.toml:3"),
        "components.Cart.path": ("/data", "default"),
        "components.Cart.key": (None, "default"),
    }


def test_secrets_are_masked_and_not_looked_up() -> None:
    config = load(
        '[components.Cart]\ndsn = "db"\nkey = { file = "no-such-file" }',
        environ={"WEAVER__COMPONENTS__CART__TOKEN": "hunter2"},
    )

    found = rows(config, [component("shop.cart.Cart", CONFIG, TOKEN)])

    assert found[-1] == Row(
        "components.Cart.token", "***", "environment WEAVER__COMPONENTS__CART__TOKEN", secret=True
    )
    assert found[-2] == Row("components.Cart.key", "***", "weaver.toml:3", secret=True)
    assert "hunter2" not in repr(found)


def test_secret_that_is_not_set_says_so() -> None:
    found = rows(load(""), [component("shop.cart.Cart", TOKEN)])

    assert found[-1] == Row("components.Cart.token", None, "missing", secret=True)


def test_component_whose_short_name_is_shared_has_its_full_name() -> None:
    both = [component("shop.Cart", TOKEN), component("rental.Cart", TOKEN)]

    found = rows(load('[components."rental.Cart"]\ntoken = { env = "T" }'), both)

    assert table(found[-2:]) == {
        'components."shop.Cart".token': (None, "missing"),
        'components."rental.Cart".token': ("***", "weaver.toml:2"),
    }


def test_rows_encode_as_json() -> None:
    config = load('[components.Cart]\ndsn = "db"')

    text = msgspec.json.encode(rows(config, [component("shop.cart.Cart", CONFIG, TOKEN)]))

    assert {row["path"] for row in json.loads(text)} >= {"app.name", "components.Cart.path"}


def test_problems_of_all_sections_come_at_once() -> None:
    config = load("[components.A]\ndsn = 1\n[components.B]\nx = 1")

    with pytest.raises(ConfigError) as caught:
        rows(config, [component("m.A", CONFIG), component("m.B")])

    assert [problem.where for problem in caught.value.problems] == [
        "weaver.toml:2",
        "weaver.toml:4",
    ]


def test_unknown_names_come_with_the_problems_of_sections() -> None:
    text = """
    [components.A]
    dsn = 1
    [components.Aa]
    [groups.front]
    components = ["B", "A"]
    [listeners.htp]
    """
    http = Field("http", "listener", object)

    with pytest.raises(ConfigError) as caught:
        rows(load(text), [component("m.A", CONFIG, http)])

    assert [problem.what for problem in caught.value.problems] == [
        'unknown component "Aa" in [components]',
        'unknown component "B" in [groups.front] components',
        'unknown listener "htp" in [listeners]',
        "[components.A] dsn: expected a string, got 1",
    ]
