"""Two hosts, each an envelope with real replicas: calls between them, and the loss of one."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import msgspec
from replica_parts import Front, Shop, application, full

from weaver.control.certificates import Certificates
from weaver.deployers.certificates import Authority, create_authority
from weaver.deployers.control_loop import ControlLoop
from weaver.deployers.deployer import Command, Completed, SocketLink, connect_unix
from weaver.deployers.journal import Journal
from weaver.manager.hosts import HostSpec
from weaver.manager.placement import Group
from weaver.manager.state import Spec, Waits
from weaver.proclet.definition import Definition, define
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.distributed import DistributedPlacement
from weaver.proclet.host import Host
from weaver.proclet.network import Network
from weaver.proclet.threads import Workers
from weaver.rpc import events
from weaver.rpc.connection import Connection
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.transport.listening import split
from weaver.transport.tls import Identity

ROOT = Path(__file__).parents[2]
WAITS = Waits(trust=0.3, moved=0.6, retry_most=0.1)


def hello(definition: Definition) -> Hello:
    return Hello(deployment="d" * 8, build="b" * 8, methods=definition.table.hash, replica="test-1")


class Hosts:
    """Envelopes that are children of this process; hosts that are `cut` cannot be reached."""

    def __init__(self, folder: Path) -> None:
        self.cut: set[str] = set()
        self._folder = folder
        self._links: dict[str, SocketLink] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start_envelope(self, host: str) -> None:
        path = self._socket(host)
        command = [sys.executable, "-m", "weaver.envelope.main", "--socket", str(path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._processes[host] = await asyncio.create_subprocess_exec(
            *command, "--host", host, env=environment
        )
        while (link := await connect_unix(path)) is None:
            await asyncio.sleep(0.01)
        link.close()

    async def connect(self, host: str) -> SocketLink | None:
        if host in self.cut:
            raise OSError(113, "No route to host")
        link = await connect_unix(self._socket(host))
        if link is not None:
            self._links[host] = link
        return link

    async def execute(self, host: str, command: Command) -> Completed:
        raise AssertionError(f"nothing runs commands on {host}: {command.words}")

    def control_path(self, host: str) -> str:
        return f"/run/{host}.sock"

    async def has_ended(self, host: str) -> bool:
        return host not in self.cut and await connect_unix(self._socket(host)) is None

    def lose(self, host: str) -> None:
        self.cut.add(host)
        self._links[host].close()

    async def wait_ended(self) -> None:
        async with asyncio.timeout(20):
            for process in self._processes.values():
                await process.wait()

    def kill(self) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                process.kill()

    def _socket(self, host: str) -> Path:
        return self._folder / host / "e.sock"


class Deployed:
    """A running deployment, and the shop as a process of a third host calls it."""

    def __init__(self, loop: ControlLoop, hosts: Hosts, identity: Identity) -> None:
        self.loop = loop
        self.hosts = hosts
        self.ending = asyncio.ensure_future(loop.run())
        definition = define([Front])
        self._workers = Workers(2)
        nothing: dict[str, object] = {}
        self.network = Network(
            definition,
            Dispatcher(definition.table, nothing.__getitem__, self._workers),
            hello=hello(definition),
            timeout=20.0,
            limits=Limits(),
            replica="test-1",
            host="elsewhere",
            tls=identity,
        )
        host = Host(definition, {}, DistributedPlacement(self.network), stop_timeout=1.0, hosted=())
        self.shop: Shop = host.reference(full("Shop"))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            with self.loop.changes.follow() as changes:
                while not condition():
                    await changes.take()
        self.network.update(self.loop.state.routing)

    def places(self) -> dict[str, str]:
        """The hosts of ready replicas."""
        replicas = self.loop.state.replicas.values()
        return {r.id: r.host for r in replicas if r.stage == "ready"}

    async def aclose(self) -> None:
        self.loop.request_stop(at_once=True)
        await asyncio.wait((self.ending,), timeout=50)
        self.ending.cancel()
        await self.network.aclose()
        self._workers.close()


def host_of(authority: Authority, name: str) -> HostSpec:
    own = authority.issue(name)
    certificates = Certificates(own.name, own.ca, own.certificate, own.key)
    return HostSpec(address="127.0.0.1", certificates=certificates)


@contextlib.asynccontextmanager
async def deployment(tmp_path: Path) -> AsyncGenerator[Deployed]:
    authority = create_authority("d" * 8)
    parts = {"shop": "Shop", "store": "Store", "far": "Far"}
    spec = Spec(
        application=msgspec.structs.replace(application(), project=str(Path(__file__).parent)),
        groups={name: Group(components=(full(part),)) for name, part in parts.items()},
        hosts={name: host_of(authority, name) for name in ("h1", "h2")},
        stop_timeout=2.0,
        on_manager_lost="continue",
        waits=WAITS,
    )
    hosts = Hosts(tmp_path)
    folder = tmp_path / "journal"
    folder.mkdir()
    try:
        with Journal(folder) as journal:
            running = Deployed(ControlLoop(spec, journal, hosts), hosts, authority.issue("test"))
            try:
                async with asyncio.timeout(20):
                    await running.loop.wait_live()
                running.network.update(running.loop.state.routing)
                yield running
            finally:
                await running.aclose()
        await hosts.wait_ended()
    finally:
        hosts.kill()


async def buys(deployed: Deployed) -> int:
    async with asyncio.timeout(20):
        return await deployed.shop.buy("tea")


async def test_a_call_crosses_hosts_and_only_under_tls(tmp_path: Path) -> None:
    async with deployment(tmp_path) as deployed:
        assert deployed.places() == {"shop-1": "h1", "store-1": "h2", "far-1": "h1"}
        assert await buys(deployed) == 3
        for route in deployed.loop.state.routing.groups.values():
            for endpoint in route.endpoints:
                assert endpoint.address.startswith("unix:")
                assert endpoint.remote.startswith("127.0.0.1:")
                assert await takes_plain_text(endpoint.address)
                assert not await takes_plain_text(endpoint.remote)


async def takes_plain_text(address: str) -> bool:
    """Whether somebody answers there as a peer does, without TLS."""
    definition = define([Front])
    peer = Connection(hello(definition))
    if address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        reader, writer = await asyncio.open_connection(*split(address))
    try:
        writer.writelines(peer.data_to_send())
        async with asyncio.timeout(30):
            found = peer.receive(await reader.read(4096))
        return any(isinstance(event, events.Opened) for event in found)
    except ConnectionError:
        return False
    finally:
        writer.transport.abort()


async def test_a_lost_host_is_replaced_and_comes_back(tmp_path: Path) -> None:
    async with deployment(tmp_path) as deployed:
        loop, hosts = deployed.loop, deployed.hosts
        before = deployed.places()
        hosts.lose("h2")
        await deployed.until(lambda: deployed.places().get("store-2") == "h1")
        assert await buys(deployed) == 3
        assert loop.state.desired.away == ("h2",)
        assert set(loop.state.desired.leaving) == {"store-1"}
        hosts.cut.clear()
        await deployed.until(lambda: deployed.places() == before)
        await deployed.until(lambda: not loop.state.desired.leaving)
        assert await buys(deployed) == 3
        assert loop.state.desired.stand_ins == {}
        kinds = {entry.kind for entry in loop.history.latest}
        assert {"host lost", "host back"} <= kinds
