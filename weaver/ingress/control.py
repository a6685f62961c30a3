"""The control socket of an ingress process: what its parent says, and what it answers.

Decides that a process without a parent drains. It must not know what serves.
"""

import asyncio
import logging
import socket
from typing import Final, Protocol, Self, cast

from weaver.control.ingress import Drain, ToIngress
from weaver.control.messages import Message
from weaver.control.stream import Codec, Receiver, encode
from weaver.errors import ProtocolError

_log = logging.getLogger("weaver.ingress")
_CODEC: Final[Codec[Message]] = Codec(ToIngress)


class Led(Protocol):
    """Whoever follows a control socket."""

    def obey(self, message: Message) -> None:
        """A message has come, other than `Drain`."""
        ...

    def drain(self, drain: Drain) -> None:
        """It shall end; may be called again, with less time."""
        ...


class Control(asyncio.Protocol):
    """The end of a control socket; `grace` is how long to drain in seconds when nobody says."""

    def __init__(self, led: Led, grace: float) -> None:
        self._led = led
        self._grace = grace
        self._receiver = Receiver(_CODEC)
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def on(cls, descriptor: int, led: Led, grace: float) -> Self:
        """The one on an inherited descriptor, which is owned from now on."""
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        return (await loop.create_unix_connection(lambda: cls(led, grace), sock=sock))[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: it is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        """asyncio: messages have come."""
        try:
            for message in self._receiver.feed(data):
                if isinstance(message, Drain):
                    self._led.drain(message)
                else:
                    self._led.obey(message)
        except ProtocolError as error:
            _log.error("the control socket of the ingress is of no use: %s", error)
            self.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: nobody leads this process any more."""
        del exc
        self._transport = None
        self.stop()

    def stop(self) -> None:
        """Drain as when nobody says how long."""
        self._led.drain(Drain(self._grace, tunnels=self._grace))

    def send(self, message: Message) -> None:
        """Say something, if there is anybody to hear it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def close(self) -> None:
        """Say nothing more."""
        if self._transport is not None:
            self._transport.close()
