"""Clients of the kinds that a rollout is hardest on: idle, slow, posting ones, and WebSockets."""

import asyncio
import collections
import itertools
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, Self

from moving_parts import DEADLINE
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

IN_ORDER: Final = {1000, 1001, 1012}
"""How a server ends a WebSocket that it cannot go on with."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Kept:
    """A connection that is kept until the server says that it closes it. No failure is forgiven."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._streams: Streams | None = None

    async def ask(self, method: str, body: bytes = b"", *, pace: float = 0.0) -> str:
        """The body of the answer; `pace` are the seconds between the pieces of what is sent."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        head = f"{method} / HTTP/1.1\r\nHost: duo\r\nContent-Length: {len(body)}\r\n\r\n"
        data = head.encode() + body
        size = len(data) // 4 + 1 if pace else len(data)
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await asyncio.sleep(pace)
        said = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(pace)
        length = int(said.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        text = (await reader.readexactly(length)).decode()
        if b"connection: close" in said.lower():
            self.close()
        status = said.split()[1].decode()
        return text if status == "200" else f"{status} {text}"

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Crowd:
    """All of them at once, in a thread; use it as a context manager.

    `answers` counts them by kind, `failures` tells each one that did not come, or was none. `sent`
    are the bodies that were posted, each of which is another one.
    """

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self.answers: collections.Counter[str] = collections.Counter()
        self.versions: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        self.sent: list[str] = []
        self._address = (host, int(port))
        self._numbers = itertools.count()
        self._over = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    def posted_once(self, noted: Path) -> bool:
        """Whether the application has noted each thing that was posted, and each one once."""
        return sorted(noted.read_text().split()) == sorted(self.sent)

    async def _run(self) -> None:
        kinds: list[tuple[int, Callable[[], Coroutine[Any, Any, None]]]] = [
            (2, lambda: self._asks("post", 0.05, self._post)),
            (20, lambda: self._asks("idle", 1.5, lambda client: client.ask("GET"))),
            (3, lambda: self._asks("slow", 0.1, self._slow)),
            (3, self._talks),
        ]
        async with asyncio.TaskGroup() as group:
            for number, kind in kinds:
                for _ in range(number):
                    group.create_task(kind())

    async def _asks(self, kind: str, pause: float, ask: Callable[[Kept], Awaitable[str]]) -> None:
        client = Kept(self._address)
        while not self._over.is_set():
            try:
                async with asyncio.timeout(DEADLINE):
                    self._note(kind, await ask(client))
            except (OSError, EOFError, ValueError) as error:
                self.failures.append(f"{kind}: {error!r}")
                client.close()
            await self._rest(pause * random.uniform(0.5, 1.5))
        client.close()

    async def _post(self, client: Kept, pace: float = 0.0) -> str:
        body = f"n{next(self._numbers)}"
        self.sent.append(body)
        return await client.ask("POST", body.encode(), pace=pace)

    async def _slow(self, client: Kept) -> str:
        return await self._post(client, pace=0.15)

    async def _talks(self) -> None:
        host, port = self._address
        while not self._over.is_set():
            try:
                async with connect(f"ws://{host}:{port}/", ping_interval=None) as socket:
                    await self._talk(socket)
            except ConnectionClosed as closed:
                if closed.rcvd is None or closed.rcvd.code not in IN_ORDER:
                    self.failures.append(f"websocket: {closed!r}")
            except Exception as error:
                self.failures.append(f"websocket: {error!r}")

    async def _talk(self, socket: ClientConnection) -> None:
        seen: set[str] = set()
        while not self._over.is_set():
            await socket.send("who?")
            async with asyncio.timeout(DEADLINE):
                said = await socket.recv(decode=True)
            seen.add(said)
            self._note("websocket", said)
            if len(seen) > 1:
                self.failures.append(f"websocket: it changed its version: {seen}")
            await self._rest(0.1)

    def _note(self, kind: str, text: str) -> None:
        front, _, stock = text.partition(" ")
        if front != stock:
            self.failures.append(f"{kind}: {text}")
        self.answers[kind] += 1
        self.versions[f"{kind} {front}"] += 1

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            pass
