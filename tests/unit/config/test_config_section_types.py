"""Config types of every kind: unions, tuples, models, validators, broken annotations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pydantic
import pytest

from weaver.config import build_section, load
from weaver.errors import ConfigError, Problem


def build(text: str, type_: type[Any], /, **environ: str) -> Any:
    config = load(text, environ=environ)
    return build_section(config, component="shop.cart.Cart", short="Cart", type_=type_)


def refused(text: str, type_: type[Any], /, **environ: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        build(text, type_, **environ)
    return caught.value.problems


class Redis(msgspec.Struct, tag="redis", tag_field="kind"):
    url: str


class Memory(msgspec.Struct, tag="memory", tag_field="kind"):
    size: int = 1


@dataclass
class Stored:
    store: Redis | Memory
    pair: tuple[int, str] = (1, "a")
    names: Sequence[str] = ()


def test_tagged_union_of_structs_is_chosen_by_its_tag() -> None:
    built = build('[components.Cart]\nstore = { kind = "redis", url = "u" }', Stored)

    assert built.store == Redis("u")
    (problem,) = refused('[components.Cart]\nstore = { kind = "disk" }', Stored)
    assert problem.what.startswith("[components.Cart] store: ")
    assert problem.where == "weaver.toml:2"


def test_tag_of_a_single_struct_is_no_unknown_key() -> None:
    @dataclass
    class One:
        store: Memory

    assert build('[components.Cart]\nstore = { kind = "memory", size = 2 }', One).store.size == 2


def test_tuples_and_abstract_lists_are_built() -> None:
    built = build(
        '[components.Cart]\nstore = { kind = "memory" }\npair = [2, "b"]\nnames = ["x"]', Stored
    )

    assert built.pair == (2, "b")
    assert list(built.names) == ["x"]


def test_pydantic_aliases_and_extra_keys_follow_the_model() -> None:
    class Model(pydantic.BaseModel):
        size: int = pydantic.Field(1, alias="max-size")
        host: str = pydantic.Field("", validation_alias=pydantic.AliasChoices("host", "server"))

    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")

    built = build('[components.Cart]\nmax-size = 2\nserver = "s"', Model)
    assert (built.size, built.host) == (2, "s")
    assert build("[components.Cart]\nany = 2", Open).model_extra == {"any": 2}
    (problem,) = refused("[components.Cart]\nmax = 2", Model)
    assert problem.what == 'unknown key "max" in [components.Cart]'


def test_validator_of_a_pydantic_model_is_a_problem_of_the_section() -> None:
    class Even(pydantic.BaseModel):
        count: int

        @pydantic.model_validator(mode="after")
        def _even(self) -> "Even":
            if self.count % 2:
                raise ValueError("count must be even")
            return self

    (problem,) = refused("[components.Cart]\ncount = 3", Even)

    assert problem.what == "[components.Cart]: Value error, count must be even"


def test_struct_annotation_that_cannot_be_resolved_is_a_problem() -> None:
    class Broken(msgspec.Struct):
        count: "Nowhere"  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable, reportUnknownVariableType]

    (problem,) = refused("[components.Cart]\ncount = 3", Broken)

    assert "names `Nowhere`, which cannot be found" in problem.what
    assert problem.fix == "define that class in its module"


def test_error_of_post_init_is_a_problem_of_the_section() -> None:
    @dataclass
    class Even:
        count: int

        def __post_init__(self) -> None:
            if self.count % 2:
                raise ValueError("count must be even")

    (problem,) = refused("[components.Cart]\ncount = 3", Even)

    assert problem.what == "[components.Cart]: count must be even"
    assert problem.where == "weaver.toml:1"


def test_annotation_that_cannot_be_resolved_is_a_problem() -> None:
    @dataclass
    class Broken:
        count: "Nowhere"  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable, reportUnknownVariableType]

    (problem,) = refused("[components.Cart]\ncount = 3", Broken)

    assert "names `Nowhere`, which cannot be found" in problem.what
    assert problem.fix == "define that class in its module"


def test_variable_for_a_broken_annotation_is_no_crash() -> None:
    class Broken(msgspec.Struct):
        count: "Nowhere"  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable, reportUnknownVariableType]

    found = refused("", Broken, WEAVER__COMPONENTS__CART__COUNT="1")

    assert any("names `Nowhere`" in problem.what for problem in found)


def test_annotated_record_is_built() -> None:
    @dataclass
    class Pooled:
        store: Annotated[Memory, "described"]

    assert build("[components.Cart]\nstore = { size = 2 }", Pooled).store == Memory(2)
