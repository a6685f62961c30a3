"""Clients of every kind that forgive nothing: each answer that does not come is a failure."""

import asyncio
import collections
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PATIENCE = 30.0
PAGES = ("/", "/product/OLJCESPC7Z", "/product/66VCHSJNUP", "/cart", "/versions", "/versions")
FORM = b"product_id=OLJCESPC7Z&quantity=2"
IN_ORDER = {1000, 1001, 1012}  # how a server says goodbye


class Tally:
    """What clients have seen: answers by kind, failures, answers of two versions at once."""

    def __init__(self) -> None:
        self.answers: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        self.mixed: list[str] = []
        self.times: list[float] = []

    def versions(self, text: str) -> None:
        if len(set(text.split())) != 1:
            self.mixed.append(text)


class Client:
    """One HTTP/1.1 connection, opened again where the server said that it closes it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.reused = False  # the last request went over a connection that had been used before

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, pace: float = 0.0, close: bool = False
    ) -> tuple[int, bytes]:
        """Status and body; `pace` are the seconds between two pieces of what is sent and read."""
        self.reused = self._streams is not None
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        lines = [f"{method} {path} HTTP/1.1", "Host: shop", "User-Agent: rollouts"]
        if body:
            lines += [
                "Content-Type: application/x-www-form-urlencoded",
                f"Content-Length: {len(body)}",
            ]
        if close:
            lines.append("Connection: close")
        data = "\r\n".join([*lines, "", ""]).encode() + body
        size = len(data) if not pace else max(len(data) // 6, 1)
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await asyncio.sleep(pace)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await asyncio.sleep(pace)
        answer = await self._body(reader, head)
        if close or b"connection: close" in head:
            self.close()
        return int(head.split()[1]), answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    @staticmethod
    async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
        for line in head.split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return await reader.readexactly(int(line.partition(b":")[2]))
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return body


class Crowd:
    """All clients at once; an async context manager.

    `patient` ones ask once more where a kept connection ends without an answer, as browsers do: a
    killed process takes the idle ones with it.
    """

    def __init__(self, host: str, port: int, *, patient: bool = False) -> None:
        self._patient = patient
        self.tally = Tally()
        self._address = (host, port)
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        kinds: list[tuple[int, Callable[[], Coroutine[Any, Any, None]]]] = [
            (4, lambda: self._kept("kept", 0.02, self._get)),
            (40, lambda: self._kept("idle", 5.0, self._get)),
            (3, lambda: self._kept("new", 0.05, self._get_once)),
            (3, lambda: self._kept("post", 0.1, self._post)),
            (4, lambda: self._kept("slow", 0.1, self._slow)),
            (6, self._socket),
        ]
        self._tasks = [asyncio.create_task(make()) for n, make in kinds for _ in range(n)]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._over.set()
        await asyncio.wait(self._tasks, timeout=2 * PATIENCE)
        for task in self._tasks:
            task.cancel()

    async def _kept(self, kind: str, pause: float, ask: Callable[[Client], Awaitable[int]]) -> None:
        client = Client(self._address)
        while not self._over.is_set():
            await self._once(kind, client, ask)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause * random.uniform(0.5, 1.5)):
                    await self._over.wait()
        client.close()

    async def _once(
        self, kind: str, client: Client, ask: Callable[[Client], Awaitable[int]]
    ) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                try:
                    status = await ask(client)
                except (OSError, EOFError):
                    client.close()
                    if not (self._patient and client.reused):
                        raise
                    self.tally.answers["asked once more"] += 1
                    status = await ask(client)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self._failed(kind, repr(error))
            client.close()
            return
        if status >= 400:
            self._failed(kind, f"status {status}")
        self.tally.answers[kind] += 1
        if kind in {"kept", "new"}:
            self.tally.times.append(time.monotonic() - began)

    async def _get(self, client: Client, *, close: bool = False, pace: float = 0.0) -> int:
        path = random.choice(PAGES)
        status, body = await client.ask("GET", path, close=close, pace=pace)
        if path == "/versions" and status == 200:
            self.tally.versions(body.decode())
        return status

    async def _get_once(self, client: Client) -> int:
        return await self._get(client, close=True)

    async def _slow(self, client: Client) -> int:
        return await self._get(client, pace=0.3)

    async def _post(self, client: Client) -> int:
        status, _ = await client.ask("POST", "/cart", FORM)
        return status

    async def _socket(self) -> None:
        host, port = self._address
        while not self._over.is_set():
            try:
                async with connect(
                    f"ws://{host}:{port}/socket", open_timeout=PATIENCE, ping_interval=None
                ) as socket:
                    await self._talk(socket)
            except ConnectionClosed as closed:
                if closed.rcvd is None or closed.rcvd.code not in IN_ORDER:
                    self._failed("websocket", repr(closed))
                self.tally.answers["websocket ended by the server"] += 1
            except Exception as error:  # noqa: BLE001 - whatever a handshake raises
                self._failed("websocket", repr(error))

    async def _talk(self, socket: Any) -> None:
        while not self._over.is_set():
            await socket.send("who?")
            async with asyncio.timeout(PATIENCE):
                self.tally.versions(await socket.recv())
            self.tally.answers["websocket"] += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await self._over.wait()

    def _failed(self, kind: str, why: str) -> None:
        self.tally.failures.append(f"{time.strftime('%X')} {kind}: {why[:160]}")
