"""`weaver.toml.example` names every key, and each can also come from the environment."""

import ast
import inspect
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli

from weaver.config import load
from weaver.config.locate import locate
from weaver.config.records import mapping_of, members, record_of
from weaver.config.schema import Table, Tables

EXAMPLE = Path(__file__).parents[3] / "weaver.toml.example"
TEXT = EXAMPLE.read_text("utf-8")

Pattern = tuple[str, ...]


def keys_of(type_: Any, path: Pattern = ()) -> dict[Pattern, Any]:
    """Every key of the schema; `*` stands for a name that users choose."""
    found: dict[Pattern, Any] = {}
    for member in members(type_):
        for entry in record_of(member) or ():
            inner = (*path, entry.key)
            found |= {inner: entry.type, **keys_of(entry.type, inner)}
        if mapping_of(member) is not None and members(mapping_of(member)) != (Any,):
            found |= keys_of(mapping_of(member), (*path, "*"))
    return found


def leaves_of(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(value, dict):
        return {path: value}
    found: dict[tuple[str, ...], Any] = {}
    for key, item in typing.cast("dict[str, Any]", value).items():
        found |= leaves_of(item, (*path, key))
    return found


def pattern(path: tuple[str | int, ...]) -> Pattern:
    """A path with `*` in place of the names that users choose."""
    keys = [str(part) for part in path if isinstance(part, str)]
    if keys[0] in {"groups", "listeners", "components"} and len(keys) > 1:
        keys[1] = "*"
    return tuple(keys)


KEYS = keys_of(Tables)
LEAVES = leaves_of(tomli.loads(TEXT))


def test_example_loads() -> None:
    config = load(TEXT, source="weaver.toml.example")

    config.check_names(
        {
            "boutique.web.Web": "Web",
            "boutique.cart.Cart": "Cart",
            "boutique.catalog.Catalog": "Catalog",
        },
        ["http"],
    )


def test_schema_has_the_keys_that_the_other_tests_rely_on() -> None:
    assert len(KEYS) > 40
    assert ("groups", "*", "replicas", "target_load") in KEYS
    assert ("rollout", "abort_on", "p99_factor") in KEYS


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_example_names_every_key(key: Pattern) -> None:
    assert key in {pattern(path) for path in locate(TEXT)}


@pytest.mark.parametrize(
    "path", [path for path in locate(TEXT) if isinstance(path[-1], str)], ids=str
)
def test_every_key_of_the_example_has_a_comment_on_its_line(path: tuple[str | int, ...]) -> None:
    line = TEXT.splitlines()[locate(TEXT)[path] - 1]

    assert len(line.rpartition("# ")[2]) > 10


@pytest.mark.parametrize("table", Table.__subclasses__(), ids=lambda table: table.__name__)
def test_every_field_of_the_schema_is_documented(table: type[Any]) -> None:
    body = ast.parse(inspect.getsource(table)).body[0]
    assert isinstance(body, ast.ClassDef)
    documented = {
        statement.target.id
        for statement, following in zip(body.body, body.body[1:], strict=False)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
    }

    assert documented == {entry.name for entry in msgspec.structs.fields(table)}


@pytest.mark.parametrize("path", [path for path in LEAVES if path[0] != "components"], ids=".".join)
def test_every_value_of_the_example_can_come_from_the_environment(path: tuple[str, ...]) -> None:
    """One value is taken out of the file and given by a variable: the result is the same."""
    tree = tomli.loads(TEXT)
    node = tree
    for key in path[:-1]:
        node = node[key]
    value = node.pop(path[-1])
    variable = "WEAVER__" + "__".join(path if path[1] == "env" else map(str.upper, path))

    config = load(_toml(tree), environ={variable: _inline(value)})

    assert msgspec.structs.replace(config, sources=None) == msgspec.structs.replace(
        load(TEXT), sources=None
    )
    assert config.provenance(path) == f"environment {variable}"


def _toml(tree: dict[str, Any]) -> str:
    return "\n".join(f"{key} = {_inline(value)}" for key, value in tree.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        items = typing.cast("dict[str, Any]", value).items()
        return "{" + ", ".join(f'"{key}" = {_inline(item)}' for key, item in items) + "}"
    return msgspec.json.encode(value).decode()
