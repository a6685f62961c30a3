"""`weaver check` reports what is wrong in weaver.toml, what it names, and the code, in one run."""

import json
import os
from pathlib import Path

import pytest

from weaver.cli.main import execute

CODE = """
import weaver

@weaver.component
class {0}:
    async def get(self, user): ...

@weaver.component
class {1}:
    cart: {0}
    http: weaver.Listener
    async def main(self) -> None: ...
"""
TOML = """[app]
name = "atonce"
entry = "{module}:Front{number}"
timeout = "3"
[groups.front]
components = ["Frontt{number}"]
hosts = ["tag:bg"]
replcas = 2
[components.Basket{number}]
size = 3
[ssh]
hosts = "hosts.txt"
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A project with a fault in each of its parts; returns what makes its names its own."""
    number = str(abs(hash(request.node.name)) % 10**6)
    names = f"Basket{number}", f"Front{number}"
    (tmp_path / f"atonce{number}.py").write_text(CODE.format(*names))
    toml = TOML.format(module=f"atonce{number}", number=number)
    (tmp_path / "weaver.toml").write_text(toml)
    (tmp_path / "hosts.txt").write_text("web1 labels=big\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # pyright: ignore[reportUnknownMemberType] - pytest's own
    for name in list(os.environ):
        if name.startswith("WEAVER__"):
            monkeypatch.delenv(name)
    return number


def test_all_of_it_at_once(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check", "--json"]) == 2
    shown = json.loads(capsys.readouterr().out)["problems"]
    found = {problem["what"]: problem["fix"] for problem in shown}
    assert found['unknown key "replcas" in [groups.front]'] == 'did you mean "replicas"?'
    assert any(what.startswith("[app] timeout: expected a duration") for what in found)
    unknown = f'unknown component "Frontt{written}" in [groups.front] components'
    assert found[unknown] == f'did you mean "Front{written}"?'
    assert found['unknown host "tag:bg" in [groups.front] hosts'] == 'did you mean "tag:big"?'
    assert f"Basket{written}.get: parameter `user` has no annotation" in found
    assert len(found) == len(shown)


def test_a_module_that_is_missing_does_not_hide_the_rest(
    written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (tmp_path / "weaver.toml").read_text()
    (tmp_path / "weaver.toml").write_text(text.replace(f"atonce{written}:", "notthere:"))
    assert execute(["check"]) == 2
    shown = capsys.readouterr().err
    assert "[app] timeout: expected a duration" in shown
    assert "there is no module notthere\n  where: weaver.toml:3" in shown


def test_a_hosts_file_that_is_missing_is_told(
    written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del written
    (tmp_path / "hosts.txt").unlink()
    assert execute(["check"]) == 2
    assert f"there is no file {tmp_path}/hosts.txt" in capsys.readouterr().err
