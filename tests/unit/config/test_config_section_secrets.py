"""Secrets in the section of a component: inside its config type, or fields of its own."""

from dataclasses import dataclass
from typing import Any

import attrs
import msgspec
import pydantic
import pytest

from weaver.component.values import Secret
from weaver.config import build_section, check_section, load
from weaver.errors import ConfigError


@dataclass
class DataclassConfig:
    dsn: str


class StructConfig(msgspec.Struct):
    dsn: str


@attrs.frozen
class AttrsConfig:
    dsn: str


class PydanticConfig(pydantic.BaseModel):
    dsn: str


def test_secret_inside_a_config_type_comes_from_where_the_section_says() -> None:
    @dataclass
    class Api:
        token: Secret[str]
        pin: Secret[int]
        key: Secret[str] | None = None

    environ = {"WEAVER__COMPONENTS__CART__PIN": "1234", "TOKEN": "t0ken"}
    config = load(
        '[components.Cart]\ntoken = { env = "TOKEN" }\nkey = { file = "k" }', environ=environ
    )

    built = build_section(
        config,
        component="a.Cart",
        short="Cart",
        type_=Api,
        environ=environ,
        read_file={"k": "from file\n"}.__getitem__,
    )

    assert (built.token, built.pin, built.key) == (
        Secret("t0ken"),
        Secret(1234),
        Secret("from file"),
    )


def test_secret_inside_a_config_type_is_refused_as_plain_text() -> None:
    @dataclass
    class Api:
        token: Secret[str] | None = None

    config = load('[components.Cart]\ntoken = "hunter2"')

    with pytest.raises(ConfigError) as caught:
        build_section(config, component="a.Cart", short="Cart", type_=Api)
    (problem,) = caught.value.problems

    assert "cannot stand in weaver.toml" in problem.what
    assert "hunter2" not in str(problem)


def test_secrets_of_the_component_share_its_section() -> None:
    config = load(
        '[components.Cart]\ndsn = "db"\ntoken = { env = "T" }',
        environ={"WEAVER__COMPONENTS__CART__PIN": "1"},
    )

    types: tuple[type[Any], ...] = (DataclassConfig, StructConfig, AttrsConfig, PydanticConfig)
    for type_ in types:
        built = build_section(
            config, component="a.Cart", short="Cart", type_=type_, secrets=["token", "pin"]
        )
        assert built.dsn == "db"


def test_section_of_a_component_without_config_holds_only_secrets() -> None:
    config = load('[components.Cart]\ntoken = { env = "T" }\ntokn = 1')

    check_section(load(""), component="a.Cart", short="Cart")
    with pytest.raises(ConfigError) as caught:
        check_section(config, component="a.Cart", short="Cart", secrets=["token"])
    (problem,) = caught.value.problems
    assert problem.what == 'unknown key "tokn" in [components.Cart]'
    assert problem.fix == 'did you mean "token"?'
