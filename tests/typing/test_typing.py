"""Type checkers see through references: right use is clean, each wrong line is reported by both."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OK, WRONG = HERE / "ok.py", HERE / "wrong.py"
MARK = "# wrong: "

Reported = dict[Path, dict[int, str]]


def marked() -> set[int]:
    lines = WRONG.read_text().splitlines()
    return {number for number, line in enumerate(lines, start=1) if MARK in line}


@pytest.fixture(scope="module")
def mypy() -> Reported:
    command = [sys.executable, "-m", "mypy", "--output=json"]  # with the cache of `make types`
    done = run([*command, str(OK), str(WRONG)])
    found: Reported = {OK: {}, WRONG: {}}
    for line in done.stdout.splitlines():
        problem = json.loads(line)
        if problem["severity"] == "error":
            found[ROOT / problem["file"]][problem["line"]] = problem["message"]
    return found


@pytest.fixture(scope="module")
def pyright() -> Reported:
    checker = [sys.executable, "-m", "pyright"]
    if run([*checker, "--version"]).returncode:
        pytest.skip("pyright needs node, and could not get it")
    # A project of its own, because the main one leaves wrong.py out.
    done = run([*checker, "--outputjson", "--pythonpath", sys.executable, "--project", str(HERE)])
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 2
    found: Reported = {OK: {}, WRONG: {}}
    for problem in report["generalDiagnostics"]:
        if problem["severity"] == "error":
            line = problem["range"]["start"]["line"] + 1
            found[Path(problem["file"])][line] = problem["message"]
    return found


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False
    )


@pytest.mark.timeout(300)
def test_mypy_accepts_right_use(mypy: Reported) -> None:
    assert mypy[OK] == {}


@pytest.mark.timeout(300)
def test_mypy_reports_exactly_the_wrong_lines(mypy: Reported) -> None:
    assert_exactly_the_marked(mypy[WRONG])


@pytest.mark.timeout(300)
def test_pyright_accepts_right_use(pyright: Reported) -> None:
    assert pyright[OK] == {}


@pytest.mark.timeout(300)
def test_pyright_reports_exactly_the_wrong_lines(pyright: Reported) -> None:
    assert_exactly_the_marked(pyright[WRONG])


def test_there_are_wrong_lines() -> None:
    assert len(marked()) > 30


def assert_exactly_the_marked(reported: dict[int, str]) -> None:
    unmarked = {line: text for line, text in reported.items() if line not in marked()}
    assert unmarked == {}
    assert marked() - set(reported) == set()
