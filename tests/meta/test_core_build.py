"""When the core is compiled, and what a build does where it cannot be (docs/decisions/0013)."""

import os
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SMALL = """
from typing import Any

async def relay(what: Any) -> Any:
    return await what
"""
# Cancels what a compiled coroutine awaits, where warnings are errors.
PROGRAM = """
import asyncio
from weaver import frames

async def main():
    task = asyncio.create_task(frames.relay(asyncio.sleep(60)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task
    print(frames.__file__)

asyncio.run(main())
"""
BROKEN = "def answer() -> int:\n    return 'forty-two'\n"  # mypyc refuses it


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEAVER_CORE", raising=False)
    monkeypatch.setenv("WEAVER_NATIVE", "0")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A package `weaver` that is quickly refused."""
    (tmp_path / "weaver").mkdir()
    (tmp_path / "weaver" / "__init__.py").touch()
    (tmp_path / "weaver" / "frames.py").write_text(BROKEN)
    return tmp_path


def compiler_at(path: Path) -> str:
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_it_is_compiled_where_there_is_a_compiler(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        pytest.skip("this Python has no headers")
    monkeypatch.setenv("CC", compiler_at(tmp_path / "cc"))
    assert build.wants_core()
    needed = build.CoreHook(ROOT).dependencies()
    assert any(requirement.startswith("mypy") for requirement in needed)


def test_without_a_compiler_nothing_is_fetched(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    assert build.CoreHook(ROOT).dependencies() == []


def test_it_can_be_left_out_and_asked_for(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler_at(tmp_path / "cc"))
    monkeypatch.setenv("WEAVER_CORE", "0")
    assert build.CoreHook(ROOT).dependencies() == []
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    monkeypatch.setenv("WEAVER_CORE", "1")
    assert build.CoreHook(ROOT).dependencies() != []


def test_a_core_that_cannot_be_compiled_is_left_to_its_sources(
    build: Any, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MODULES", ("frames",))
    monkeypatch.setattr(build, "wants_core", lambda: True)
    hook = build.CoreHook(sources)
    data: dict[str, Any] = {"force_include": {}}
    hook.initialize("standard", data)
    hook.finalize("standard", data, "")
    assert data == {"force_include": {}}
    (warning,) = hook.app.warnings
    assert warning.startswith("the core of weaver is left to its sources")
    assert "frames.py:2" in warning


def test_where_it_was_asked_for_that_is_an_error(
    build: Any, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_core(_root: Path, _work: Path) -> list[Path]:
        raise build.NotCompiled("cc: not today")

    monkeypatch.setattr(build, "compile_core", compile_core)
    monkeypatch.setenv("WEAVER_CORE", "1")
    hook = build.CoreHook(sources)
    with pytest.raises(SystemExit) as ended:
        hook.initialize("standard", {"force_include": {}})
    hook.finalize("standard", {}, "")
    assert "could not be compiled:\ncc: not today" in str(ended.value)
    assert "fix: a C compiler" in str(ended.value)


@pytest.mark.parametrize("compiler", ["none", "fails"])
def test_what_a_compiler_says_is_told(build: Any, tmp_path: Path, compiler: str) -> None:
    path = tmp_path / "cc"
    command = str(path) if compiler == "none" else compiler_at(path)
    with pytest.raises(build.NotCompiled, match="cc"):
        build._run([command], tmp_path)


def test_a_small_core_is_compiled_and_runs(
    build: Any, sources: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not (build._can_compile() and build._has_compiler()):
        pytest.skip("there is no C compiler here, or no Python.h")
    (sources / "weaver" / "frames.py").write_text(SMALL)
    monkeypatch.setattr(build, "MODULES", ("frames",))
    work = tmp_path / "work"
    work.mkdir()
    libraries = build.compile_core(sources, work)
    assert {path.name.partition(".")[0] for path in libraries} == {"frames", "_core__mypyc"}
    told = subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", PROGRAM],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(work)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert told.stdout.strip().endswith(sysconfig.get_config_var("EXT_SUFFIX"))


def test_an_editable_install_refuses_one(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVER_CORE", "1")
    with pytest.raises(SystemExit, match="editable"):
        build.CoreHook(ROOT).initialize("editable", {})
