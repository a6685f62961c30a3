"""Processes that serve one listener together, and clients that take no failure."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from weaver.transport import handover
from weaver.transport.listening import bind

PROGRAM = Path(__file__).with_name("moving_server.py")
DEADLINE = 30.0


class Answer(NamedTuple):
    """What a server has said: its pid, the client's address, scheme, the size of the body."""

    pid: int
    client: str
    scheme: str
    size: int


class Server:
    """One serving process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.pid = process.pid

    async def tell(self, line: str) -> str:
        """Send a line; the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        return await self.heard()

    async def heard(self) -> str:
        """The next line it says."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            return (await self.process.stdout.readline()).decode().strip()

    async def end(self) -> None:
        """Kill it, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


class Place:
    """A listener's sockets, as an envelope holds them, and the servers that inherit them."""

    def __init__(self) -> None:
        self.listening = bind("127.0.0.1:0")
        self.pair = handover.make_pair()
        self.port: int = self.listening.getsockname()[1]
        self.servers: list[Server] = []

    async def serve(self, *, accepting: bool = True, app: str = "asgi", path: str = "") -> Server:
        """Start a server; with a `path` it has a private socket as well."""
        numbers = [self.listening.fileno(), *(sock.fileno() for sock in self.pair)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            *map(str, numbers),
            "on" if accepting else "off",
            app,
            *([path] if path else []),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=numbers,
        )
        server = Server(process)
        self.servers.append(server)
        assert await server.heard() == "ready"
        return server

    async def close(self) -> None:
        """End all."""
        for server in self.servers:
            await server.end()
        self.listening.close()
        self.pair.close()


@asynccontextmanager
async def place() -> AsyncGenerator[Place]:
    """A place that is cleared up."""
    made = Place()
    try:
        yield made
    finally:
        await made.close()


class Client:
    """One kept connection: its end before it is closed here is a failure."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        host, port = writer.get_extra_info("sockname")[:2]
        self.address = f"{host}:{port}"

    @classmethod
    async def open(cls, port: int) -> "Client":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, path: str = "/", body: bytes = b"") -> None:
        """Send a request."""
        head = f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)

    async def receive(self) -> Answer:
        """The next answer, which must not ask to close the connection."""
        async with asyncio.timeout(DEADLINE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            assert b"connection: close" not in head.lower(), head
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            text = (await self.reader.readexactly(length)).decode()
        pid, client, scheme, size = text.split()
        return Answer(int(pid), client, scheme, int(size))

    async def ask(self, path: str = "/", body: bytes = b"") -> Answer:
        """Send a request, and receive its answer; the server must know who asks."""
        self.send(path, body)
        answer = await self.receive()
        assert answer.client == self.address
        assert answer.size == len(body)
        return answer

    def close(self) -> None:
        """End the connection."""
        self.writer.close()
