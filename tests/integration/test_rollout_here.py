"""Rollouts on this machine, with real processes: a new version beside the old one, under load."""

import subprocess
import sys
from typing import Any

import pytest
from rollout_crowd import Crowd
from rollout_duo import Duo, Load, until
from rollout_victims import replicas

from weaver.deployers.manager_client import is_managed
from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),  # two versions are built and started, on a machine that may be busy
]


@pytest.fixture
def one(duo: Duo) -> Duo:
    """The first version, deployed."""
    done = duo.write("one").deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    return duo


KINDS = ("post", "idle", "slow", "websocket")


def test_a_rollout_loses_no_request_of_any_client_and_mixes_no_versions(duo: Duo) -> None:
    duo.needs("websockets")  # with it, uvicorn speaks WebSocket
    done = duo.write("one").deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    with Load(duo.address) as load, Crowd(duo.address) as crowd:
        until(lambda: all(crowd.versions[f"{kind} one"] for kind in KINDS))
        done = duo.write("two").deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: len(duo.running()) == 1)
        load.sees("two")
        before = load.answers["one"]
        load.sees("two")
        assert load.answers["one"] == before
        until(lambda: all(crowd.versions[f"{kind} two"] for kind in KINDS))
    assert load.failures == []
    assert load.mixed == []
    assert crowd.failures == []
    assert crowd.posted_once(duo.posted)
    second, first = duo.records()
    assert (first.result, bool(first.ended)) == ("replaced", True)
    assert second.good
    stopped = duo.command("stop", "duo")
    assert stopped.returncode == 0, stopped.stderr
    until(lambda: not duo.processes())
    assert list(duo.runtime.rglob("*.sock")) == []


def test_behind_a_proxy_that_stays_versions_change_without_a_failure(duo: Duo) -> None:
    done = duo.write("one", ingress="proxy").deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    assert duo.ingress_workers() == 2
    with Load(duo.address) as load:
        load.sees("one")
        done = duo.write("two", ingress="proxy").deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: len(duo.running()) == 1)
        load.sees("two")
        before = load.answers["one"]
        load.sees("two")
        assert load.answers["one"] == before
        assert load.failures == []
        assert duo.command("stop", "duo").returncode == 0
        until(lambda: bool(load.failures))
    assert [text for text in load.failures if "ConnectionRefused" not in text] == []
    assert load.mixed == []


def test_a_version_that_fails_half_of_its_requests_is_taken_back(one: Duo) -> None:
    with Load(one.address) as load:
        load.sees("one")
        done = one.write("two", fails=2, steps=["30%", "100%"], pause="60s").deploy()
        assert done.returncode == 1
        assert "was taken back" in done.stderr, done.stderr
        load.sees("one")
        until(lambda: len(one.running()) == 1)
        before = load.answers["two"]
        load.sees("one")
        assert load.answers["two"] == before
    assert set(load.failures) == {"500 two two"}
    assert load.mixed == []
    assert len(load.failures) < load.requests / 4
    assert one.records()[0].result == "withdrawn"
    report = one.rollout()
    assert report.phase == "withdrawn"
    assert report.verdict is not None
    assert {request.status for request in report.evidence} == {500}


def test_a_version_that_cannot_start_or_does_not_in_time_is_not_noticed_by_users(one: Duo) -> None:
    with Load(one.address) as load:
        load.sees("one")
        done = one.write("two", start='raise ValueError("no schema today")').deploy()
        hangs = one.write("hangs", start="await asyncio.sleep(600)", start_timeout="1s").deploy()
        load.sees("one")
    assert done.returncode == 1
    assert "no schema today" in done.stderr
    assert hangs.returncode == 1
    assert "was not live within 2 s" in hangs.stderr
    assert "front has 0 of 2 replicas" in hangs.stderr
    assert load.failures == []
    assert set(load.answers) == {"one"}
    until(lambda: len(one.running()) == 1)  # it ends after the command has told why
    again = one.write("three").deploy()
    assert again.returncode == 0, again.stderr


def test_a_rollout_goes_on_under_another_manager(one: Duo) -> None:
    with Load(one.address) as load:
        load.sees("one")
        one.write("two", steps=["20%", "60%", "100%"], pause="2s")
        with one.deploying():
            one.reaches("shifting")
            one.kill_manager()
            load.sees("two")
            load.sees("one")
        attached = one.command("attach", "duo")
        assert attached.returncode == 0, attached.stderr
        one.reaches("warm", "retiring", "done")
        until(lambda: len(one.running()) == 1)
        load.sees("two")
    assert load.failures == []
    assert load.mixed == []


def test_an_aborted_rollout_gives_everything_back_and_so_does_a_rollback_in_the_middle(
    one: Duo,
) -> None:
    with Load(one.address) as load:
        load.sees("one")
        for command, result in (("abort", "aborted"), ("rollback", "rolled back")):
            one.write(command, pause="60s")
            with one.deploying() as deploy:
                one.reaches("shifting")
                load.sees(command)
                back = one.command(command, "duo") if command == "abort" else one.command(command)
                assert back.returncode == 0, back.stderr
                assert deploy.wait(100) == 1
            until(lambda: len(one.running()) == 1)
            before = load.answers[command]
            load.sees("one")
            assert load.answers[command] == before
            assert one.records()[0].result == result
    assert load.failures == []
    assert load.mixed == []


def test_a_version_that_serves_is_taken_back_while_the_old_one_is_warm(one: Duo) -> None:
    wanted: dict[str, Any] = {"steps": ["50%", "100%"], "keep_warm": "1h", "max_versions": 3}
    with Load(one.address) as load:
        load.sees("one")
        done = one.write("two", pause="100ms", **wanted).deploy()
        assert done.returncode == 0, done.stderr
        load.sees("two")
        one.write("three", pause="1h", **wanted)
        with one.deploying() as deploy:
            one.reaches("shifting")
            assert len(one.running()) == 3
            load.sees("three")
            one.steer("abort")
            assert deploy.wait(100) == 1
        one.reaches("warm")
        load.sees("two")
        warm = replicas(one.records()[-1])
        done = one.command("rollback")
        assert done.returncode == 0, done.stdout + done.stderr
        load.sees("one")
        assert replicas(one.records()[-1]) == warm  # nothing had to be started for it
        until(lambda: len(one.running()) == 1)
        before = load.answers["two"]
        load.sees("one")
        assert load.answers["two"] == before
    assert load.failures == []
    assert load.mixed == []
    assert [r.result for r in one.records()] == ["aborted", "rolled back", ""]


def test_a_third_version_takes_the_place_of_one_that_is_being_rolled_out(one: Duo) -> None:
    with one.beside("logs", "-f", "duo") as follower, Load(one.address) as load:
        load.sees("one")
        one.write("two", pause="60s")
        with one.deploying() as deploy:
            one.reaches("shifting")
            done = one.write("three").deploy()
            assert done.returncode == 0, done.stderr
            assert deploy.wait(100) == 1
        until(lambda: len(one.running()) == 1)
        load.sees("three")
        assert load.failures == []
        assert one.command("stop", "duo").returncode == 0
        said, _ = follower.communicate(timeout=100)
    assert load.mixed == []
    three, two, first = one.records()
    assert [r.result for r in (three, two, first)] == ["stopped", "superseded", "replaced"]
    ends = [line for line in said.splitlines() if line.startswith("duo ") and ": " in line]
    assert sorted(ends) == sorted(
        [
            f"duo {two.version[:12]} runs beside it: shown as well",
            f"duo {three.version[:12]} runs beside it: shown as well",
            f"duo {first.version[:12]}: replaced by the next version",
            f"duo {two.version[:12]}: superseded",
            f"duo {three.version[:12]}: stopped",
        ]
    )


def test_what_lost_its_manager_in_a_rollout_is_stopped_with_both_versions(one: Duo) -> None:
    one.write("two", pause="60s")
    with one.deploying():
        one.reaches("shifting")
        one.kill_manager()
    stopped = one.command("stop", "duo")
    assert stopped.returncode == 0, stopped.stderr
    until(lambda: not one.processes())
    assert one.running() == []
    assert list(one.runtime.rglob("*.sock")) == []


BROKEN = """
from weaver.cli.detached import start_beside
from weaver.cli.former import formers_here
from weaver.deployers.manager_process import Task
from weaver.errors import WeaverError
former = formers_here("duo")
broken = ["/bin/false", "-I", "-m", "weaver.application.main", "manager"]
try:
    start_beside(broken, Task(former[0].estate, former=former))
except WeaverError as error:
    print(error.what)
"""


def test_a_version_keeps_a_manager_where_that_of_the_next_one_does_not_come_up(one: Duo) -> None:
    one.kill_manager()
    command = [sys.executable, "-c", BROKEN]
    done = subprocess.run(
        command, env=one.env, capture_output=True, text=True, timeout=100, check=False
    )
    assert "did not start" in done.stdout, done.stderr
    assert is_managed(one.running()[0])


def test_of_two_deploys_at_once_one_is_refused_and_names_the_other(duo: Duo) -> None:
    slow = "import asyncio; await asyncio.sleep(20)"
    duo.write("one", start=slow)
    with duo.deploying() as first:
        until(lambda: bool(duo.running()))
        refused = duo.command("deploy")
    assert refused.returncode == 2
    assert "duo is being deployed" in refused.stderr
    assert f"process {first.pid}" in refused.stderr
