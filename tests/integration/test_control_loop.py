"""The manager's control loop over envelopes in memory, with a journal on the disk."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from manager_fakes import FakeDeployer, FakeEnvelope, hang
from manager_runs import GROUPS, SPEC, managing, waits

from weaver.control.messages import (
    Ended,
    EnvelopeFailed,
    Failed,
    Fault,
    LogRecord,
    Logs,
    MethodStatistics,
    Statistics,
)
from weaver.deployers.control_loop import ControlLoop, Outcome
from weaver.deployers.journal import Journal
from weaver.errors import UsageError, WeaverError
from weaver.manager.step import replay


async def test_a_deployment_becomes_live_and_its_replicas_are_routed(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        report = running.loop.status().report
        assert report.state == "live"
        assert [[r.id for r in g.replicas] for g in report.groups] == [
            ["front-1", "front-2"],
            ["cart-1"],
        ]
        assert [(li.name, li.address) for li in report.listeners] == [("http", "127.0.0.1:8080")]
        assert running.routed("front") == ["front-1", "front-2"]
        assert set(running.envelope.routing.groups["cart"].assignment.owners) == {"cart-1"}


async def test_a_replica_that_crashes_is_routed_again_under_its_name(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        before = running.envelope.routing
        pid = running.envelope.replicas["front-1"].pid
        running.envelope.crash("front-1")
        await running.until(lambda: running.loop.state.replicas["front-1"].restarts == 1)
        await running.until(lambda: running.states("front") == ["ready", "ready"])
        assert running.loop.state.replicas["front-1"].pid != pid
        assert running.envelope.routing.version > before.version
        assert running.routed("front") == ["front-1", "front-2"]


async def test_scaling_adds_and_removes_replicas_and_moves_few_keys(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        running.loop.scale("cart", 3)
        await running.until(lambda: running.states("cart") == ["ready"] * 3)
        assert set(running.envelope.routing.groups["cart"].assignment.owners) == {
            "cart-1", "cart-2", "cart-3",
        }  # fmt: skip
        running.loop.scale("cart", 1)
        await running.until(lambda: running.states("cart") == ["ready"])
        assert sorted(running.envelope.replicas) == ["cart-1", "front-1", "front-2"]


async def test_scaling_what_cannot_be_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        with pytest.raises(UsageError, match=r'no group "fornt"(.|\n)*did you mean "front"'):
            running.loop.scale("fornt", 2)
        with pytest.raises(UsageError, match="from 1 to 4"):
            running.loop.scale("cart", 9)
        with pytest.raises(UsageError, match="at least 1"):
            running.loop.scale("front", 0)


async def test_a_start_that_fails_fails_the_deployment_with_its_error(tmp_path: Path) -> None:
    def fail(envelope: FakeEnvelope, replica: str) -> None:
        envelope.say(replica, Failed(Fault("no database", why="refused", component="shop.Cart")))

    async with managing(tmp_path, cart=fail) as running:
        with pytest.raises(WeaverError, match=r"no database(.|\n)*refused"):
            await running.live()
        outcome = await running.outcome()
        assert (outcome.result, outcome.fault and outcome.fault.component) == (
            "failed",
            "shop.Cart",
        )
        assert running.envelope.ended
        assert running.loop.status().report.state == "failed"


async def test_a_crash_loop_fails_a_new_deployment_and_shows_the_last_lines(tmp_path: Path) -> None:
    def crash(envelope: FakeEnvelope, replica: str) -> None:
        envelope.exit(replica, crash_loop=True, lines=("Traceback", "KeyError: 'x'"))

    async with managing(tmp_path, cart=crash) as running:
        with pytest.raises(WeaverError, match=r"again and again(.|\n)*KeyError: 'x'"):
            await running.live()


async def test_a_crash_loop_of_a_live_deployment_leaves_the_others_alone(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        running.envelope.exit("cart-1", crash_loop=True)
        await running.until(lambda: running.states("cart") == ["crash loop"])
        assert running.loop.status().report.state == "live"
        assert running.states("front") == ["ready", "ready"]
        assert running.routed("cart") == []
        running.envelope.start("cart-1")
        await running.until(lambda: running.states("cart") == ["ready"])


async def test_a_deployment_that_is_not_live_in_time_fails_and_names_who_is_late(
    tmp_path: Path,
) -> None:
    async with managing(tmp_path, spec=waits(deploy=0.1), cart=hang) as running:
        with pytest.raises(WeaverError, match=r"cart has 0 of 1 replicas .cart-1 is starting"):
            await running.live()
        assert (await running.outcome()).result == "failed"


async def test_an_envelope_that_cannot_be_started_fails_the_deployment(tmp_path: Path) -> None:
    deployer = FakeDeployer()
    deployer.refusal = WeaverError("the PEX is for another Python", fix="build it again")
    async with managing(tmp_path, deployer) as running:
        with pytest.raises(WeaverError, match="for another Python"):
            await running.live()
        assert (await running.outcome()).result == "failed"


async def test_what_an_envelope_cannot_do_fails_the_deployment_with_the_reason(
    tmp_path: Path,
) -> None:
    def taken(envelope: FakeEnvelope, replica: str) -> None:
        envelope.tell(EnvelopeFailed(Fault("127.0.0.1:8080 is in use", "listener http")))

    async with managing(tmp_path, front=taken) as running:
        with pytest.raises(WeaverError, match=r"is in use(.|\n)*listener http"):
            await running.live()
        assert (await running.outcome()).result == "failed"
        assert running.envelope.ended


async def test_a_replica_of_another_build_is_not_routed(tmp_path: Path) -> None:
    def alien(envelope: FakeEnvelope, replica: str) -> None:
        envelope.change(replica, pid=1)
        from weaver.control.messages import RegisterReplica

        envelope.say(replica, RegisterReplica("unix:/x", (), "build-0", "dep-1"))

    async with managing(tmp_path, cart=alien) as running:
        with pytest.raises(WeaverError, match="build build-0 instead of build-1"):
            await running.live()


async def test_an_envelope_that_dies_ends_a_foreground_run(tmp_path: Path) -> None:
    async with managing(tmp_path, spec=msgspec.structs.replace(SPEC, foreground=True)) as running:
        await running.live()
        running.envelope.die()
        outcome = await running.outcome()
        assert outcome.fault is not None
        assert "the envelope on here has ended" in outcome.fault.what


async def test_an_envelope_that_dies_in_a_deployment_is_started_again(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        running.envelope.die()
        await running.until(lambda: running.deployer.started == 2)
        await running.until(lambda: running.states("front") == ["ready", "ready"])
        await running.until(lambda: running.states("cart") == ["ready"])


async def test_a_connection_that_drops_takes_no_routes_away(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        envelope, version = running.envelope, running.envelope.routing.version
        assert envelope.link is not None
        seen = len(envelope.events)
        envelope.link.end()
        envelope.say("cart-1", Logs((LogRecord(1.0, "INFO", "while away"),)))
        await running.until(
            lambda: (
                running.loop.state.envelopes["here"].session == 2
                and running.loop.state.envelopes["here"].reach == "attached"
            )
        )
        assert [attach.seen for attach in envelope.attaches] == [0, seen]
        assert envelope.routing.version == version
        assert running.deployer.started == 1
        with running.loop.logs.follow() as logs:
            if not running.loop.logs.latest:
                await asyncio.wait_for(logs.take(), 30)
        assert [record.message for record in running.loop.logs.latest] == ["while away"]


async def test_the_next_manager_adopts_what_runs(tmp_path: Path) -> None:
    deployer = FakeDeployer()
    async with managing(tmp_path, deployer) as first:
        await first.live()
        first.loop.scale("cart", 2)
        await first.until(lambda: first.states("cart") == ["ready", "ready"])
        pids = {r.pid for r in first.envelope.replicas.values()}
        routing = first.envelope.routing
    async with managing(tmp_path, deployer) as second:
        await second.until(lambda: second.states("front") == ["ready", "ready"])
        await second.until(lambda: second.states("cart") == ["ready", "ready"])
        assert second.loop.status().report.state == "live"
        assert {r.pid for r in second.envelope.replicas.values()} == pids
        assert second.loop.epoch == first.loop.epoch + 1
        found = second.envelope.routing
        assert found.version > routing.version
        assert found.groups["cart"].assignment.owners == routing.groups["cart"].assignment.owners


async def test_a_manager_that_was_replaced_ends_and_stops_nothing(tmp_path: Path) -> None:
    deployer = FakeDeployer()
    async with managing(tmp_path, deployer) as running:
        await running.live()
        running.envelope.epoch = 99
        assert running.envelope.link is not None
        running.envelope.link.end()
        outcome = await running.outcome()
        assert outcome.result == "fenced"
        assert not running.envelope.ended


async def test_stopping_ends_every_replica(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        async with asyncio.timeout(30):
            await running.loop.stop(at_once=False)
        assert (await running.outcome()) == Outcome("stopped", None)
        assert running.envelope.ended


async def test_the_return_of_main_ends_the_deployment(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        running.envelope.say("front-1", Ended())
        assert (await running.outcome()).result == "ended"
        assert running.envelope.ended


async def test_logs_and_statistics_of_replicas_are_kept_over_their_restarts(
    tmp_path: Path,
) -> None:
    def count(replica: str, calls: int) -> None:
        methods = (MethodStatistics("Web", "shop.Cart", "get", calls, histogram=(1, 2)),)
        running.envelope.say(replica, Statistics(methods))

    async with managing(tmp_path) as running:
        await running.live()
        count("front-1", 3)
        count("front-1", 5)
        count("front-2", 10)
        running.envelope.crash("front-1")
        await running.until(lambda: running.loop.state.replicas["front-1"].restarts == 1)
        count("front-1", 1)
        await running.until(lambda: running.states("front") == ["ready", "ready"])
        running.envelope.say("front-1", Logs((LogRecord(1.0, "INFO", "hello"),)))
        with running.loop.logs.follow() as logs:
            await asyncio.wait_for(logs.take(), 30)
        (method,) = running.loop.status().methods
        assert (method.calls, method.histogram) == (16, (3, 6))


async def test_the_log_in_the_journal_replays_to_the_state(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        running.envelope.crash("front-2")
        await running.until(lambda: running.loop.state.replicas["front-2"].restarts == 1)
        await running.loop.stop(at_once=False)
        await running.outcome()
        loop = running.loop
    with Journal(tmp_path) as journal:
        assert replay(loop.initial, journal.events(loop.epoch)) == loop.state
        assert [e.kind for e in journal.history()][-2:] == [
            e.kind for e in list(loop.history.latest)[-2:]
        ]


async def test_nothing_secret_is_written_to_the_disk(tmp_path: Path) -> None:
    async with managing(tmp_path) as running:
        await running.live()
        await running.loop.stop(at_once=False)
        await running.outcome()
    kept = await asyncio.to_thread(lambda: [path.read_bytes() for path in tmp_path.iterdir()])
    assert kept
    assert not [data for data in kept if b"secret!" in data]


async def test_a_disk_that_is_full_fails_a_new_deployment_with_a_clear_error(
    tmp_path: Path,
) -> None:
    deployer = FakeDeployer()
    groups = {"cart": msgspec.structs.replace(GROUPS["cart"], replicas=4)}  # more than fits a page
    with Journal(tmp_path) as journal:
        loop = ControlLoop(msgspec.structs.replace(SPEC, groups=groups), journal, deployer)
        (pages,) = journal._database.execute("PRAGMA page_count").fetchone()
        journal._database.execute(f"PRAGMA max_page_count = {pages}")
        async with asyncio.timeout(30):
            outcome = await loop.run()
        assert outcome.result == "failed"
        assert outcome.fault is not None
        assert "journal of the deployment cannot be written" in outcome.fault.what
        assert "full" in outcome.fault.why
        assert all(envelope.ended for envelope in deployer.envelopes.values())
