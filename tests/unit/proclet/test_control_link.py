"""A proclet's end of the control socket: batches, loss, the end of the envelope."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from weaver.control.messages import FromProclet, LogRecord, Logs, Message, Probe, Probed, Stop
from weaver.control.stream import Codec, Receiver, encode
from weaver.proclet.control_link import LOGS_AT_ONCE, LOGS_KEPT, ControlLink


class Envelope:
    """The other end of a link, and what the link has called."""

    def __init__(self) -> None:
        self.received: list[Message] = []
        self.lost = 0
        self.link = ControlLink(self.received.append, self._lose)
        self.socket, self._theirs = socket.socketpair()
        self.socket.setblocking(False)
        self._receiver: Receiver[Message] = Receiver(Codec(FromProclet))

    async def open(self) -> None:
        await self.link.open(self._theirs)

    async def read(self) -> list[Message]:
        async with asyncio.timeout(10):
            data = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 20)
        return list(self._receiver.feed(data))

    async def read_logs(self, number: int) -> tuple[list[Logs], int]:
        """Messages of logs until that many records have been sent or lost; how many were lost."""
        logs: list[Logs] = []
        while sum(len(one.records) + one.lost for one in logs) < number:
            logs += [one for one in await self.read() if isinstance(one, Logs)]
        return logs, sum(one.lost for one in logs)

    def _lose(self) -> None:
        self.lost += 1


@pytest.fixture
async def envelope() -> AsyncIterator[Envelope]:
    one = Envelope()
    await one.open()
    yield one
    one.link.close()
    one.socket.close()
    await asyncio.sleep(0)


def record(number: int) -> LogRecord:
    return LogRecord(0.0, "INFO", str(number))


async def test_messages_go_both_ways(envelope: Envelope) -> None:
    envelope.link.send(Probed("n1", "d", "b"))
    assert await envelope.read() == [Probed("n1", "d", "b")]
    envelope.socket.sendall(encode(Probe("n2")) + encode(Stop()))
    async with asyncio.timeout(10):
        while len(envelope.received) < 2:
            await asyncio.sleep(0)
    assert envelope.received == [Probe("n2"), Stop()]


async def test_log_records_come_before_the_message_that_follows_them(envelope: Envelope) -> None:
    envelope.link.log(record(1))
    envelope.link.send(Probed("n1", "d", "b"))
    assert await envelope.read() == [Logs((record(1),)), Probed("n1", "d", "b")]


async def test_more_records_than_are_kept_are_counted_and_the_newest_stay(
    envelope: Envelope,
) -> None:
    number = LOGS_KEPT + 7
    for i in range(number):
        envelope.link.log(record(i))
    logs, lost = await envelope.read_logs(number)
    assert lost == 7
    assert max(len(one.records) for one in logs) <= LOGS_AT_ONCE
    sent = [int(one.message) for message in logs for one in message.records]
    assert sent == list(range(7, number))


async def test_no_record_of_another_thread_is_missed(envelope: Envelope) -> None:
    def log() -> None:
        for i in range(1000):
            envelope.link.log(record(i))

    logging = asyncio.ensure_future(asyncio.to_thread(log))
    await envelope.read_logs(1000)
    await logging


async def test_the_end_of_the_envelope_is_told_once_and_our_own_not(envelope: Envelope) -> None:
    envelope.socket.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(10):
        while not envelope.lost:
            await asyncio.sleep(0)
    other = Envelope()
    await other.open()
    other.link.close()
    assert await asyncio.get_running_loop().sock_recv(other.socket, 1) == b""
    other.socket.close()
    envelope.link.close()
    assert (envelope.lost, other.lost) == (1, 0)
