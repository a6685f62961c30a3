"""run, check and graph over a fake application layer: what they pass on, print and return."""

import json
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from weaver.cli.main import execute
from weaver.config.load import load
from weaver.errors import DefinitionError, Problem, UsageError, WeaverError


@dataclass
class FakeNode:
    name: str
    file: str = ""
    methods: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()
    entry: bool = False


@dataclass
class FakeGraph:
    nodes: tuple[FakeNode, ...]
    edges: tuple[tuple[str, str], ...]


@dataclass
class FakeReport:
    components: int = 2
    methods: int = 1
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


class FakeTarget(tuple[str | None, str | None]):
    """What was asked for, with an empty weaver.toml."""

    __slots__ = ()
    config = load("")
    project = Path()


@dataclass
class FakeApplication:
    """Stands for `weaver.application`; its target is the tuple of what was asked for."""

    report: FakeReport = field(default_factory=FakeReport)
    refusal: WeaverError | None = None
    exit_code: int = 0
    ran: list[tuple[object, bool]] = field(default_factory=list[tuple[object, bool]])

    def load_target(
        self, target: str | None, *, config: str | None, faults: list[Problem] | None = None
    ) -> object:
        del faults
        if self.refusal is not None:
            raise self.refusal
        return FakeTarget((target, config))

    def check_target(self, target: object) -> FakeReport:
        return self.report

    def run_target(self, target: object, *, strict_copies: bool) -> int:
        self.ran.append((target, strict_copies))
        return self.exit_code

    def describe_graph(self, target: object) -> FakeGraph:
        nodes = (FakeNode("Web", entry=True), FakeNode("Cart"))
        return FakeGraph(nodes, (("Web", "Cart"),))


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> FakeApplication:
    fake = FakeApplication()
    module = types.ModuleType("weaver.application")
    for name in ("load_target", "check_target", "run_target", "describe_graph"):
        setattr(module, name, getattr(fake, name))
    monkeypatch.setitem(sys.modules, "weaver.application", module)
    return fake


@pytest.mark.parametrize(
    ("args", "passed_on"),
    [
        ([], ((None, None), False)),
        (["shop.web:Web"], (("shop.web:Web", None), False)),
        (["--config", "x.toml", "shop:app", "--strict-copies"], (("shop:app", "x.toml"), True)),
    ],
)
def test_run_passes_its_arguments_on(
    application: FakeApplication, args: list[str], passed_on: tuple[object, bool]
) -> None:
    assert execute(["run", *args]) == 0
    assert application.ran == [passed_on]


def test_run_ends_with_the_code_of_the_application(application: FakeApplication) -> None:
    application.exit_code = 130
    assert execute(["run"]) == 130


def test_check_counts_and_ends_with_0(
    application: FakeApplication, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["check"]) == 0
    assert capsys.readouterr().out == "2 components, 1 method, no problems\n"


def test_check_shows_problems_and_notes_and_ends_with_2(
    application: FakeApplication, capsys: pytest.CaptureFixture[str]
) -> None:
    application.report = FakeReport(
        problems=(Problem("bad", where="a.py:1", fix="mend it"), Problem("worse")),
        notes=(Problem("odd"),),
    )
    assert execute(["check"]) == 2
    shown = capsys.readouterr()
    assert shown.out == "2 components, 1 method, 2 problems\n"
    assert shown.err == ("error: bad\n  where: a.py:1\n  fix:   mend it\nerror: worse\nnote: odd\n")


def test_check_json_has_all_parts(
    application: FakeApplication, capsys: pytest.CaptureFixture[str]
) -> None:
    application.report = FakeReport(problems=(Problem("bad", where="a.py:1"),))
    assert execute(["check", "--json"]) == 2
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {
        "components": 2,
        "methods": 1,
        "problems": [{"what": "bad", "where": "a.py:1", "why": "", "fix": ""}],
        "notes": [],
    }
    assert shown.err == ""


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (DefinitionError([Problem("bad")]), 2),
        (UsageError("bad"), 2),
        (WeaverError("bad"), 1),
    ],
)
def test_check_json_stays_json_when_the_target_cannot_be_loaded(
    application: FakeApplication,
    capsys: pytest.CaptureFixture[str],
    refusal: WeaverError,
    code: int,
) -> None:
    application.refusal = refusal
    assert execute(["check", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["problems"][0]["what"] == "bad"


def test_graph_formats(application: FakeApplication, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["graph"]) == 0
    assert capsys.readouterr().out == "Web [entry]\n└── Cart\n"
    assert execute(["graph", "--format", "mermaid"]) == 0
    assert capsys.readouterr().out.startswith("flowchart LR\n")
    assert execute(["graph", "--format", "json"]) == 0
    by_format = capsys.readouterr().out
    assert execute(["graph", "--json"]) == 0
    assert capsys.readouterr().out == by_format
    assert json.loads(by_format)["edges"] == [{"caller": "Web", "callee": "Cart"}]
