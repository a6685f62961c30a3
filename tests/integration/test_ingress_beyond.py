"""An ingress whose host has nobody left for a version: replicas on other hosts, over mutual TLS.

Two hosts, which are loopback both, with envelopes of their own; of the newer version there is one.
"""

import asyncio
import contextlib
import dataclasses
import functools
import os
import signal
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import psutil
from moving_parts import DEADLINE, Answer, Client
from test_envelope_ingress import port_of, report_of, until_serving, workers_of
from versions_side_by_side import Version, version
from websockets.asyncio.client import connect

from weaver.control.certificates import Certificates
from weaver.control.ingress import Backend, Table, VersionShare
from weaver.control.messages import RegisterReplica, ReplicaStarted
from weaver.control.traffic import IngressOrder, Traffic
from weaver.deployers.certificates import Authority, create_authority
from weaver.transport.listening import split
from weaver.transport.tls import Identity

LARGE = 48 * 1024 * 1024
MOST = 24 * 1024 * 1024
"""Bytes that a worker may grow while that much goes through it."""


def certificates(authority: Authority, host: str) -> Certificates:
    own = authority.issue(host)
    return Certificates(own.name, own.ca, own.certificate, own.key)


class Hosts(NamedTuple):
    """The old version on both hosts, and the new one's envelope on the first of them."""

    authority: Authority
    here: Version
    there: Version
    new: Version

    def far(self) -> Backend:
        """The replica on the other host, as this one reaches it."""
        return Backend("far", self.there.manager.said(RegisterReplica)[-1].beyond["http"])

    def order(self, number: int, *shares: VersionShare) -> None:
        """Have one worker of the new version go by this table."""
        order = IngressOrder(Table(number, shares))
        traffic = Traffic(accepting=False, ingress={"http": order}, predecessor=str(self.here.path))
        self.new.order("127.0.0.1:0", traffic, advertise="127.0.0.1")


async def registered(one: Version) -> RegisterReplica:
    await one.manager.until(lambda: bool(one.manager.said(RegisterReplica)), DEADLINE)
    return one.manager.said(RegisterReplica)[-1]


def pid_of(one: Version) -> int:
    return one.manager.all(ReplicaStarted)[-1].pid


@contextlib.asynccontextmanager
async def two_hosts(root: Path) -> AsyncGenerator[Hosts]:
    authority, newer = create_authority("old"), create_authority("new")
    async with (
        version("old", root / "h1", certificates=certificates(authority, "h1")) as here,
        version("old", root / "h2", certificates=certificates(authority, "h2")) as there,
        version("new", root / "h1", certificates=certificates(newer, "h1")) as new,
    ):
        for one in (here, there):
            one.order("127.0.0.1:0", Traffic(accepting=False), advertise="127.0.0.1")
        await asyncio.gather(registered(here), registered(there))
        yield Hosts(authority, here, there, new)


async def test_requests_go_to_another_host_when_this_one_has_nobody_for_them(
    tmp_path: Path,
) -> None:
    async with two_hosts(tmp_path) as hosts:
        near = Backend("near", (await registered(hosts.here)).serving["http"])
        hosts.order(1, VersionShare("old", 1, (near,), (hosts.far(),)))
        await until_serving(hosts.new, 1)
        client = await Client.open(port_of(hosts.new))
        assert {(await asked(client)).pid for _ in range(20)} == {pid_of(hosts.here)}
        os.kill(pid_of(hosts.here), signal.SIGKILL)  # its successor has another address
        await hosts.here.manager.exited()
        answers = [await asked(client) for _ in range(20)]
        assert {answer.pid for answer in answers} == {pid_of(hosts.there)}
        assert {(a.client, a.scheme) for a in answers} == {("127.0.0.1:0", "http")}, "the user's"
        await _tunnels(port_of(hosts.new), pid_of(hosts.there))
        await _uploads(client, hosts.new)
        client.close()
        await _admits_only_its_own(hosts)
        await _is_believed_only_as_what_it_is(hosts)


async def asked(client: Client) -> Answer:
    client.send("/")
    return await client.receive()


async def _tunnels(port: int, pid: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}/") as tunnel:
        for text in ("one", "x" * 500_000):
            await tunnel.send(text)
            assert await asyncio.wait_for(tunnel.recv(), DEADLINE) == f"{pid} ws {text}"


async def _uploads(client: Client, new: Version) -> None:
    """A large body is passed on as fast as it is taken, and not kept."""
    (worker,) = workers_of(new)
    before = psutil.Process(worker).memory_info().rss
    client.writer.write(f"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {LARGE}\r\n\r\n".encode())
    part, most = b"x" * (1024 * 1024), 0
    for _ in range(LARGE // len(part)):
        client.writer.write(part)
        await client.writer.drain()
        most = max(most, psutil.Process(worker).memory_info().rss - before)
    assert (await client.receive()).size == LARGE
    assert most < MOST


async def _said(address: str, context: ssl.SSLContext | None, name: str = "") -> bytes:
    """What is answered to a request at a replica's own address; b"" for nothing."""
    host, port = split(address.removeprefix("tls:"))
    data = b""
    with contextlib.suppress(OSError):  # alerts of TLS come as such
        reader, writer = await asyncio.open_connection(
            host, port, ssl=context, server_hostname=name or None
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(OSError):
            data = await asyncio.wait_for(reader.read(), DEADLINE)
        writer.transport.abort()
    return data


def _blind(identity: Identity | None) -> ssl.SSLContext:
    """A client that believes any server, so that it is the server who decides."""
    context = identity.client() if identity else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _admits_only_its_own(hosts: Hosts) -> None:
    authority, address = hosts.authority, hosts.far().address
    assert address.startswith("tls:127.0.0.1:")
    own = authority.issue("h1")
    assert (await _said(address, own.client(), own.name)).startswith(b"HTTP/1.1 200 ")
    assert b"HTTP" not in await _said(address, None)
    stranger = create_authority("old").issue("h1")
    renamed = dataclasses.replace(authority, deployment="other").issue("h1")
    for refused in (None, stranger, renamed):
        assert await _said(address, _blind(refused), "old.weaver") == b""


async def _is_believed_only_as_what_it_is(hosts: Hosts) -> None:
    """A replica of one version is not asked as one of another, and never in plain text."""

    def follows(number: int) -> bool:
        return report_of(hosts.new).counts.number == number

    for number, name in ((2, "new"), (3, "unknown")):
        hosts.order(number, VersionShare(name, 1, (), (hosts.far(),)))
        await hosts.new.manager.until(functools.partial(follows, number))
        client = await Client.open(port_of(hosts.new))
        client.send("/")
        head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), DEADLINE)
        assert head.startswith(b"HTTP/1.1 502 ")
        client.close()


async def test_a_host_alone_opens_no_port_for_others(tmp_path: Path) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic(accepting=False))
        assert (await registered(one)).beyond == {}
        found = psutil.Process(pid_of(one)).net_connections("tcp")
        assert [c.laddr.port for c in found if c.status == psutil.CONN_LISTEN] == [port_of(one)]
