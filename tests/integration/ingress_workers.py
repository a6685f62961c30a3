"""A worker process of the ingress, led over its control socket."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from weaver.control.ingress import FromIngress
from weaver.control.messages import Message
from weaver.control.stream import Codec, Receiver, encode
from weaver.ingress.main import Settings
from weaver.transport.handover import Pair

M = TypeVar("M", bound=Message)
CODEC: Codec[Message] = Codec(FromIngress)


class Led:
    """A worker process, and this end of its control socket."""

    def __init__(
        self, listening: socket.socket, pair: Pair | None = None, **settings: float | str
    ) -> None:
        self._listening = listening
        self._pair = pair
        self._settings = settings
        ends = [] if pair is None else [pair.receiver.fileno(), pair.sender.fileno()]
        self.begin((listening.fileno(), *ends))

    def command(self, control: int) -> list[str]:
        """The process to start, with its end of the control socket."""
        said = Settings(self._listening.fileno(), control, report=60.0)
        said = msgspec.structs.replace(said, **self._settings)
        if self._pair is not None:
            ends = self._pair.receiver.fileno(), self._pair.sender.fileno()
            said = msgspec.structs.replace(said, handover_in=ends[0], handover_out=ends[1])
        return [sys.executable, "-m", "weaver.ingress.main", msgspec.json.encode(said).decode()]

    def begin(self, descriptors: Sequence[int]) -> None:
        """Start the process."""
        self.control, theirs = socket.socketpair()
        self.control.setblocking(False)
        with theirs:
            self.process = subprocess.Popen(
                self.command(theirs.fileno()), pass_fds=(theirs.fileno(), *descriptors)
            )
        self._receiver = Receiver(CODEC)
        self._waiting: list[Message] = []

    async def say(self, message: Message) -> None:
        await asyncio.get_running_loop().sock_sendall(self.control, encode(message))

    async def hear(self, kind: type[M]) -> M:
        """The next message of this kind; others are dropped."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            while True:
                while self._waiting:
                    message = self._waiting.pop(0)
                    if isinstance(message, kind):
                        return message
                data = await loop.sock_recv(self.control, 65536)
                assert data, f"the worker has ended before it said {kind.__name__}"
                self._waiting += self._receiver.feed(data)

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, 20)

    def close(self) -> None:
        self.control.close()
        self.process.kill()
        self.process.wait(30)
