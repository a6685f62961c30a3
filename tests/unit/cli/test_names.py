"""Names on the command line: those that shells complete, and those that there are not."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from fake_manager import FakeManager

from weaver.cli.main import cli, execute
from weaver.control.operator import (
    DeploymentReport,
    Done,
    GetSpans,
    GroupReport,
    ReplicaReport,
    Status,
)
from weaver.deployers import registry
from weaver.deployers.registry import Record


class Manager(FakeManager):
    """Answers with groups; `asked_of` is the trace that was asked for last."""

    asked_of = ""

    def _answers(self, request: object) -> list[object]:
        if isinstance(request, GetSpans):
            self.asked_of = request.trace
            return [Done()]
        front = GroupReport(
            "front", ("shop.Web",), 2, (ReplicaReport("front-1", 1, "web1", "ready"),)
        )
        cart = GroupReport("cart", ("shop.Cart", "shop.Store"), 1)
        return [
            Status(DeploymentReport("shop", "b" * 64, "d2", "live", groups=(front, cart))),
            Done(),
        ]


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """That of a shop which runs; a till has ended."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with (
        tempfile.TemporaryDirectory(prefix="weaver-") as folder,
        Manager(Path(folder) / "m") as found,
    ):
        for app, ended in (("till", 2.0), ("shop", 0.0)):
            record = Record(
                app=app,
                deployment="d2",
                version="b" * 64,
                pid=os.getpid(),
                socket=f"{folder}/m",
                started=1.0,
                ended=ended,
            )
            registry.write(record)
        yield found


def completed(*words: str) -> list[str]:
    """What a shell is offered for the last of these words."""
    *before, begun = words
    shell = ShellComplete(cli, {}, "weaver", "_WEAVER_COMPLETE")
    return [item.value for item in shell.get_completions(before, begun)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("status", ""), ["shop"]),
        (("status", "t"), []),
        (("logs", ""), ["shop", "till"]),
        (("history", "t"), ["till"]),
        (("exec", "shop", ""), ["front", "cart"]),
        (("profile", "shop", "f"), ["front-1"]),
        (("profile", "nope", ""), []),
        (("logs", "shop", "--component", "S"), ["Store"]),
        (("logs", "--replica", ""), ["front-1"]),
        (("scale", ""), ["shop", "front=2", "cart=1"]),
        (("scale", "shop", "c"), ["cart=1"]),
        (("rollback", "sh"), ["shop"]),
        (("deploy", "--ssh", "ho"), ["ho"]),
    ],
)
def test_a_shell_completes_names(
    manager: Manager, words: tuple[str, ...], expected: list[str]
) -> None:
    del manager
    assert completed(*words) == expected


def test_a_trace_may_stand_alone(manager: Manager, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["traces", "4bf9"]) == 0
    assert manager.asked_of == "4bf9"
    assert capsys.readouterr().err == 'no trace "4bf9" of shop is kept; see: weaver traces shop\n'
    assert execute(["traces", "shopp"]) == 2
    assert 'did you mean "shop"?' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["prune", "shpo"], 'did you mean "shop"?'),
        (["inspect", "nope.pex"], "there is no file nope.pex"),
        (["shell", "shop", "web1"], "no hosts are named"),
        (["profile", "shop", "front-1", "-o", "nowhere/x"], "there is no directory nowhere"),
        (["exec", "shop", "front", "--replica", "x"], "weaver exec --replica … shop front --"),
    ],
)
def test_what_there_is_not_is_wrong_usage(
    manager: Manager, words: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del manager
    assert execute(words) == 2
    assert what in capsys.readouterr().err


def test_an_application_whose_releases_are_gone_has_none(
    manager: Manager, capsys: pytest.CaptureFixture[str]
) -> None:
    del manager
    assert execute(["prune", "shop"]) == 0
    assert capsys.readouterr().out == "this machine: no releases\n"


def test_a_status_that_nobody_gives_fails_and_one_that_is_over_is_none(
    manager: Manager, capsys: pytest.CaptureFixture[str]
) -> None:
    manager.meanwhile = lambda _: True
    assert execute(["status", "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == "[]\n"
    assert err.startswith("warning: the manager of shop cannot be reached\n")
    record = registry.current("shop")
    manager.meanwhile = lambda _: bool(registry.ended(record, "stopped"))
    assert execute(["status", "shop"]) == 0
    assert capsys.readouterr().err == ""
