"""How a rollout looks: what happens, what comes next, and what speaks against it."""

import json

from rich.console import Console

from weaver.cli.render_rollout import (
    changed,
    evidence_lines,
    headline,
    line,
    milliseconds,
    percent,
    plain,
    screen,
    seconds,
    title,
)
from weaver.control.ingress import FailedRequest
from weaver.control.message import Fault
from weaver.control.rollout import RolloutReport, VersionReport

NEW = VersionReport(
    "d2",
    "b" * 64,
    weight=0.25,
    ready=1,
    wanted=2,
    requests=120,
    errors=3,
    in_flight=4,
    rate=40.25,
    p50=0.0031,
    p99=1.5,
)
OLD = VersionReport("d1", "a" * 64, weight=0.75, ready=2, wanted=2)
SHIFTING = RolloutReport(
    "shop", "shifting", step=1, steps=(0.05, 0.25, 1.0), next_at=112.0, versions=(NEW, OLD)
)


def drawn(report: RolloutReport, hint: str = "") -> str:
    console = Console(width=120, highlight=False)
    with console.capture() as capture:
        console.print(screen(report, 100.0, hint))
    return capture.get()


def but(report: RolloutReport, **fields: object) -> RolloutReport:
    import msgspec

    return msgspec.structs.replace(report, **fields)


def test_the_headline_says_what_happens_and_what_comes_next() -> None:
    assert headline(SHIFTING, 100.0) == "traffic shifts, step 2 of 3 (25 %), next in 12 s"
    assert headline(but(SHIFTING, step=2), 100.0).endswith("done in 12 s")
    assert headline(but(SHIFTING, held=True), 100.0).endswith("(25 %), paused")
    assert headline(but(SHIFTING, next_at=50.0), 100.0).endswith("next in 0 s")
    waits = headline(but(SHIFTING, phase="before", held=True), 100.0)
    assert waits == "the new version is up, paused", "no hook begins while it is paused"
    warm = headline(but(SHIFTING, phase="warm", next_at=700.0), 100.0)
    assert warm == "the new version serves alone, the old one is kept warm, it stops in 10 min"
    assert headline(but(SHIFTING, phase="a new word", next_at=0.0), 0.0) == "a new word"


def test_the_screen_has_both_versions_side_by_side() -> None:
    shown = drawn(SHIFTING, "see also")
    assert title(SHIFTING) in shown
    for word in ("25 %", "75 %", "1/2", "120", "40.2/s", "3.1 ms", "1.50 s", "see also"):
        assert word in shown
    assert "5 % · 25 % · 100 %" in shown


def test_a_first_version_has_no_other_one_beside_it() -> None:
    first = RolloutReport("shop", "starting", versions=(NEW,))
    assert title(first) == "shop  bbbbbbbbbbbb"
    assert "after" not in drawn(first)
    assert title(RolloutReport("shop", "done")) == "shop"


def test_a_line_has_all_that_changes() -> None:
    assert line(SHIFTING, 100.0) == (
        "traffic shifts, step 2 of 3 (25 %), next in 12 s; bbbbbbbbbbbb 25 % 1/2 ready "
        "120 requests 3 errors; aaaaaaaaaaaa 75 % 2/2 ready"
    )


def test_what_a_new_manager_does_not_know_yet_is_not_told_as_nothing() -> None:
    import msgspec

    unknown = msgspec.structs.replace(NEW, ready=0, settled=False)
    assert f"?/{NEW.wanted} ready" in line(but(SHIFTING, versions=(unknown,)), 100.0)


def test_growing_counts_are_no_change_worth_a_line() -> None:
    more = but(SHIFTING, versions=(but_version(requests=500), OLD), next_at=113.0)
    assert not changed(SHIFTING, more)
    assert changed(None, SHIFTING)
    for other in (
        but(SHIFTING, step=2),
        but(SHIFTING, held=True),
        but(SHIFTING, phase="closing"),
        but(SHIFTING, verdict=Fault("bad")),
        but(SHIFTING, versions=(but_version(weight=0.1), OLD)),
    ):
        assert changed(SHIFTING, other)


def but_version(**fields: object) -> VersionReport:
    import msgspec

    return msgspec.structs.replace(NEW, **fields)


def test_json_has_plain_numbers() -> None:
    found = json.loads(json.dumps(plain(but(SHIFTING, verdict=Fault("bad", fix="repair it")))))
    assert found["phase"] == "shifting"
    assert found["versions"][0]["p99_ms"] == 1500.0
    assert found["verdict"]["what"] == "bad"
    assert found["steps"] == [0.05, 0.25, 1.0]


def test_evidence_is_cut_where_it_is_much() -> None:
    failed = tuple(
        FailedRequest("d2", 0.0, "GET", f"/{i}", status=500 * (i % 2), why="broke" * (i % 2))
        for i in range(7)
    )
    found = evidence_lines(failed, ("boom",))
    assert found[:3] == ["failed requests:", "  GET /0 -> no answer", "  GET /1 -> 500: broke"]
    assert found[6] == "  … and 2 more: --json has all"
    assert found[7:] == ["last lines of log:", "  boom"]
    assert evidence_lines((), ()) == []


def test_a_traceback_in_the_log_is_told_by_its_ends_and_once() -> None:
    failed = "front-1 Web: GET / failed\nTraceback (most recent call last):\n  File\nValueError: no"
    found = evidence_lines((), (failed, failed, "front-1 goes on"))
    assert found[1:] == ["  front-1 Web: GET / failed … ValueError: no", "  front-1 goes on"]


def test_units_read_well() -> None:
    assert [percent(x) for x in (0, 0.05, 0.125, 1)] == ["0 %", "5 %", "12.5 %", "100 %"]
    assert [milliseconds(x) for x in (0, 0.0031, 2)] == ["-", "3.1 ms", "2.00 s"]
    assert [seconds(x) for x in (4.4, 120, 570)] == ["4 s", "2 min", "9 min 30 s"]
