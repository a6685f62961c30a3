"""What programs read: `--json` of the commands around a deployment, in the form that is settled."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from multi_run_shop import MultiRun, multi_run, project_for_session, until

from weaver.packaging.freeze import in_virtual_environment

pytestmark = pytest.mark.skipif(
    not in_virtual_environment(), reason="wheels are taken from a virtual environment"
)

DEPLOYMENT: Final = {
    "app": str, "version": str, "deployment": str, "state": str, "traffic": (int, float),
    "groups": list, "listeners": list, "methods": list,
}  # fmt: skip
GROUP: Final = {"name": str, "components": list, "replicas": list}
REPLICA: Final = {
    "id": str, "pid": int, "host": str, "state": str, "restarts": int, "started": (int, float),
}  # fmt: skip
LISTENER: Final = {"name": str, "address": str}
METHOD: Final = {
    "caller": str, "component": str, "method": str, "calls": int, "rate": (int, float),
    "errors": int,
    "p50_ms": (int, float), "p99_ms": (int, float), "remote": int,
}  # fmt: skip
EVENT: Final = {"time": (int, float), "kind": str, "text": str}
RECORD: Final = {"time": (int, float), "level": str, "message": str}


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_for_session(tmp_path_factory)


@pytest.fixture
def shop(project: Path) -> Iterator[MultiRun]:
    with multi_run(project, "--json") as run:
        yield run.start().live()


def test_every_command_about_a_run_prints_json(shop: MultiRun) -> None:
    began = time.time()
    assert shop.get("/add/2") == (200, "2")
    until(lambda: bool(shop.status()["methods"]))
    status = shop.status()
    check_deployment(status)
    assert (status["app"], status["state"], status["traffic"]) == ("till", "live", 1)
    (method,) = status["methods"]
    assert (method["caller"], method["component"]) == ("till.Web", "till.Counter")
    assert (method["method"], method["calls"], method["errors"]) == ("add", 1, 0)
    assert method["remote"] == 1
    assert 0 < method["p50_ms"] <= method["p99_ms"]
    screen = shop.ask("status", "till").splitlines()
    assert len(screen) < 24
    assert any("Counter.add  1 " in line and line.rstrip().endswith("100%") for line in screen)
    (books,) = (group for group in status["groups"] if group["name"] == "books")
    assert books["components"] == ["till.Ledger", "till.Weak"]
    assert all(began - 60 < r["started"] < time.time() for r in books["replicas"])

    for method in json.loads(shop.ask("metrics", "till", "--json")):
        check(method, METHOD)
    # The one comes by another way than the others, and is written before the last of them.
    until(lambda: all(text in shop.output() for text in ("without Python", "total 2")))
    logs = lines(shop.ask("logs", "till", "--json"))
    added = next(line for line in logs if line["message"] == "added 2")
    check(added, RECORD)
    assert (added["component"], added["stream"]) == ("till.Counter", "stdout")
    assert added["replica"] == "counts-1"
    assert added["version"] == status["version"]
    bare = next(line for line in logs if line["message"] == "without Python")
    assert (bare["replica"], bare["stream"]) == ("counts-1", "stdout")

    warned = lines(shop.ask("logs", "till", "--component=Counter", "--level=warning", "--json"))
    assert [line["message"] for line in warned] == ["total 2"]
    found = lines(shop.ask("logs", "till", "--grep=ADDED", "--since=10m", "--json"))
    assert [line["message"] for line in found] == ["added 2"]

    assert json.loads(shop.ask("scale", "till", "books=2", "--json")) == [
        {"group": "books", "wanted": 2}
    ]
    until(lambda: (found := shop.replica("books-2")) is not None and found.state == "ready")
    events = lines(shop.ask("events", "till", "--json"))
    for event in events:
        check(event, EVENT)
    assert any(e["kind"] == "ready" and e["replica"] == "books-2" for e in events)

    (record,) = json.loads(shop.ask("history", "till", "--json"))
    assert (record["app"], record["deployment"]) == ("till", status["deployment"])
    assert (record["ended"], record["foreground"]) == (0, True)
    stopped = json.loads(shop.ask("stop", "till", "--json"))
    assert stopped == {"app": "till", "deployment": status["deployment"], "state": "stopped"}
    assert shop.wait() == 0
    (record,) = json.loads(shop.ask("history", "--json"))
    assert record["result"] == "stopped"
    assert json.loads(shop.ask("status", "--json")) == []
    printed = [line for line in shop.output().splitlines() if line.startswith("{")]
    for line in printed:
        check(json.loads(line), RECORD)
    assert any("listener http: http://" in line for line in printed)
    assert json.loads(printed[-1])["message"] == "till was stopped by another command"


def test_building_and_deploying_print_json(project: Path, tmp_path: Path) -> None:
    with multi_run(project, WEAVER__LISTENERS__HTTP__ADDRESS="127.0.0.1:0") as run:
        pex = tmp_path / "till.pex"
        built = json.loads(run.ask("build", "-o", str(pex), "--json"))
        assert built["path"] == str(pex)
        assert built["size"] == pex.stat().st_size
        found = json.loads(run.ask("inspect", str(pex), "--json"))
        assert found["build_id"] == built["build_id"]
        assert found["runs_here"]
        deployed = json.loads(run.ask("deploy", "--json"))
        try:
            check_deployment(deployed)
            assert deployed["state"] == "live"
            assert deployed["version"] == built["build_id"]
            (again,) = json.loads(run.ask("status", "till", "--json"))
            assert again["deployment"] == deployed["deployment"]
            nothing = json.loads(run.ask("deploy", "--json"))
            check_deployment(nothing)
            assert nothing["deployment"] == deployed["deployment"]
        finally:
            stopped = json.loads(run.ask("stop", "till", "--json"))
        assert stopped["state"] == "stopped"


def check_deployment(found: Any) -> None:
    check(found, DEPLOYMENT)
    for group in found["groups"]:
        check(group, GROUP)
        for replica in group["replicas"]:
            check(replica, REPLICA)
    for listener in found["listeners"]:
        check(listener, LISTENER)
    for method in found["methods"]:
        check(method, METHOD)


def check(found: Any, shape: dict[str, Any]) -> None:
    for name, kind in shape.items():
        assert isinstance(found[name], kind), (name, found)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
