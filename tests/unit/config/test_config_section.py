"""A component's section as the config type that its author wrote."""

import datetime as dt
import enum
import ipaddress
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, TypedDict

import attrs
import msgspec
import pydantic
import pytest

from weaver.config import build_section, load
from weaver.errors import ConfigError, Problem

Port = NewType("Port", int)


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@dataclass
class Pool:
    size: int
    idle: dt.timedelta = dt.timedelta(seconds=30)


class Window(TypedDict):
    start: dt.time
    end: dt.time


@dataclass
class CartConfig:
    dsn: str
    capacity: int = 1000
    ratio: float = 0.5
    pool: Pool | None = None
    pools: dict[str, Pool] = field(default_factory=dict[str, Pool])
    mirrors: list[Pool] = field(default_factory=list[Pool])
    level: Level = Level.LOW
    mode: Literal["fast", "safe"] = "safe"
    path: Path | None = None
    every: dt.timedelta = dt.timedelta(minutes=1)
    opened: dt.date | None = None
    window: Window | None = None
    port: Port = Port(80)
    bound: ipaddress.IPv4Address | None = None
    tags: frozenset[str] = frozenset()
    either: int | str = 0
    limit: Annotated[int, msgspec.Meta(le=10)] = 5
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    derived: int = field(init=False, default=7)


class StructConfig(msgspec.Struct, rename="kebab"):
    dsn: str
    max_size: int = 1
    pool: Pool | None = None


@attrs.frozen
class AttrsConfig:
    dsn: str
    capacity: int = attrs.field(default=1, validator=attrs.validators.ge(0))
    _hidden: int = 3


class PydanticConfig(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    dsn: str
    capacity: int = pydantic.Field(1, ge=0)
    pool: Pool | None = None


def build(text: str, type_: type[Any] = CartConfig, /, **environ: str) -> Any:
    config = load(text, environ=environ)
    return build_section(config, component="shop.cart.Cart", short="Cart", type_=type_)


def refused(text: str, type_: type[Any] = CartConfig, /, **environ: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        build(text, type_, **environ)
    return caught.value.problems


def test_values_arrive_with_the_types_of_the_fields() -> None:
    built = build(
        """
        [components.Cart]
        dsn = "db"
        ratio = 1
        level = "high"
        mode = "fast"
        path = "/data"
        every = "10m"
        opened = 2026-01-02
        port = 81
        bound = "127.0.0.1"
        tags = ["a", "b"]
        either = "x"
        extra = { a = [1, { b = 2 }] }
        window = { start = 07:00:00, end = 08:00:00 }
        mirrors = [{ size = 1 }, { size = 2, idle = "1s" }]
        [components.Cart.pool]
        size = 3
        idle = "PT5S"
        [components.Cart.pools.main]
        size = 4
        """
    )

    assert built == CartConfig(
        dsn="db",
        ratio=1.0,
        level=Level.HIGH,
        mode="fast",
        path=Path("/data"),
        every=dt.timedelta(minutes=10),
        opened=dt.date(2026, 1, 2),
        port=Port(81),
        bound=ipaddress.IPv4Address("127.0.0.1"),
        tags=frozenset({"a", "b"}),
        either="x",
        extra={"a": [1, {"b": 2}]},
        window={"start": dt.time(7), "end": dt.time(8)},
        mirrors=[Pool(1), Pool(2, dt.timedelta(seconds=1))],
        pool=Pool(3, dt.timedelta(seconds=5)),
        pools={"main": Pool(4)},
    )


@pytest.mark.parametrize("type_", [CartConfig, StructConfig, AttrsConfig, PydanticConfig])
def test_every_kind_of_config_type_is_built(type_: type[Any]) -> None:
    built = build('[components."shop.cart.Cart"]\ndsn = "db"', type_)

    assert isinstance(built, type_)
    assert built.dsn == "db"


def test_types_keep_their_own_names_and_nesting() -> None:
    text = '[components.Cart]\ndsn = "db"\n'

    assert build(text + "max-size = 5\npool = {size = 1}", StructConfig).max_size == 5
    assert build(text + "hidden = 5", AttrsConfig)._hidden == 5
    assert build(text + "pool = {size = 1}", PydanticConfig).pool == Pool(1)


def test_missing_section_gives_the_defaults() -> None:
    @dataclass
    class Small:
        capacity: int = 1000

    assert build("", Small) == Small(1000)


OVERRIDES: list[tuple[str, str, str, Any]] = [
    ("DSN", "5", "dsn", "5"),
    ("DSN", "true", "dsn", "true"),
    ("CAPACITY", "9", "capacity", 9),
    ("RATIO", "0.25", "ratio", 0.25),
    ("LEVEL", "high", "level", Level.HIGH),
    ("MODE", "fast", "mode", "fast"),
    ("PATH", "/x", "path", Path("/x")),
    ("EVERY", "90s", "every", dt.timedelta(seconds=90)),
    ("EVERY", "90", "every", dt.timedelta(seconds=90)),
    ("OPENED", "2026-01-02", "opened", dt.date(2026, 1, 2)),
    ("EITHER", "7", "either", 7),
    ("EITHER", "seven", "either", "seven"),
    ("TAGS", '["x"]', "tags", frozenset({"x"})),
    ("POOL__SIZE", "3", "pool", Pool(3)),
    ("POOLS__MAIN__SIZE", "4", "pools", {"main": Pool(4)}),
    ("POOL", "{size = 6}", "pool", Pool(6)),
    ("EXTRA__A", "[1]", "extra", {"A": [1]}),
    ("BOUND", "10.0.0.1", "bound", ipaddress.IPv4Address("10.0.0.1")),
]


@pytest.mark.parametrize(("variable", "value", "field_name", "effective"), OVERRIDES)
@pytest.mark.parametrize("head", ["CART", "SHOP_CART_CART", "cart"])
def test_environment_overrides_the_section(
    head: str, variable: str, value: str, field_name: str, effective: Any
) -> None:
    name = f"WEAVER__COMPONENTS__{head}__{variable}"

    built = build('[components.Cart]\ndsn = "db"\ncapacity = 1', **{name: value})

    assert getattr(built, field_name) == effective
    assert type(getattr(built, field_name)) is type(effective)


def test_environment_overrides_one_field_of_a_nested_table() -> None:
    text = '[components.Cart]\ndsn = "db"\npool = { size = 1, idle = "5s" }'

    assert build(text, WEAVER__COMPONENTS__CART__POOL__SIZE="2").pool == Pool(
        2, dt.timedelta(seconds=5)
    )


def test_pydantic_model_takes_the_environment_too() -> None:
    built = build(
        "",
        PydanticConfig,
        WEAVER__COMPONENTS__CART__DSN="5",
        WEAVER__COMPONENTS__CART__CAPACITY="6",
        WEAVER__COMPONENTS__CART__POOL__SIZE="7",
    )

    assert built == PydanticConfig(dsn="5", capacity=6, pool=Pool(7))


BAD: list[tuple[str, str, str, str]] = [
    ("capcity = 5", 'unknown key "capcity" in [components.Cart]', ":3", 'did you mean "capacity"?'),
    ("capacity = '5'", 'capacity: expected an integer, got "5"', ":3", ""),
    ("capacity = 1.5", "capacity: expected an integer, got 1.5", ":3", ""),
    ("capacity = true", "capacity: expected an integer, got true", ":3", ""),
    ("ratio = 'x'", 'ratio: expected a number, got "x"', ":3", ""),
    ("level = 'hgh'", 'level: expected one of "low", "high", got "hgh"', ":3", '"high"'),
    ("mode = 'saf'", 'mode: expected one of "fast", "safe", got "saf"', ":3", '"safe"'),
    ("path = 5", "path: expected a path, got 5", ":3", ""),
    ("every = 'soon'", 'every: expected a duration such as "250ms"', ":3", ""),
    ("opened = 'x'", "opened: ", ":3", "opened = 2026-01-31"),
    ("bound = 'x'", 'bound: expected an IPv4 address, got "x"', ":3", ""),
    ("tags = 'x'", 'tags: expected a list, got "x"', ":3", ""),
    ("tags = [\n1]", "tags[0]: expected a string, got 1", ":4", ""),
    ("either = 1.5", "either: expected an integer or a string, got 1.5", ":3", ""),
    ("limit = 11", "limit: expected an integer <= 10, got 11", ":3", "limit = 10"),
    ("pool = 5", "pool: expected a table, got 5", ":3", ""),
    ("pool = {}", "components.Cart.pool: field `size` (int) is missing", ":3", "POOL__SIZE"),
    ("pool = {size=1,\n siz=1}", 'unknown key "siz" in [components.Cart.pool]', ":4", '"size"'),
    ("mirrors = [{size=1},\n{size='x'}]", "mirrors[1].size: expected an integer", ":4", ""),
    ("pools.a.size = 'x'", "pools.a.size: expected an integer", ":3", ""),
    ("window = { start = 07:00:00 }", "window: field `end` (time) is missing", ":3", ""),
    ("derived = 5", 'unknown key "derived"', ":3", ""),
    ("either = { a = 1 }", "either: expected an integer or a string, got a table", ":3", ""),
]


@pytest.mark.parametrize(("line", "what", "where", "fix"), BAD, ids=[bad[0] for bad in BAD])
def test_bad_value_is_named_with_line_and_fix(line: str, what: str, where: str, fix: str) -> None:
    (problem,) = refused(f'[components.Cart]\ndsn = "db"\n{line}')

    assert what in problem.what.replace("[components.Cart] pool: f", "components.Cart.pool: f")
    assert problem.where == f"weaver.toml{where}"
    assert problem.fix
    assert fix in problem.fix


@pytest.mark.parametrize("type_", [CartConfig, StructConfig, AttrsConfig, PydanticConfig])
def test_missing_field_names_both_ways_to_give_it(type_: type[Any]) -> None:
    (problem,) = refused("\n[components.Cart]", type_)

    assert problem.what in {
        "components.Cart: field `dsn` (str) is missing",
        "components.Cart: field `dsn` is missing",
    }
    assert problem.where == "weaver.toml:2"
    assert problem.fix == (
        "add `dsn = ...` under [components.Cart] in weaver.toml, "
        "or set WEAVER__COMPONENTS__CART__DSN"
    )


def test_missing_section_names_the_file() -> None:
    (problem,) = refused("")

    assert problem.where == "weaver.toml"


@pytest.mark.parametrize(
    ("type_", "line", "what"),
    [
        (StructConfig, "max_size = 1", 'unknown key "max_size"'),
        (StructConfig, "max-size = 'x'", "max-size: expected an integer"),
        (AttrsConfig, "capacity = -1", "'capacity' must be >= 0: -1"),
        (AttrsConfig, "capacty = 1", 'unknown key "capacty"'),
        (PydanticConfig, "capacity = -1", "capacity: Input should be greater than or equal to 0"),
        (PydanticConfig, "capacty = 1", 'unknown key "capacty"'),
        (PydanticConfig, "pool = {size = 'x'}", "pool.size: Input should be a valid integer"),
        (PydanticConfig, "pool = {}", "components.Cart.pool: field `size` is missing"),
    ],
)
def test_bad_value_of_every_kind_of_type_is_one_problem(
    type_: type[Any], line: str, what: str
) -> None:
    (problem,) = refused(f'[components.Cart]\ndsn = "db"\n{line}', type_)

    assert what in problem.what
    assert problem.where.startswith("weaver.toml:")


def test_all_problems_of_a_section_come_at_once() -> None:
    found = refused(
        "[components.Cart]\ncapacity = 'x'\nratoi = 1\npool = { size = 'y', z = 1 }",
        WEAVER__COMPONENTS__CART__CAP="1",
    )

    assert len(found) == 6


@pytest.mark.parametrize(
    ("variable", "fix"),
    [
        ("WEAVER__COMPONENTS__CART__CAPACTY", "WEAVER__COMPONENTS__CART__CAPACITY"),
        ("WEAVER__COMPONENTS__CART__POOL__SIZ", "WEAVER__COMPONENTS__CART__POOL__SIZE"),
        ("WEAVER__COMPONENTS__CART__DSN__X", "unset"),
        ("WEAVER__COMPONENTS__SHOP_CART_CART__CAPACTY", "SHOP_CART_CART__CAPACITY"),
    ],
)
def test_variable_that_matches_no_field_is_refused(variable: str, fix: str) -> None:
    (problem,) = refused('[components.Cart]\ndsn = "db"', **{variable: "s3cret"})

    assert problem.what == f"environment variable {variable} matches nothing"
    assert fix in problem.fix
    assert "s3cret" not in str(problem)


def test_bad_value_of_a_variable_names_it_and_does_not_show_the_value() -> None:
    (problem,) = refused(
        '[components.Cart]\ndsn = "db"', WEAVER__COMPONENTS__CART__CAPACITY="s3cret"
    )

    assert problem.what == "[components.Cart] capacity: expected an integer"
    assert problem.where == "environment WEAVER__COMPONENTS__CART__CAPACITY"


def test_custom_type_is_built_by_the_hook_of_the_caller() -> None:
    class Money:
        def __init__(self, text: str) -> None:
            self.text = text

    @dataclass
    class Priced:
        price: Money

    def hook(wanted: Any, written: Any) -> Any:
        if wanted is Money:
            return Money(written)
        raise NotImplementedError

    config = load('[components.Cart]\nprice = "5 EUR"')
    built = build_section(config, component="a.Cart", short="Cart", type_=Priced, dec_hook=hook)

    assert built.price.text == "5 EUR"
    (problem,) = refused('[components.Cart]\nprice = "5 EUR"', Priced)
    assert "values of type Money cannot be read from TOML" in problem.what


def test_sections_of_other_components_do_not_matter() -> None:
    text = '[components.Cart]\ndsn = "db"\n[components.Web]\nx = 1'

    assert build(text, WEAVER__COMPONENTS__CARTOON__X="1").dsn == "db"


def test_pydantic_is_not_imported_for_other_types() -> None:
    script = (
        "import sys, dataclasses; from weaver.config import load, build_section\n"
        "C = dataclasses.make_dataclass('C', [('a', int)])\n"
        "build_section(load('[components.X]\\na = 1'), component='m.X', short='X', type_=C)\n"
        "print(*[m for m in ('pydantic', 'attr', 'attrs') if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=30
    )

    assert not done.stdout.strip()


def test_what_a_variable_sets_is_mended_by_the_variable_and_not_shown() -> None:
    (problem,) = refused(
        "", WEAVER__COMPONENTS__CART__DSN="db", WEAVER__COMPONENTS__CART__LIMIT="x1"
    )

    assert "x1" not in str(problem)
    assert problem.fix == "set WEAVER__COMPONENTS__CART__LIMIT=10"
