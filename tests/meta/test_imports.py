"""What importing weaver costs, counted in modules: an application's start must stay light."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

WEAVER = Path(__file__).parents[2] / "weaver"
HEAVY = {"asyncio", "socket", "ssl", "msgspec", "uvloop", "uvicorn", "click", "rich", "pydantic"}
SHELL = {"weaver.proclet", "weaver.transport", "weaver.application", "weaver.deployers"}
COMMAND_LINE_ONLY = {"click", "rich", "pex", "paramiko", "fabric"}
SSH_ONLY = {"paramiko", "fabric"}


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    return set(json.loads(done.stdout))


def may_import(path: Path) -> set[str]:
    """What a file of weaver may import of the packages that are not in the PEX."""
    parts = path.relative_to(WEAVER).parts
    if parts[0] == "cli":
        return COMMAND_LINE_ONLY
    return SSH_ONLY if parts[:2] == ("deployers", "ssh") else set()


def imported_by(path: Path) -> set[str]:
    """The top-level names that a file imports, at its head or inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_import_weaver_loads_nothing_that_runs_components() -> None:
    loaded = modules_after("import weaver") - modules_after("")
    assert "weaver.component.declare" in loaded
    assert (HEAVY | SHELL | {"dataclasses", "inspect"}) & loaded == set()


def test_declaring_a_component_loads_nothing_that_runs_it() -> None:
    statement = "import weaver\n@weaver.component\nclass A:\n    async def f(self) -> int: ..."
    assert (HEAVY | SHELL) & (modules_after(statement) - modules_after("")) == set()


def test_running_components_does_not_load_the_command_line() -> None:
    loaded = modules_after("import weaver.application.run, weaver.deployers.in_process")
    assert {name for name in loaded if name.startswith("weaver.cli")} == set()
    assert {"rich", "paramiko", "fabric"} & loaded == set()


def test_managers_and_envelopes_do_not_load_what_runs_components() -> None:
    loaded = modules_after(
        "import weaver.application.main, weaver.envelope.main, weaver.deployers.manager_process"
    )
    assert {"uvicorn", "weaver.proclet.host", "weaver.application.run"} & loaded == set()


@pytest.mark.parametrize("package", ["weaver.testing", "weaver.testing.plugin"])
def test_the_pytest_plugin_is_light(package: str) -> None:
    loaded = modules_after(f"import pytest, {package}") - modules_after("import pytest")
    assert (HEAVY | SHELL) & loaded == set()


def test_only_the_command_line_imports_what_only_it_needs() -> None:
    offenders = {
        path.relative_to(WEAVER).as_posix(): sorted(found)
        for path in sorted(WEAVER.rglob("*.py"))
        if (found := imported_by(path) & COMMAND_LINE_ONLY - may_import(path))
    }
    assert offenders == {}


def test_reading_a_list_of_hosts_does_not_load_paramiko() -> None:
    loaded = modules_after("import weaver.deployers.ssh.inventory, weaver.deployers.ssh.remote")
    assert "weaver.deployers.ssh.inventory" in loaded
    assert loaded & SSH_ONLY == set()


def test_the_check_of_imports_sees_them() -> None:
    assert "click" in imported_by(WEAVER / "cli" / "main.py")
