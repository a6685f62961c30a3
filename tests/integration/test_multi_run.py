"""`weaver multi run` and the commands that look at it, as a user runs them: real processes."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from multi_run_shop import MultiRun, multi_run, project_for_session, until

from weaver.packaging.freeze import in_virtual_environment

pytestmark = pytest.mark.skipif(
    not in_virtual_environment(), reason="wheels are taken from a virtual environment"
)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_for_session(tmp_path_factory)


@pytest.fixture
def shop(project: Path) -> Iterator[MultiRun]:
    with multi_run(project) as run:
        yield run.start().live()


def test_pages_are_served_and_the_commands_answer_by_name(shop: MultiRun) -> None:
    assert shop.get("/name/ann") == (200, "name of ann")
    assert shop.get("/add/2") == (200, "2")
    status = shop.status()
    assert {"app", "version", "deployment", "state", "groups", "listeners", "methods"} <= set(
        status
    )
    assert {group["name"] for group in status["groups"]} == {
        "front", "names", "counts", "books",
    }  # fmt: skip
    assert status["listeners"] == [{"name": "http", "address": shop.address()}]
    for group in status["groups"]:
        for replica in group["replicas"]:
            assert psutil.pid_exists(replica["pid"])
            assert replica["restarts"] == 0
    until(lambda: any(one["method"] == "get" for one in shop.status()["methods"]))
    lines = [json.loads(line) for line in shop.ask("logs", "till", "--json").splitlines()]
    assert any("added 2" in str(line) and "counts" in str(line) for line in lines)
    assert any("total 2" in str(line) and "Counter" in str(line) for line in lines)
    assert "weaver" in shop.ask("metrics", "till")
    assert shop.ask("events", "till")
    assert "till" in shop.ask("history")
    shop.ask("scale", "till", "names=3")
    until(lambda: len(shop.replicas("names")) == 3)
    shop.ask("stop", "till")
    assert shop.wait() == 0


@pytest.mark.parametrize("group", ["names", "counts", "front"])
def test_a_killed_replica_comes_back_under_its_name(shop: MultiRun, group: str) -> None:
    name, before = next(iter(shop.replicas(group).items()))
    os.kill(before["pid"], signal.SIGKILL)
    if group == "names":
        for number in range(100):
            assert shop.get(f"/name/{number}") == (200, f"name of {number}")

    def is_back() -> bool:
        now = shop.replicas(group).get(name, before)
        return bool(now["pid"] not in {before["pid"], 0} and now["restarts"] == 1)

    until(is_back)
    assert shop.get("/name/ann") == (200, "name of ann")


@pytest.mark.parametrize("victim", ["manager", "envelope"])
def test_nothing_is_left_of_a_run_whose_manager_or_envelope_is_killed(
    project: Path, victim: str
) -> None:
    with multi_run(project) as run:
        run.start().live()
        port = run.address().rsplit(":", 1)[1]
        assert run.process is not None
        manager = psutil.Process(run.process.pid)
        (manager if victim == "manager" else manager.children()[0]).kill()
        until(lambda: run.process is not None and (run.process.poll(), run.processes())[1] == [], 3)
        run.wait()
        assert run.ask("status") == "no deployment runs on this machine\n"
        run.env["WEAVER__LISTENERS__HTTP__ADDRESS"] = f"127.0.0.1:{port}"
        run.start().live()
        assert run.get("/name/ann") == (200, "name of ann")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_in_order(shop: MultiRun, number: signal.Signals) -> None:
    shop.signal(number)
    assert shop.wait() == 0
    assert shop.output().count("web stopped") == 1
    assert shop.output().count("names stopped") == 2
    assert shop.processes() == []
    assert [path for path in shop.runtime.rglob("*") if not path.is_dir()] == []


def test_a_component_that_crashes_is_reported_and_the_others_serve_on(shop: MultiRun) -> None:
    status, _ = shop.get("/crash")
    assert status == 500
    until(lambda: "last words" in shop.output())
    assert "first words" in shop.output()
    assert "more words" in shop.output()
    assert shop.get("/name/ann") == (200, "name of ann")
    until(lambda: next(iter(shop.replicas("counts").values()))["restarts"] == 1)


def test_a_failing_start_fails_the_run_with_its_reason(project: Path) -> None:
    with multi_run(project, TILL_FAILS="1") as run:
        assert run.start().wait() == 1
        said = run.output()
        assert said.count("no names today") == 1
        place = f"\n  where: {project / 'till.py'}:"  # and not that of its copy in the release
        assert f"error: Names.start failed: ValueError: no names today{place}" in said
        assert "the list of names is empty" in said
        assert run.left() == []


def test_a_port_in_use_is_said_and_nothing_is_left(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with multi_run(project, WEAVER__LISTENERS__HTTP__ADDRESS=address) as run:
            assert run.start().wait() == 1
            assert run.output().count("in use") == 1
            assert f"error: {address} is in use\n" in run.output()
            assert f"held by pid {os.getpid()} (" in run.output()
            assert "fix:   stop that process, or choose another port" in run.output()
            assert run.left() == []


def test_a_state_directory_that_cannot_be_made_is_named(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with multi_run(project, XDG_STATE_HOME=str(tmp_path / "file")) as run:
        assert run.start().wait() == 1
        assert "XDG_STATE_HOME" in run.output()
        assert run.left() == []
        assert {path.name for path in run.runtime.rglob("*")} <= {"weaver"}  # no directory either


def test_a_replica_that_hangs_is_replaced_while_the_others_serve(shop: MultiRun) -> None:
    name, before = next(iter(shop.replicas("names").items()))
    os.kill(before["pid"], signal.SIGSTOP)
    until(lambda: shop.replicas("names").get(name, before)["pid"] not in {before["pid"], 0}, 30)
    for number in range(50):
        assert shop.get(f"/name/{number}") == (200, f"name of {number}")


def test_a_second_interrupt_ends_at_once(project: Path) -> None:
    with multi_run(project, TILL_STOPS="100", WEAVER__APP__STOP_TIMEOUT="100s") as run:
        run.start().live()
        run.signal(signal.SIGINT)
        until(lambda: "press Ctrl-C again" in run.output())
        run.signal(signal.SIGINT)
        until(run.ended, 50)
        assert run.wait() == 130
        assert run.processes() == []


def test_commands_run_beside_a_replica_in_the_environment_of_the_application(
    shop: MultiRun,
) -> None:
    program = "import os, sys, till; print(till.__file__, os.environ['TILL_GREETING']); sys.exit(7)"
    done = shop.run("exec", "till", "names", "--", "python", "-c", program)
    assert done.returncode == 7, done.stderr
    assert "site-packages" in done.stdout
    assert "hello there" in done.stdout
    missing = shop.run("exec", "till", "nmaes", "--", "python", "-V")
    assert missing.returncode == 2
    assert 'did you mean "names"' in missing.stderr
    late = shop.run("exec", "--timeout", "200ms", "till", "names", "sleep", "30")
    assert late.returncode == 1
    assert "did not end within 0.2 s" in late.stderr
    assert "python on local for names: exit code 7" in shop.ask("events", "till")
