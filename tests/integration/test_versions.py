"""Two versions under one manager, over envelopes in memory: the rollout between them, and heirs."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
from manager_fakes import Behaviour, FakeDeployer, FakeEnvelope

from weaver.control.ingress import Counts
from weaver.control.messages import Application, Event, Orders, RegisterReplica
from weaver.control.operator import Retire
from weaver.control.rollout import RolloutReport
from weaver.control.stream import encode
from weaver.control.traffic import IngressReport, Traffic
from weaver.deployers import registry
from weaver.deployers.estate import Estate
from weaver.deployers.manager_client import ask, ask_status
from weaver.deployers.rollout_loop import RolloutLoop
from weaver.deployers.session import Session
from weaver.deployers.versions import Versions
from weaver.errors import UsageError
from weaver.manager.hosts import HostSpec
from weaver.manager.placement import Group
from weaver.manager.state import Desired, Spec, Waits

pytestmark = pytest.mark.usefixtures("machine")

CONFIG = """
[rollout]
steps = ["50%", "100%"]
pause = "{pause}"
keep_warm = "{warm}"
{more}
"""


def register(deployment: str, build: str) -> Behaviour:
    """What a replica of a version does: it is ready, and an ingress reaches it."""

    def serve(envelope: FakeEnvelope, replica: str) -> None:
        serving = {"http": f"unix:/{deployment}/{replica}"}
        registered = RegisterReplica(f"unix:/{replica}", (), build, deployment, serving=serving)
        envelope.change(replica, registered=registered, state="running")
        envelope.say(replica, registered)

    return serve


class Envelope(FakeEnvelope):
    """One whose ingress serves as soon as it is ordered."""

    deployment = ""
    build = ""
    deaf = False

    def obey(self, orders: Orders) -> None:
        before = self.orders.traffic.ingress if self.orders is not None else {}
        super().obey(orders)
        for listener in {*before, *orders.traffic.ingress}:
            serving = 1 if listener in orders.traffic.ingress and not self.deaf else 0
            said = IngressReport(listener, serving=serving, counts=Counts(1))
            if self.link is not None:
                self.link.put(encode(Event(0, encode(said))))

    def relayed(self, message: Any, replicas: Any) -> None:
        from weaver.control.messages import Probe, Probed

        if isinstance(message, Probe):
            for replica in replicas:
                self.say(replica, Probed(message.nonce, self.deployment, self.build))


class Deployer(FakeDeployer):
    """The environment of one version; it outlives managers."""

    started: int

    def __init__(self, deployment: str, build: str, **behave: Behaviour) -> None:
        super().__init__(front=behave.get("front", register(deployment, build)))
        self.deployment = deployment
        self.build = build
        self.deaf = False
        self.orders: list[Traffic] = []

    async def start_envelope(self, host: str) -> None:
        self.started += 1
        envelope = Envelope(host, self.behave)
        envelope.deployment, envelope.build = self.deployment, self.build
        envelope.deaf = self.deaf
        self.envelopes[host] = envelope

    def control_path(self, host: str) -> str:
        return f"/run/{self.deployment}/{host}.sock"

    async def aclose(self, seconds: float = 15.0) -> None:
        pass

    @property
    def traffic(self) -> Traffic:
        """What the envelope was ordered last."""
        orders = self.envelopes["here"].orders
        return orders.traffic if orders is not None else Traffic()


class Process:
    """A manager process; `run` it as a task."""

    def __init__(
        self, *deployers: Deployer, warm: str = "0s", more: str = "", pause: str = "50ms"
    ) -> None:
        self.deployers = deployers
        self.sessions: list[Session] = []
        above = 0
        for deployer in reversed(deployers):
            estate = estate_of(deployer, warm=warm, more=more, pause=pause)
            session = Session(estate, lambda _: deployer, above=above)  # noqa: B023 # called at once
            self.sessions.insert(0, session)
            above = max(above, session.loop.epoch - 1)
        self.rolling = RolloutLoop(self.sessions)
        self.versions = Versions(self.sessions, self.rolling)
        self.running: asyncio.Task[bool] | None = None

    async def start(self) -> Self:
        self.running = asyncio.ensure_future(self.versions.run())
        await asyncio.sleep(0)  # so that it has begun
        return self

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that some change of the rollout makes true."""
        async with asyncio.timeout(30):
            with self.rolling.changes.follow() as changes:
                while not condition():
                    await changes.take()

    async def reaches(self, *phases: str) -> None:
        await self.until(lambda: self.rolling.state.rollout.phase in phases)

    async def end(self) -> bool:
        """Wait until it has ended by itself."""
        assert self.running is not None
        async with asyncio.timeout(30):
            return await asyncio.shield(self.running)

    async def stop(self) -> None:
        async with asyncio.timeout(30):
            await self.versions.stop(at_once=True)
            await self.end()

    async def kill(self) -> None:
        """End it as SIGKILL does: nothing is written any more, and nobody is told."""
        assert self.running is not None
        self.versions.retire()
        async with asyncio.timeout(30):
            await asyncio.wait((self.running,))


def estate_of(deployer: Deployer, *, warm: str, more: str, pause: str) -> Estate:
    groups = {
        "front": Group(
            components=("shop.Web",),
            replicas=2,
            entry="shop.Web",
            listeners={"http": "127.0.0.1:1"},
        )
    }
    application = Application(
        "shop",
        deployer.build,
        deployer.deployment,
        "shop:Web",
        CONFIG.format(warm=warm, more=more, pause=pause),
    )
    spec = Spec(
        application=application,
        groups=groups,
        hosts={"here": HostSpec()},
        waits=Waits(retry=0.01, retry_most=0.05),
        on_manager_lost="continue",
    )
    return Estate(spec=spec, desired=Desired(), epoch=0)


async def ended(deployment: str) -> registry.Record:
    """The record of a version, once its end is written down."""
    async with asyncio.timeout(30):
        while not records()[deployment].ended:
            await asyncio.sleep(0.01)
    return records()[deployment]


def records() -> dict[str, registry.Record]:
    return {record.deployment: record for record in registry.records("shop")}


async def test_the_first_version_serves_alone() -> None:
    one = Deployer("one", "build-1")
    process = await Process(one).start()
    await process.reaches("done")
    assert one.traffic == Traffic()
    assert records()["one"].good
    assert process.sessions[0].loop.status().report.state == "live"
    await process.stop()
    assert records()["one"].result == "stopped"


async def test_a_new_version_takes_over_step_by_step_and_the_old_one_ends() -> None:
    one, two = Deployer("one", "build-1"), Deployer("two", "build-2")
    first = await Process(one).start()
    await first.reaches("done")
    await first.kill()
    second = await Process(two, one, pause="1h").start()
    await second.reaches("shifting")
    order = two.traffic.ingress["http"]
    assert two.traffic.predecessor == "/run/one/here.sock"
    assert {share.version: share.weight for share in order.table.shares} == {
        "one": 5000,
        "two": 5000,
    }
    await second.until(lambda: not one.traffic.accepting)
    shares = [second.versions.share(session.loop) for session in second.sessions]
    statuses = [await asyncio.to_thread(ask_status, records()[name]) for name in ("two", "one")]
    assert [status.report.traffic for status in statuses] == shares == [0.5, 0.5]
    report = second.versions.rollout()
    assert [(v.deployment, v.version) for v in report.versions] == [
        ("two", "build-2"),
        ("one", "build-1"),
    ]
    second.versions.steer("promote")
    await second.reaches("done")
    assert two.traffic == Traffic()
    assert one.envelopes["here"].ended
    assert (await ended("one")).result == "replaced"
    assert not records()["two"].ended
    assert records()["two"].good
    await second.stop()


async def test_a_new_version_accepts_nothing_before_it_may() -> None:
    one = Deployer("one", "build-1")
    seen: list[Traffic] = []

    def note(envelope: FakeEnvelope, replica: str) -> None:
        assert envelope.orders is not None
        seen.append(envelope.orders.traffic)
        register("two", "build-2")(envelope, replica)

    two = Deployer("two", "build-2", front=note)
    first = await Process(one).start()
    await first.reaches("done")
    await first.kill()
    second = await Process(two, one).start()
    await second.reaches("done")
    assert seen[:2] == [Traffic(accepting=False, predecessor="/run/one/here.sock")] * 2
    await second.stop()


async def test_one_that_never_serves_is_withdrawn_and_the_old_one_goes_on() -> None:
    one, two = Deployer("one", "build-1"), Deployer("two", "build-2", front=crash)
    first = await Process(one).start()
    await first.reaches("done")
    await first.kill()
    second = await Process(two, one).start()
    await second.reaches("withdrawn")
    assert one.traffic == Traffic()
    assert second.sessions[1].loop.state.phase == "live"
    assert (await ended("two")).result == "failed"
    second.sessions[0].note_shift("withdrawn", 0.0)  # which can come after the end
    assert records()["two"].ended
    assert not records()["one"].ended
    report = second.versions.rollout()
    assert report.verdict is not None
    await second.stop()


def crash(envelope: FakeEnvelope, replica: str) -> None:
    envelope.exit(replica, crash_loop=True, lines=("no such table",))


async def test_a_manager_that_is_killed_in_a_rollout_has_an_heir_that_goes_on() -> None:
    one, two = Deployer("one", "build-1"), Deployer("two", "build-2")
    first = await Process(one).start()
    await first.reaches("done")
    await first.kill()
    second = await Process(two, one, warm="1h").start()
    await second.reaches("before", "opening", "shifting")
    second.versions.steer("pause")
    await second.kill()
    third = await Process(two, one, warm="1h").start()
    assert third.rolling.state.rollout.held
    third.versions.steer("resume")
    await third.reaches("warm")
    assert (one.started, two.started) == (1, 1)
    await third.kill()
    fourth = await Process(two, one, warm="1h").start()
    assert fourth.rolling.state.rollout.phase == "warm"
    await fourth.until(lambda: fourth.rolling.state.observed["one"].settled)
    fourth.versions.steer("rollback")
    await fourth.reaches("withdrawn")
    assert one.traffic == Traffic()
    taken_back = await ended("two")
    assert (taken_back.result, taken_back.good) == ("rolled back", 0.0)
    await fourth.stop()


async def test_stopping_the_application_ends_every_version_the_newest_first() -> None:
    one, two = Deployer("one", "build-1"), Deployer("two", "build-2")
    first = await Process(one).start()
    await first.reaches("done")
    await first.kill()
    second = await Process(two, one, warm="1h").start()
    await second.reaches("warm")
    await second.versions.stop(at_once=False)
    assert await second.end()
    ended = records()
    assert {record.result for record in ended.values()} == {"stopped"}
    assert ended["two"].ended <= ended["one"].ended


async def test_a_manager_that_retires_writes_nothing_about_the_end(machine: Path) -> None:
    one = Deployer("one", "build-1")
    process = await Process(one).start()
    await process.reaches("done")
    await asyncio.to_thread(lambda: list(ask(records()["one"], Retire())))
    assert process.running is not None
    await asyncio.wait((process.running,))
    found = records()["one"]
    assert (found.result, found.ended) == ("", 0.0)
    assert not one.envelopes["here"].ended
    assert (machine / "run" / "weaver" / "one").is_dir()


async def test_a_hook_that_fails_stops_the_rollout_with_its_output() -> None:
    one, two = Deployer("one", "build-1"), Deployer("two", "build-2")
    first = await Process(one).start()
    await first.reaches("done")
    await first.kill()
    second = await Process(two, one, more='before = "migrate --all"').start()
    await second.reaches("withdrawn")
    report = second.versions.rollout()
    assert report.verdict is not None
    assert "migrate ended with exit code 3" in report.verdict.what
    assert report.lines == ("here: migrate --all",)
    with pytest.raises(UsageError):
        second.versions.steer("promote")
    await second.stop()


async def test_the_rollout_is_told_to_whoever_follows_it() -> None:
    from weaver.control.rollout import GetRollout

    one = Deployer("one", "build-1")
    process = await Process(one).start()
    await process.reaches("done")

    def asked() -> list[Any]:
        return list(ask(records()["one"], GetRollout(follow=True)))

    (report,) = await asyncio.to_thread(asked)
    assert isinstance(report, RolloutReport)
    assert (report.app, report.phase) == ("shop", "done")
    assert [v.weight for v in report.versions] == [1.0]
    await process.stop()
