"""Processes killed in every phase of rollouts: they end as they would have, nearly unnoticed."""

import contextlib
from collections.abc import Generator

import pytest
from rollout_duo import Duo, Load, until
from rollout_victims import Kills, kill_by

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(280),  # four versions are built and started, on a machine that may be busy
]

CLIENTS = 4
SLOW = 2
"""Clients whose requests take a while: some are in flight in each phase, which it waits for."""

ENDS: tuple[tuple[str, Kills], ...] = (
    (
        "two",
        {
            "starting": ["old replica", "new replica"],
            "before": ["new replica"],
            "shifting 0": ["new replica", "ingress worker"],
            "shifting 1": ["manager", "old replica"],
            "closing": ["new envelope"],
            "after": ["manager"],
            "warm": ["new replica", "old replica"],
        },
    ),
    (
        "three",
        {
            "starting": ["new replica", "manager"],
            "before": ["old replica"],
            "opening": ["manager", "ingress worker"],
            "shifting 0": ["old envelope"],
            "shifting 1": ["new replica", "ingress worker"],
            "closing": ["old replica", "manager"],
            "after": ["new replica", "old replica"],
            "warm": ["manager"],
        },
    ),
)
TAKEN_BACK: Kills = {"withdrawing": ["new replica", "old replica", "ingress worker", "manager"]}


@pytest.fixture
def one(duo: Duo) -> Duo:
    """The first version, deployed."""
    done = duo.write("one").deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    return duo


def lost(kills: int, *loads: Load) -> None:
    """Fail if more was lost than what can have been in flight in what was killed."""
    failures = [text for load in loads for text in load.failures]
    assert len(failures) <= kills * (CLIENTS + SLOW), failures
    assert not [text for load in loads for text in load.mixed if "502" not in text]


@contextlib.contextmanager
def users(duo: Duo) -> Generator[tuple[Load, Load]]:
    """Those who ask briefly, and those who ask for what takes a while. They spare the machine."""
    with (
        Load(duo.address, CLIENTS, pause=0.02) as brief,
        Load(duo.address, SLOW, "/slow") as slow,
    ):
        yield brief, slow


def write(duo: Duo, version: str) -> None:
    start, hook = "await asyncio.sleep(1)", "sleep 1"
    duo.write(version, start=start, pause="1s", keep_warm="90s", before=hook, after=hook)


def test_rollouts_end_although_processes_are_killed_in_every_phase(one: Duo) -> None:
    for version, kills in ENDS:
        with users(one) as (load, slow):
            write(one, version)
            with one.deploying() as deploy:
                until(lambda: len(one.running()) == 2)
                killed = kill_by(one, kills)
                said, _ = deploy.communicate(timeout=100)
                assert deploy.returncode == 0, said
            if len(one.running()) > 1:
                one.steer("promote")  # it has been warm for long enough
            until(lambda: len(one.running()) == 1)
            load.sees(version)
        lost(killed, load, slow)
        assert killed >= len(kills)  # what has ended with its phase is not killed
        assert one.records()[1].result == "replaced"
    with users(one) as (load, slow):
        write(one, "four")
        with one.deploying() as deploy:
            until(lambda: len(one.running()) == 2)
            one.reaches("shifting")
            load.sees("four")
            one.steer("abort")
            killed = kill_by(one, TAKEN_BACK)
            assert deploy.wait(100) == 1
        until(lambda: len(one.running()) == 1)
        load.sees("three")
    lost(killed, load, slow)
    assert killed
    assert one.records()[0].result == "aborted"
