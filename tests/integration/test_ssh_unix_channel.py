"""Links to Unix sockets of a host: through sshd's own channels, and through the bridge."""

import asyncio
import contextlib
import hashlib
import shutil
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ssh_hosts import PATIENCE, Kind, SshHost, eventually, running_hosts

from weaver.deployers.deployer import UNREAD
from weaver.deployers.ssh.channel_link import ChannelLink
from weaver.deployers.ssh.client import Client
from weaver.deployers.ssh.connection import Connection
from weaver.errors import WeaverError

FORWARDS = Kind()
BRIDGED = Kind(
    sshd=("AllowStreamLocalForwarding no", "MaxSessions 2"),
    bashrc="echo WELCOME; printf 'no newline'\n",
    home="my home",
)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(params=[FORWARDS, BRIDGED], ids=["forwarded", "bridged"])
def reached(request: pytest.FixtureRequest) -> Iterator[tuple[SshHost, Connection]]:
    with running_hosts(request.param) as operator:
        host = operator.hosts[0]
        with Client(environ=operator.environ).connect(host.listed) as connection:
            yield host, connection


async def test_bytes_go_both_ways(reached: tuple[SshHost, Connection]) -> None:
    async with echo(reached) as link:
        for size in (1, 100, 5_000_000):
            sent = bytes(range(256)) * (size // 256 + 1)
            link.send(sent)
            assert await digest(link, len(sent)) == hashlib.sha256(sent).hexdigest()


async def test_the_end_of_the_other_side_ends_the_stream(
    reached: tuple[SshHost, Connection],
) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()

    async with linked(reached, serve) as link:
        assert await everything(link) == b"bye"
        assert await link.receive() == b""
        link.send(b"nobody reads this")


async def test_closing_is_seen_by_the_other_side(reached: tuple[SshHost, Connection]) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b"last words"
        writer.close()
        ended.set()

    async with linked(reached, serve) as link:
        link.send(b"last ")
        link.send(b"words")
        await until_sent(link)
        link.close()
        link.close()
        async with asyncio.timeout(PATIENCE):
            await ended.wait()


async def test_nobody_listening_is_no_error(reached: tuple[SshHost, Connection]) -> None:
    host, connection = reached
    assert await link_to(connection, str(host.runtime / "missing.sock")) is None
    stale = host.runtime / "stale.sock"
    server = await asyncio.start_unix_server(ignore, stale)
    server.close()
    await server.wait_closed()
    if not stale.exists():  # newer Pythons remove it
        stale.touch()
        stale.unlink()
    assert await link_to(connection, str(stale)) is None


async def test_a_cut_connection_ends_the_stream(reached: tuple[SshHost, Connection]) -> None:
    host, _ = reached
    async with echo(reached) as link:
        link.send(b"x")
        assert await link.receive() == b"x"
        host.cut()
        async with asyncio.timeout(PATIENCE):
            assert await link.receive() == b""
    eventually(lambda: host.processes() == {})


async def test_a_reader_that_never_reads_loses_its_link(
    reached: tuple[SshHost, Connection],
) -> None:
    async with linked(reached, ignore) as link:
        for _ in range(2 * UNREAD // 1_000_000 + 20):
            link.send(bytes(1_000_000))  # returns at once
        async with asyncio.timeout(PATIENCE):
            assert await link.receive() == b""


async def test_what_is_not_received_makes_the_host_wait(
    reached: tuple[SshHost, Connection],
) -> None:
    written = 0
    blocked = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        with contextlib.suppress(OSError):
            while written < 100_000_000:
                writer.write(bytes(100_000))
                try:
                    await asyncio.wait_for(writer.drain(), 0.5)
                except TimeoutError:
                    break
                written += 100_000
        blocked.set()
        writer.transport.abort()

    async with linked(reached, serve):
        async with asyncio.timeout(PATIENCE):
            await blocked.wait()
    assert written < 50_000_000


async def test_a_frozen_host_does_not_block_the_loop(reached: tuple[SshHost, Connection]) -> None:
    host, connection = reached
    async with echo(reached) as link:
        link.send(b"x")
        assert await link.receive() == b"x"
        host.freeze()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(12):
            link.send(bytes(1_000_000))
        link.close()
        assert loop.time() - began < PATIENCE / 2
        host.thaw()
    assert connection.alive


async def test_many_links_and_commands_share_a_connection_that_allows_two_sessions() -> None:
    kind = Kind(sshd=("MaxSessions 2",))
    with running_hosts(kind) as operator:
        host = operator.hosts[0]
        with Client(environ=operator.environ).connect(host.listed) as connection:
            async with contextlib.AsyncExitStack() as stack:
                reached = host, connection
                links = [
                    await stack.enter_async_context(echo(reached, f"{n}.sock")) for n in range(15)
                ]
                for n, link in enumerate(links):
                    link.send(b"%d" % n)
                runs = [asyncio.to_thread(connection.run, "echo on", timeout=50) for _ in range(4)]
                assert {done.stdout for done in await asyncio.gather(*runs)} == {b"on\n"}
                for n, link in enumerate(links):
                    assert await link.receive() == b"%d" % n


async def test_a_bridge_leaves_a_session_for_commands() -> None:
    with running_hosts(BRIDGED) as operator:
        host = operator.hosts[0]
        with Client(environ=operator.environ).connect(host.listed) as connection:
            async with echo((host, connection)) as link:
                done = await asyncio.to_thread(connection.run, "echo on", timeout=50)
                assert done.stdout.endswith(b"on\n")
                link.send(b"x")
                assert await link.receive() == b"x"


async def test_a_path_that_cannot_be_a_socket_is_named() -> None:
    with running_hosts(BRIDGED) as operator:
        host = operator.hosts[0]
        with Client(environ=operator.environ).connect(host.listed) as connection:
            path = str(host.runtime / ("x" * 200))
            with pytest.raises(WeaverError, match="control socket of an envelope") as caught:
                await link_to(connection, path)
    assert path in caught.value.where


@pytest.mark.parametrize("shell", ["/bin/dash", "/usr/bin/zsh", "/usr/bin/fish", "/bin/tcsh"])
async def test_the_bridge_works_under_any_login_shell(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    kind = replace(BRIDGED, shell=shell)
    with running_hosts(kind) as operator:
        host = operator.hosts[0]
        with Client(environ=operator.environ).connect(host.listed) as connection:
            async with echo((host, connection)) as link:
                link.send(b"hello")
                assert await digest(link, 5) == hashlib.sha256(b"hello").hexdigest()


async def test_a_host_that_neither_forwards_nor_has_python_says_what_to_do() -> None:
    with running_hosts(BRIDGED) as operator:
        host = operator.hosts[0]
        refused = pytest.raises(WeaverError, match="cannot be reached")
        with Client(environ=operator.environ).connect(host.listed) as connection, refused as caught:
            await link_to(connection, str(host.runtime / "e.sock"), python="/no/python3")
    assert "/no/python3" in caught.value.why
    assert "AllowStreamLocalForwarding" in caught.value.fix


# --- parts ---


@contextlib.asynccontextmanager
async def linked(
    reached: tuple[SshHost, Connection], serve: Serve, name: str = "e.sock"
) -> AsyncGenerator[ChannelLink, None]:
    host, connection = reached
    path = host.runtime / name
    served: dict[asyncio.StreamWriter, asyncio.Task[object] | None] = {}

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served[writer] = asyncio.current_task()
        await serve(reader, writer)

    server = await asyncio.start_unix_server(accept, path)
    async with server:
        link = await link_to(connection, str(path))
        assert link is not None
        try:
            yield link
        finally:
            link.close()
            for writer, task in served.items():
                writer.transport.abort()
                await asyncio.wait([task] if task is not None else [], timeout=PATIENCE)
    path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def echo(
    reached: tuple[SshHost, Connection], name: str = "e.sock"
) -> AsyncGenerator[ChannelLink, None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async with linked(reached, serve, name) as link:
        yield link


async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never read; end with the other side."""
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    del writer


async def link_to(
    connection: Connection, path: str, python: str = str(Path(sys.executable).resolve())
) -> ChannelLink | None:
    loop = asyncio.get_running_loop()
    return await asyncio.to_thread(connection.open_unix, path, loop, python=python)


async def digest(link: ChannelLink, size: int) -> str:
    """Of that many bytes, which are all that comes."""
    seen = hashlib.sha256()
    async with asyncio.timeout(3 * PATIENCE):
        while size > 0:
            data = await link.receive()
            assert data, "the stream ended early"
            seen.update(data)
            size -= len(data)
    return seen.hexdigest()


async def everything(link: ChannelLink) -> bytes:
    found = b""
    async with asyncio.timeout(PATIENCE):
        while data := await link.receive():
            found += data
    return found


async def until_sent(link: ChannelLink) -> None:
    async with asyncio.timeout(PATIENCE):
        while link._unsent:
            await asyncio.sleep(0.01)
