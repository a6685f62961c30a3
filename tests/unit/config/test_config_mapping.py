"""A configuration written in Python, as tests do."""

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import msgspec
import pytest

from weaver.component.values import Secret
from weaver.config import Config, build_section, load_mapping, secret_value
from weaver.config.units import Duration
from weaver.errors import ConfigError


@dataclass
class Pool:
    size: int = 1


@dataclass
class CartConfig:
    capacity: int = 1000
    pool: Pool | None = None
    pools: list[Pool] = field(default_factory=list[Pool])
    path: Path | None = None
    wait: dt.timedelta = dt.timedelta(seconds=1)
    key: Secret[str] | None = None


@attrs.frozen
class AttrsConfig:
    _capacity: int = 1


class StructConfig(msgspec.Struct, rename="kebab"):
    max_size: int = 1


def mapping(**tables: Any) -> Config:
    return load_mapping(tables, source="config= in test_shop.py:7")


def built(config: Config, type_: type[Any] = CartConfig) -> Any:
    return build_section(config, component="shop.Cart", short="Cart", type_=type_)


def test_mapping_has_the_form_of_the_file() -> None:
    config = mapping(
        app=MappingProxyType({"timeout": "5s"}),
        groups={"front": {"components": ("Web",), "replicas": 2}},
        components={"Cart": {"capacity": 5}},
    )

    assert config.app.timeout == Duration(5)
    assert config.groups["front"].components == ("Web",)
    assert built(config) == CartConfig(5)
    assert config.provenance("app.timeout") == "config= in test_shop.py:7"
    assert config.provenance("app.threads") == "default"


@pytest.mark.parametrize(
    "instance",
    [
        CartConfig(5, Pool(2), [Pool(3)], Path("/x"), dt.timedelta(hours=1), Secret("s")),
        CartConfig(),
        AttrsConfig(7),
        StructConfig(8),
    ],
    ids=repr,
)
def test_instance_of_the_config_type_stands_for_its_section(instance: Any) -> None:
    config = mapping(components={"shop.Cart": instance})

    type_: type[Any] = type(instance)  # pyright: ignore[reportUnknownVariableType] - of Any
    assert built(config, type_) == instance


def test_python_values_are_kept() -> None:
    config = mapping(components={"Cart": {"path": Path("/x"), "pool": Pool(9), "pools": ()}})

    assert built(config) == CartConfig(path=Path("/x"), pool=Pool(9))


@pytest.mark.parametrize("written", ["abc", Secret("abc"), {"env": "T"}])
def test_secret_may_stand_as_it_is(written: Any) -> None:
    config = mapping(components={"Cart": {"token": written}})

    found = secret_value(config, "shop.Cart", "Cart", "token", str, {"T": "abc"}, str)

    assert found == "abc"


def test_secret_of_the_wrong_type_is_not_shown() -> None:
    config = mapping(components={"Cart": {"token": "hunter2"}})

    with pytest.raises(ConfigError) as caught:
        secret_value(config, "shop.Cart", "Cart", "token", int, {}, str)

    assert "config= in test_shop.py:7 does not hold an integer" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_problems_name_the_mapping() -> None:
    with pytest.raises(ConfigError) as caught:
        mapping(app={"timeot": 1}, components={"Cart": 5})
    assert {problem.where for problem in caught.value.problems} == {"config= in test_shop.py:7"}
    assert len(caught.value.problems) == 2

    with pytest.raises(ConfigError, match=r"where: config= in test_shop\.py:7"):
        built(mapping(components={"Cart": {"capacty": 5}}))
