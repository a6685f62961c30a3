"""Replicas as processes of their own, seen from the envelope's end of the control socket."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import psutil
import pytest
from replica_parts import Front, Proclet, Shop, application, full, proclet, routed, until

from weaver.control.certificates import Certificates
from weaver.control.messages import (
    Ended,
    Failed,
    Heartbeat,
    NewRouting,
    Probe,
    Probed,
    Profile,
    Profiled,
    RegisterReplica,
    StartComponent,
    Statistics,
    Stop,
)
from weaver.deployers.certificates import create_authority
from weaver.errors import ConnectionLost
from weaver.proclet.definition import define
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.distributed import DistributedPlacement
from weaver.proclet.host import Host
from weaver.proclet.network import Network
from weaver.proclet.threads import Workers
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits

BOTH = ("Store", "Shop")
ALL = (*BOTH, "Front")


@contextlib.asynccontextmanager
async def serving(one: Proclet) -> AsyncGenerator[Shop]:
    """The shop of this replica, for calls of the test, which is a process that hosts nothing."""
    registered = await one.wait_for(RegisterReplica)
    definition = define([Front])
    table = definition.table
    workers = Workers(2)
    network = Network(
        definition,
        Dispatcher(table, dict[str, object]().__getitem__, workers),
        hello=Hello(deployment="d" * 8, build="b" * 8, methods=table.hash, replica="test-1"),
        timeout=20.0,
        limits=Limits(),
        replica="test-1",
    )
    network.update(routed(1, shop=(registered.address, BOTH)))
    host = Host(definition, {}, DistributedPlacement(network), stop_timeout=1.0, hosted=())
    try:
        yield host.reference(full("Shop"))
    finally:
        await network.aclose()
        workers.close()


async def test_a_replica_registers_when_all_its_components_have_started(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH) as one:
        registered = await one.wait_for(RegisterReplica)
        assert one.lines()[:2] == ["store starts", "shop starts"]
        assert set(registered.components) == set(map(full, BOTH))
        assert (registered.build, registered.deployment) == ("b" * 8, "d" * 8)
        assert registered.address.startswith(f"unix:{tmp_path}/")
        one.send(Probe("n1"))
        assert await one.wait_for(Probed) == Probed("n1", "d" * 8, "b" * 8)
        await one.wait_for(Heartbeat, 3)


async def test_a_replica_serves_calls_and_says_whose_lines_are_whose(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH) as one, serving(one) as shop:
        assert await shop.buy("tea") == 3
        assert await shop.where() == ("parts", "b" * 8, "d" * 8, "shop", "shop-1", "here")
        record = await one.wait_for_line("put tea")
        assert record.component == full("Store")  # which Shop has called in the same process
        assert (record.level, record.logger) == ("INFO", "parts")
        assert (record.group, record.replica, record.version) == ("shop", "shop-1", "b" * 8)
        starts = await one.wait_for_line("shop starts")
        assert (starts.component, starts.stream) == (full("Shop"), "stdout")
        edge = await one.wait_for_edge("Shop", "Store")
        assert (edge.method, edge.calls, edge.errors, edge.remote) == ("put", 1, 0, 0)
        assert await shop.shares()


@pytest.mark.parametrize("installed", [True, False])
async def test_a_replica_runs_on_uvloop_or_where_that_is_missing_on_asyncio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, installed: bool
) -> None:
    if not installed:
        (tmp_path / "uvloop.py").write_text("raise ImportError('not installed')")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with proclet(tmp_path, BOTH) as one, serving(one) as shop:
        module, frozen = await shop.runs_on()
        assert module.partition(".")[0] == ("uvloop" if installed else "asyncio")
        assert frozen
        one.send(Stop())
        assert await one.exit_code() == 0


async def test_an_idle_replica_shows_what_it_uses(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH) as one:
        statistics = await one.wait_for(Statistics)
        assert statistics.methods == ()
        assert statistics.cpu > 0
        assert statistics.memory > 1 << 20


async def test_a_component_that_nobody_serves_is_asked_for_and_then_called(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH) as one, serving(one) as shop:
        reaching = asyncio.ensure_future(shop.reach())
        assert await one.wait_for(StartComponent) == StartComponent(full("Far"))
        async with proclet(tmp_path, ["Far"], replica="far-1") as other:
            address = (await other.wait_for(RegisterReplica)).address
            one.send(NewRouting(routed(2, far=(address, ["Far"]))))
            assert await reaching == "far"
            edge = await one.wait_for_edge("Shop", "Far")
            assert (edge.remote, edge.errors) == (1, 0)


async def test_a_start_can_call_what_the_first_routing_names(tmp_path: Path) -> None:
    async with proclet(tmp_path, ["Far"], replica="far-1") as other:
        address = (await other.wait_for(RegisterReplica)).address
        routing = routed(1, far=(address, ["Far"]))
        calls = application(PARTS_START="calls")
        async with proclet(tmp_path, BOTH, of=calls, routing=routing) as one:
            await one.wait_for(RegisterReplica)
            assert "start reached far" in one.lines()
            assert not one.has_said(StartComponent)


async def test_a_start_that_fails_is_told_and_ends_the_replica(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH, of=application(PARTS_START="fails")) as one:
        fault = (await one.wait_for(Failed)).fault
        assert fault.component == full("Store")
        assert "no shelves" in fault.what
        assert await one.exit_code() == 1


async def test_wrong_configuration_is_told_in_full(tmp_path: Path) -> None:
    wrong = application(config="[components.Store]\nshelves = 3\n")
    async with proclet(tmp_path, BOTH, of=wrong) as one:
        assert "shelves" in (await one.wait_for(Failed)).fault.why
        assert await one.exit_code() == 1


async def test_a_directory_that_is_gone_is_told_and_what_has_started_stops(tmp_path: Path) -> None:
    async with proclet(tmp_path / "gone", BOTH) as one:
        fault = (await one.wait_for(Failed)).fault
        assert "gone" in f"{fault.what} {fault.where} {fault.why}"
        assert await one.exit_code() == 1
        assert "store stops" in one.lines()


@pytest.mark.parametrize("how", ["message", "signal"])
async def test_components_stop_in_reverse_order(tmp_path: Path, how: str) -> None:
    async with proclet(tmp_path, BOTH) as one:
        path = Path((await one.wait_for(RegisterReplica)).address.removeprefix("unix:"))
        if how == "message":
            one.send(Stop())
        else:
            one.process.send_signal(signal.SIGTERM)
        assert await one.exit_code() == 0
        assert [line for line in one.lines() if "stop" in line] == ["shop stops", "store stops"]
        assert refused(path)


async def test_an_interrupt_does_not_end_a_replica(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH) as one:
        await one.wait_for(RegisterReplica)
        one.process.send_signal(signal.SIGINT)
        one.send(Probe("n1"))
        await one.wait_for(Probed)
        beats = sum(isinstance(said, Heartbeat) for said in one.said)
        await one.wait_for(Heartbeat, beats + 2)
        assert one.process.poll() is None


async def test_a_call_in_flight_ends_before_its_replica(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH) as one, serving(one) as shop:
        taking = asyncio.ensure_future(shop.take_time(0.3))
        await one.wait_for_line("taking time")
        one.send(Stop())
        assert await taking == "taken"
        assert await one.exit_code() == 0


async def test_a_stop_says_how_long_what_is_in_flight_may_take(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH) as one, serving(one) as shop:
        taking = asyncio.ensure_future(shop.take_time(60.0))
        await one.wait_for_line("taking time")
        one.send(Stop(grace=0.2))
        assert await one.exit_code(within=5.0) == 0  # and not the 10 s of its configuration
        assert [line for line in one.lines() if "stop" in line] == ["shop stops", "store stops"]
        with pytest.raises(ConnectionLost):
            await taking


@pytest.mark.parametrize("busy", [False, True])
async def test_a_replica_without_an_envelope_ends_within_three_seconds(
    tmp_path: Path, busy: bool
) -> None:
    async with proclet(tmp_path, BOTH) as one, serving(one) as shop:
        taking = asyncio.ensure_future(shop.take_time(60.0)) if busy else None
        if busy:
            await one.wait_for_line("taking time")
        one.hang_up()
        await one.exit_code(within=3.0)
        if taking is not None:
            taking.cancel()
            await asyncio.wait((taking,))


async def test_the_return_of_main_is_told_and_the_replica_waits_for_its_stop(
    tmp_path: Path,
) -> None:
    returns = application(PARTS_MAIN="returns")
    async with proclet(tmp_path, ALL, of=returns, entry="Front") as one:
        await one.wait_for(Ended)
        one.send(Probe("n1"))
        await one.wait_for(Probed)
        one.send(Stop())
        assert await one.exit_code() == 0


async def test_a_draining_replica_leaves_the_shared_queue_to_the_others(tmp_path: Path) -> None:
    patient = application(config='stop_timeout = "60s"\n')
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with (
            proclet(tmp_path, ALL, of=patient, entry="Front", listener=listener) as one,
            serving(one) as shop,
        ):
            path = Path((await one.wait_for(RegisterReplica)).address.removeprefix("unix:"))
            assert await page(port) == "shop-1"
            taking = asyncio.ensure_future(shop.take_time(60.0))
            await one.wait_for_line("taking time")
            one.send(Stop(grace=60.0))
            await until(lambda: refused(path), "its socket to close")
            waiting = asyncio.ensure_future(page(port))
            async with proclet(
                tmp_path, ALL, replica="shop-2", entry="Front", listener=listener
            ) as other:
                assert await waiting == "shop-2"
                one.send(Probe("n1"))
                await one.wait_for(Probed)
                assert not one.has_said(Ended)
                assert not taking.done()
                taking.cancel()
                assert await one.exit_code() == 0
                assert await page(port) == "shop-2"
                other.send(Stop())
                assert await other.exit_code() == 0


async def test_connections_queued_while_no_replica_lives_are_served_by_the_next(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        async with proclet(tmp_path, ALL, entry="Front", listener=listener) as one:
            await one.wait_for(RegisterReplica)
            one.process.kill()
            await one.exit_code()
            waiting = [asyncio.ensure_future(page(port)) for _ in range(20)]
            async with proclet(tmp_path, ALL, replica="shop-2", entry="Front", listener=listener):
                assert await asyncio.gather(*waiting) == ["shop-2"] * 20


async def test_a_profile_shows_what_runs(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH) as one:
        await one.wait_for(RegisterReplica)
        one.send(Profile(0.05))
        stacks = (await one.wait_for(Profiled)).stacks
        assert any("main.py:run_replica" in stack for stack in stacks)


async def test_what_goes_wrong_beside_a_call_is_in_the_log(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH) as one, serving(one) as shop:
        await shop.misbehave()
        assert (await one.wait_for_line("old ways")).logger == "py.warnings"
        assert (await one.wait_for_line("nobody handles this")).level == "ERROR"
        assert (await one.wait_for_line("file")).message == "file \\udcff"
        one.send(Stop())
        assert await one.exit_code() == 0
        assert "last words" in one.lines()


async def test_the_environment_sets_the_level_of_the_log(tmp_path: Path) -> None:
    quiet = application(LOG_LEVEL="warning")
    async with proclet(tmp_path, BOTH, of=quiet) as one, serving(one) as shop:
        await shop.buy("tea")
        one.send(Stop())
        await one.exit_code()
        assert "put tea" not in one.lines()
        assert "shop stops" in one.lines()


async def test_a_level_that_is_none_is_said_and_does_no_harm(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH, of=application(LOG_LEVEL="loud")) as one:
        await one.wait_for(RegisterReplica)
        assert "INFO is used" in (await one.wait_for_line("LOG_LEVEL")).message


async def test_a_replica_dumps_its_stacks_when_asked(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH) as one:
        await one.wait_for(RegisterReplica)
        one.process.send_signal(signal.SIGQUIT)
        one.send(Stop())
        assert await one.exit_code() == 0
        assert one.process.stderr is not None
        assert b"thread 0x" in one.process.stderr.read().lower()


async def page(port: int) -> str:
    """Which replica answers."""
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer.rpartition(b"\r\n\r\n")[2].decode()


def refused(path: Path) -> bool:
    """Whether nobody takes connections there any more."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) != 0


async def test_a_replica_takes_calls_of_other_hosts_at_its_own_address_only(tmp_path: Path) -> None:
    of = msgspec.structs.replace(application(), certificates=certificates())
    async with proclet(tmp_path, BOTH, of=of, advertise="127.0.0.1") as one:
        registered = await one.wait_for(RegisterReplica)
        assert registered.address.startswith(f"unix:{tmp_path}/")
        host, _, port = registered.remote.rpartition(":")
        assert host == "127.0.0.1"
        sockets = psutil.Process(one.process.pid).net_connections("tcp")
        listening = [(s.laddr.ip, s.laddr.port) for s in sockets if s.status == "LISTEN"]
        assert listening == [("127.0.0.1", int(port))]


@pytest.mark.parametrize(
    ("advertise", "why"),
    [("0.0.0.0", "every interface"), ("::", "every interface"), ("localhost", "stands for 127")],
)
async def test_an_address_that_others_cannot_dial_is_refused(
    tmp_path: Path, advertise: str, why: str
) -> None:
    of = msgspec.structs.replace(application(), certificates=certificates())
    async with proclet(tmp_path, BOTH, of=of, advertise=advertise) as one:
        fault = (await one.wait_for(Failed)).fault
        assert why in fault.why
        assert "address=" in fault.fix
        assert await one.exit_code() == 1


async def test_without_certificates_a_replica_takes_no_calls_of_other_hosts(tmp_path: Path) -> None:
    async with proclet(tmp_path, BOTH, advertise="127.0.0.1") as one:
        assert "encrypted" in (await one.wait_for(Failed)).fault.why


def certificates() -> Certificates:
    own = create_authority("d" * 8).issue("here")
    return Certificates(own.name, own.ca, own.certificate, own.key)
