"""Which core the tests run on, and what it is made of (docs/decisions/0010)."""

import ast
import os
from pathlib import Path

import pytest

from weaver.cli.commands.version import core

ROOT = Path(__file__).parents[2]


def modules() -> list[str]:
    tree = ast.parse((ROOT / "hatch_build.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODULES":
            return list(ast.literal_eval(node.value))
    raise AssertionError("hatch_build.py names no MODULES")


def test_these_tests_run_on_the_core_that_was_asked_for() -> None:
    asked = os.environ.get("WEAVER_CORE", "0") == "1"
    assert core() == ("compiled" if asked else "pure Python")


@pytest.mark.parametrize("module", modules())
def test_what_is_compiled_can_be(module: str) -> None:
    """Async generators cannot, and stand in modules of their own."""
    source = (ROOT / "weaver" / f"{module}.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncFunctionDef):
            yields = [n for n in ast.walk(node) if isinstance(n, ast.Yield)]
            assert not yields, f"{module}.{node.name} is an async generator"
