"""What `weaver init` writes is an application that the other commands accept and run."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

WEAVER = [sys.executable, "-m", "weaver.cli.main"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    subprocess.run([*WEAVER, "init", "shop"], cwd=tmp_path, check=True, capture_output=True)
    toml = tmp_path / "shop" / "weaver.toml"
    toml.write_text(toml.read_text().replace("127.0.0.1:8080", "127.0.0.1:0"))
    return tmp_path / "shop"


def weaver(project: Path, args: Sequence[str], code: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [*WEAVER, *args],
        cwd=project,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def test_check_and_graph_accept_the_project(project: Path) -> None:
    assert weaver(project, ["check"]) == "2 components, 1 method, no problems\n"
    tree = weaver(project, ["graph"]).splitlines()
    assert re.match(r"Web \[entry\] \[listener http\] .*web\.py:\d+$", tree[0])
    assert re.match(r"└── Greeter \(greet\) .*greeter\.py:\d+$", tree[1])


def test_config_shows_values_with_their_origin(project: Path) -> None:
    shown = weaver(project, ["config", "--json"], WEAVER__APP__TIMEOUT="5s")
    rows = {row["path"]: row for row in json.loads(shown)}
    greeting = rows["components.Greeter.greeting"]
    assert greeting["value"] == "Hello"
    assert re.search(r"weaver\.toml:\d+$", greeting["provenance"])
    assert rows["app.timeout"]["value"] == "5s"
    assert rows["app.timeout"]["provenance"] == "environment WEAVER__APP__TIMEOUT"
    table = weaver(project, ["config"]).splitlines()
    assert table[0].split() == ["NAME", "VALUE", "FROM"]
    assert len(table) == len(rows) + 1


def test_a_mistake_in_the_configuration_is_named_with_its_line(project: Path) -> None:
    with (project / "weaver.toml").open("a") as file:
        file.write("greting = 1\n")
    for command in ("check", "run", "config"):
        shown = weaver(project, [command], code=2)
        assert "greting" in shown
        assert "weaver.toml:" in shown
        assert "greeting" in shown


def test_run_serves_the_page_and_ends_in_order(project: Path) -> None:
    with subprocess.Popen(
        [*WEAVER, "run"], cwd=project, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        log = ""
        while (found := re.search(r"http://127\.0\.0\.1:\d+", log)) is None:
            line = running.stderr.readline()
            assert line, log
            log += line
        try:
            with urllib.request.urlopen(found[0] + "/?name=%3CAda%3E") as answer:
                assert "<h1>Hello, &lt;Ada&gt;!</h1>" in answer.read().decode()
        finally:
            running.send_signal(signal.SIGTERM)
        log += running.stderr.read()
        assert running.wait() == 0, log
        assert "Traceback" not in log


def test_the_projects_own_test_passes(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
