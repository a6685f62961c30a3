"""What is seen of calls and replicas: traces through processes, log and commands; profiles."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from multi_run_shop import MultiRun, multi_run, project_for_session, until

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(120),
]

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MultiRun]:
    with multi_run(project_for_session(tmp_path_factory)) as run:
        run.start().live()
        yield run


def spans(shop: MultiRun, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(shop.ask("traces", "till", *words, "--json"))
    return found


def test_a_trace_of_the_sender_goes_through_all_processes(shop: MultiRun) -> None:
    header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    for path in ("add/5", "name/x", "name/x"):
        answer = httpx.get(f"http://{shop.address()}/{path}", headers=header, trust_env=False)
        assert answer.status_code == 200
    until(lambda: len(spans(shop, TRACE)) == 9)
    found = spans(shop, TRACE)
    first = next(span for span in found if span["name"] == "GET /add/5")
    added = {span["kind"]: span for span in found if span["name"] == "Counter.add"}
    asked, served = added.pop("remote"), added.pop("served")
    assert not added
    assert (first["parent"], first["replica"], first["kind"]) == (PARENT, "front-1", "request")
    assert (asked["parent"], asked["replica"]) == (first["span"], "front-1")
    assert (asked["caller"], asked["component"]) == ("till.Web", "till.Counter")
    assert asked["attempts"] == 1
    assert (served["parent"], served["replica"]) == (asked["span"], "counts-1")
    assert served["seconds"] <= asked["seconds"] <= first["seconds"]

    (line,) = [
        json.loads(line)
        for line in shop.ask("logs", "till", "--trace", TRACE[:8], "--json").splitlines()
        if "total" in line
    ]
    assert line["trace"] == TRACE
    assert line["component"] == "till.Counter"
    shown = shop.ask("traces", "till", TRACE)
    assert "Web -> Counter.add  remote  front-1\n" in shown
    assert "Counter.add  counts-1\n" in shown
    assert TRACE in shop.ask("traces", "till")


def test_other_requests_are_not_traced(shop: MultiRun) -> None:
    before = spans(shop)
    assert shop.get("/add/1")[0] == 200
    assert "total" in shop.ask("logs", "till")
    assert spans(shop) == before


def test_a_profile_shows_where_the_threads_of_a_replica_are(shop: MultiRun, tmp_path: Path) -> None:
    stacks: dict[str, int] = json.loads(
        shop.ask("profile", "till", "front-1", "--seconds", "0.5", "--json")
    )
    assert any("runners.py:Runner.run" in stack for stack in stacks)
    output = tmp_path / "stacks"
    shown = shop.ask("profile", "till", "front-1", "--seconds", "0.2", "-o", str(output))
    assert "WITH CALLEES" in shown
    assert all(line.rpartition(" ")[2].isdigit() for line in output.read_text().splitlines())
    refused = shop.run("profile", "till", "front-7")
    assert refused.returncode == 2
    assert 'did you mean "front-1"?' in refused.stderr


@pytest.fixture
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MultiRun]:
    with multi_run(project_for_session(tmp_path_factory), WEAVER__APP__TRACE_SAMPLE="100%") as run:
        run.start().live()
        yield run


def test_a_share_of_requests_is_traced_and_failures_are_named(sampled: MultiRun) -> None:
    assert sampled.get("/crash")[0] == 500
    until(lambda: len(spans(sampled)) == 2)  # the callee has died with its own
    root, call = spans(sampled)
    assert (root["name"], root["error"]) == ("GET /crash", "500")
    assert "parent" not in root
    assert (call["name"], call["kind"], call["error"]) == (
        "Fragile.crash",
        "remote",
        "ConnectionLost",
    )
