"""hatch_build.py as a module: it is no part of the package."""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

ROOT = Path(__file__).parents[2]
Config = TypeVar("Config")


class App:
    """What a build says to whoever runs it."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, text: str) -> None:
        self.warnings.append(text)


class Hook(Generic[Config]):
    """In place of hatchling's, which is there in builds only."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.app = App()


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Any:
    name = "hatchling.builders.hooks.plugin.interface"
    stand_in: Any = types.ModuleType(name)
    stand_in.BuildHookInterface = Hook
    monkeypatch.setitem(sys.modules, name, stand_in)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
