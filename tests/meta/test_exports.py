"""The names users write: they exist, are documented, and are the same for type checkers."""

import ast
import inspect
from pathlib import Path

import pytest

import weaver
import weaver.testing

# Read from the file: what type checkers see is not there at run time.
SOURCE = ast.parse(Path(weaver.__file__).read_text())


def names_imported(body: list[ast.stmt]) -> dict[str, tuple[str, str]]:
    """Name here -> module and name there, of the `from … import …` statements in a body."""
    return {
        alias.asname or alias.name: (statement.module or "", alias.name)
        for statement in body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def seen_by_type_checkers() -> dict[str, tuple[str, str]]:
    for statement in SOURCE.body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            return names_imported(statement.body)
    raise AssertionError("weaver/__init__.py has no TYPE_CHECKING block")


@pytest.mark.parametrize("name", weaver.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(weaver, name))


@pytest.mark.parametrize("name", weaver.testing.__all__)
def test_every_name_of_the_testing_package_resolves(name: str) -> None:
    assert getattr(weaver.testing, name) is not None


def test_lazy_names_are_those_that_type_checkers_see() -> None:
    assert seen_by_type_checkers() == weaver._LAZY


def test_public_names_are_the_eager_and_the_lazy_ones() -> None:
    eager = {
        name
        for name, (module, _) in names_imported(SOURCE.body).items()
        if module.startswith("weaver")
    }
    assert sorted(eager | set(weaver._LAZY)) == list(weaver.__all__)


def test_a_lazy_name_is_the_object_at_its_place() -> None:
    import importlib

    for name, (module, attribute) in weaver._LAZY.items():
        assert getattr(weaver, name) is getattr(importlib.import_module(module), attribute)


def test_a_name_that_does_not_exist_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'weaver' has no attribute 'componnet'"):
        _ = weaver.componnet


def test_dir_lists_the_public_names() -> None:
    assert dir(weaver) == list(weaver.__all__)
