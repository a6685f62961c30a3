"""Processes killed in the middle of a rollout: it ends as it would have, nearly unnoticed."""

import contextlib
import os
import signal
from collections.abc import Iterator

import psutil
import pytest
from rollout_duo import Duo, Load, duo_in, until

from weaver.deployers.manager_client import ask_status
from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),  # two versions are built and started, on a machine that may be busy
]

CLIENTS = 4


@pytest.fixture
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Duo]:
    """The first version, deployed."""
    base = tmp_path_factory.getbasetemp()
    caches = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packaging"
    caches.mkdir(exist_ok=True)
    with duo_in(caches) as duo:
        done = duo.write("one").deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        yield duo


def pid_of(duo: Duo, *words: str) -> int:
    """A process of the application whose command line has all of these."""
    for pid in sorted(duo.processes()):
        with contextlib.suppress(psutil.Error):
            line = " ".join(psutil.Process(pid).cmdline())
            if all(word in line for word in words):
                return pid
    raise AssertionError(f"no process with {words}")


def victim(duo: Duo, what: str) -> int:
    new, old = duo.running()
    match what:
        case "old envelope":
            return pid_of(duo, " envelope ", old.deployment)
        case "new envelope":
            return pid_of(duo, " envelope ", new.deployment)
        case "ingress worker":
            return pid_of(duo, "weaver.ingress.main")
        case _:
            groups = ask_status(new).report.groups
            return next(g.replicas[0].pid for g in groups if g.name == "front")


@pytest.mark.parametrize("what", ["old envelope", "new envelope", "ingress worker", "replica"])
def test_a_rollout_ends_although_a_process_is_killed(one: Duo, what: str) -> None:
    with Load(one.address, clients=CLIENTS) as load:
        load.sees("one")
        one.write("two", pause="1500ms")
        with one.deploying() as deploy:
            one.reaches("shifting")
            load.sees("two")
            os.kill(victim(one, what), signal.SIGKILL)
            assert deploy.wait(100) == 0
        until(lambda: len(one.running()) == 1)
        load.sees("two")
    assert len(load.failures) <= 2 * CLIENTS, load.failures  # those it had, and once more at most
    assert not [text for text in load.mixed if "502" not in text]
    assert [record.result for record in one.records()] == ["", "replaced"]
