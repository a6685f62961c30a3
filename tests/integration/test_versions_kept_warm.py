"""More than two versions under one manager: those that stay warm beneath a rollout."""

import asyncio

import pytest
from test_versions import Deployer, Process, ended, records

from weaver.cli.making_way import make_way
from weaver.control.traffic import Traffic

pytestmark = pytest.mark.usefixtures("machine")

THREE = "max_versions = 3"
WARM = "1h"


async def deployed(*names: str, more: str = THREE, pause: str = "10ms") -> Process:
    """The last of these is rolled out where the ones before are, the first one warm."""
    deployers: list[Deployer] = []
    process: Process | None = None
    for name in names:
        if process is not None:
            await process.reaches("done" if len(deployers) == 1 else "warm")
            await process.kill()
        deployers.insert(0, Deployer(name, f"build-{name}"))
        last = name == names[-1]
        process = Process(*deployers, warm=WARM, more=more, pause=pause if last else "10ms")
        await process.start()
    assert process is not None
    return process


def phases(process: Process) -> dict[str, str]:
    """What each version does that has not ended."""
    loops = {session.deployment: session.loop.state.phase for session in process.sessions}
    return {name: phase for name, phase in loops.items() if phase != "stopped"}


def traffic(process: Process, name: str) -> Traffic:
    return next(each.traffic for each in process.deployers if each.deployment == name)


async def test_a_version_stays_warm_while_the_next_is_rolled_out_and_can_be_gone_back_to() -> None:
    process = await deployed("one", "two", "three", pause="1h")
    await process.reaches("shifting")
    assert phases(process) == {"one": "live", "two": "live", "three": "live"}
    assert process.rolling.beneath == ["one"]
    beneath = traffic(process, "one")
    assert not beneath.accepting
    assert not beneath.ingress
    process.versions.steer("abort")
    await process.until(lambda: process.rolling.state.rollout.new == "two")
    assert (await ended("three")).result == "aborted"
    assert process.rolling.state.rollout.phase == "warm"
    assert process.rolling.beneath == []
    assert process.versions.rollout().versions[0].deployment == "two"
    assert traffic(process, "two").accepting
    process.versions.steer("rollback")
    assert (await ended("two")).result == "rolled back"
    await process.reaches("withdrawn")
    assert phases(process) == {"one": "live"}
    assert traffic(process, "one") == Traffic()
    await process.stop()


async def test_what_is_beneath_ends_with_the_wait_for_the_version_above_it() -> None:
    process = await deployed("one", "two", "three")
    await process.reaches("warm")
    assert phases(process) == {"one": "live", "two": "live", "three": "live"}
    process.versions.steer("promote")
    await process.reaches("done")
    assert {(await ended(name)).result for name in ("one", "two")} == {"replaced"}
    assert phases(process) == {"three": "live"}
    await process.stop()


async def test_no_more_versions_run_than_may() -> None:
    process = await deployed("one", "two", "three", more="")
    assert process.rolling.beneath == []
    assert (await ended("one")).result == "stopped"
    await process.reaches("warm")
    assert phases(process) == {"two": "live", "three": "live"}
    await process.stop()


async def test_a_manager_that_takes_over_keeps_what_is_beneath() -> None:
    process = await deployed("one", "two", "three", pause="1h")
    await process.reaches("shifting")
    await process.kill()
    heir = await Process(*process.deployers, warm=WARM, more=THREE, pause="1h").start()
    assert heir.rolling.beneath == ["one"]
    await heir.until(lambda: heir.rolling.state.observed["two"].settled)
    heir.versions.steer("abort")
    await heir.until(lambda: heir.rolling.state.rollout.new == "two")
    assert heir.rolling.state.rollout.phase == "warm"
    await heir.stop()
    assert {record.result for record in records().values()} == {"aborted", "stopped"}


@pytest.mark.parametrize(("most", "left"), [(4, 3), (3, 2), (2, 1)])
async def test_the_oldest_make_way_for_a_version_to_come(most: int, left: int) -> None:
    process = await deployed("one", "two", "three")
    await process.reaches("warm")
    assert await asyncio.to_thread(make_way, "shop", most) == left
    assert list(phases(process)) == ["three", "two", "one"][:left]
    await process.stop()


@pytest.mark.parametrize(("most", "left"), [(3, 2), (2, 1)])
async def test_a_rollout_under_way_makes_way_before_what_is_beneath_it(
    most: int, left: int
) -> None:
    process = await deployed("one", "two", "three", pause="1h")
    await process.reaches("shifting")
    assert await asyncio.to_thread(make_way, "shop", most) == left
    assert list(phases(process)) == ["two", "one"][:left]
    assert (await ended("three")).result == "superseded"
    assert traffic(process, "two").accepting
    await process.stop()


async def test_the_application_ends_with_all_of_them() -> None:
    process = await deployed("one", "two", "three")
    await process.reaches("warm")
    await process.versions.stop(at_once=False)
    assert await process.end()
    ends = records()
    assert {record.result for record in ends.values()} == {"stopped"}
    assert ends["one"].ended <= ends["three"].ended <= ends["two"].ended
