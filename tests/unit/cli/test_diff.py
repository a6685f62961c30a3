"""`weaver diff`: which versions are meant, and how their differences are told."""

import json
from pathlib import Path

import pytest
from kept_shop import deployed, manifest_of, pex_in

from weaver.cli.main import cli, execute
from weaver.cli.render_difference import lines_of, summary
from weaver.packaging.difference import Change


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_two_versions_are_found_by_the_beginning_of_their_build_ids(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = deployed(folder, manifest_of(), ended=True)
    new = deployed(folder, manifest_of("(user: int) -> int"), started=2.0)
    assert execute(["diff", old.version[:6], new.version[:12]]) == 0
    shown = capsys.readouterr().out
    assert f"- shop {old.version[:12]}" in shown
    assert f"+ shop {new.version[:12]}" in shown
    assert "~ shop.Cart.get  " not in shown
    assert "      + async get(user: int) -> int" in shown


def test_running_is_a_version_and_so_is_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = deployed(folder, manifest_of())
    path = pex_in(folder, manifest_of(listeners=("http", "admin")))
    assert execute(["diff", "running", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["a"]["build_id"] == old.version
    assert found["changes"] == [
        {"kind": "listener", "what": "added", "name": "admin", "before": "", "after": ""}
    ]


def test_a_version_does_not_differ_from_itself(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = deployed(folder, manifest_of())
    assert execute(["diff", "running", one.version]) == 0
    assert "the same version" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("runing", 'did you mean "running"?'),
        ("0000ffff", "see: weaver history"),
        ("no.pex", "there is no file no.pex"),
    ],
)
def test_a_version_that_there_is_not_is_named_with_what_there_is(
    folder: Path, capsys: pytest.CaptureFixture[str], word: str, said: str
) -> None:
    known = deployed(folder, manifest_of()).version[:12]
    assert execute(["diff", word, known]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert word.endswith(".pex") or known in shown


def test_too_short_a_beginning_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = deployed(folder, manifest_of()).version
    assert execute(["diff", known[:2], known]) == 2
    assert "at least 4 digits" in capsys.readouterr().err


def test_a_version_whose_pex_has_gone_says_how_to_get_it_back(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = deployed(folder, manifest_of(), ended=True, keep=False)
    assert execute(["diff", record.version, record.version]) == 2
    shown = capsys.readouterr().err
    assert "is not on this machine" in shown
    assert "git revision abcdef012345" in shown


def completed(command: str, incomplete: str) -> list[str]:
    context = cli.make_context("weaver", [command], resilient_parsing=True)
    found = cli.get_command(context, command)
    assert found is not None
    inner = found.make_context(command, [], parent=context, resilient_parsing=True)
    return [item.value for item in found.params[0].shell_complete(inner, incomplete)]


def test_a_shell_completes_what_can_be_compared_and_what_can_be_gone_back_to(folder: Path) -> None:
    good = deployed(folder, manifest_of("(a: int) -> int"), ended=True).version[:12]
    bad = deployed(folder, manifest_of("(b: int) -> int"), started=2, ended=True, good=False)
    now = deployed(folder, manifest_of("(c: int) -> int"), started=3).version[:12]
    deployed(folder, manifest_of("(d: int) -> int"), started=0, ended=True, keep=False)
    assert completed("diff", "") == ["running", now, bad.version[:12], good]
    assert completed("diff", "ru") == ["running"]
    assert completed("rollback", "") == ["shop", good]
    assert completed("rollback", "zz") == []


def test_long_texts_stand_on_lines_of_their_own_and_many_files_are_cut() -> None:
    texts = [
        *lines_of([Change("method", "changed", "A.b", "x" * 50, "y" * 50)]),
        *lines_of([Change("file", "added", f"f{i}") for i in range(25)]),
        *lines_of([Change("config", "changed", "a.token", "***", "***")]),
    ]
    assert any(text.endswith("+ " + "y" * 50 + "\x1b[0m") for text in texts)
    assert any("5 more files" in text for text in texts)
    assert any("another one" in text for text in texts)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([], "nothing differs"),
        ([Change("weaver", "changed", "weaver")], "weaver differs"),
        ([Change("method", "added", "a")], "1 method differs"),
        (
            [
                Change("method", "added", "a"),
                Change("dependency", "added", "b"),
                Change("dependency", "added", "c"),
                Change("config", "added", "d"),
            ],
            "1 method, 2 dependencies and 1 setting differ",
        ),
    ],
)
def test_the_summary_is_one_line(changes: list[Change], said: str) -> None:
    assert summary(changes) == said
