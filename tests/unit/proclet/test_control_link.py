"""A proclet's end of the control socket: batches, loss, the end of the envelope."""

import asyncio
import socket
import threading
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
        async with asyncio.timeout(30):
            data = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 20)
        return self.feed(data)

    def received_now(self) -> list[Message]:
        """What is in the socket already."""
        return self.feed(self.socket.recv(1 << 20))

    def feed(self, data: bytes) -> list[Message]:
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
    async with asyncio.timeout(30):
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
    async with asyncio.timeout(30):
        while not envelope.lost:
            await asyncio.sleep(0)
    other = Envelope()
    await other.open()
    other.link.close()
    assert await asyncio.get_running_loop().sock_recv(other.socket, 1) == b""
    other.socket.close()
    envelope.link.close()
    assert (envelope.lost, other.lost) == (1, 0)


async def test_flushed_records_are_out_before_anything_else_happens(envelope: Envelope) -> None:
    envelope.link.log(record(1))
    with pytest.raises(BlockingIOError):
        envelope.socket.recv(1)
    envelope.link.flush()
    assert envelope.received_now() == [Logs((record(1),))]


async def test_a_thread_flushes_while_the_loop_is_busy(envelope: Envelope) -> None:
    def crash() -> None:
        envelope.link.log(record(1))
        envelope.link.flush()

    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()  # the loop does not turn meanwhile
    assert envelope.received_now() == [Logs((record(1),))]


async def test_what_an_envelope_reads_late_arrives_whole_and_in_order(envelope: Envelope) -> None:
    big = [LogRecord(0.0, "INFO", f"{number}" + "x" * 60_000) for number in range(40)]
    for one in big:
        envelope.link.log(one)
        envelope.link.flush()  # the socket holds a few of them
    logs, lost = await envelope.read_logs(len(big))
    assert lost == 0
    assert [one for message in logs for one in message.records] == big


async def test_the_end_waits_for_an_envelope_that_is_slow(envelope: Envelope) -> None:
    big = [LogRecord(0.0, "INFO", "x" * 60_000) for _ in range(10)]
    for one in big:
        envelope.link.log(one)
    received: list[Message] = []

    def read() -> None:
        envelope.socket.setblocking(True)
        while data := envelope.socket.recv(1 << 16):
            received.extend(envelope.feed(data))

    reader = threading.Thread(target=read)
    reader.start()
    envelope.link.close()
    await asyncio.to_thread(reader.join, 10)
    assert sum(len(one.records) for one in received if isinstance(one, Logs)) == len(big)


async def test_an_envelope_that_never_reads_does_not_stop_the_end(envelope: Envelope) -> None:
    for _ in range(20):
        envelope.link.log(LogRecord(0.0, "INFO", "x" * 60_000))
        envelope.link.flush()
    envelope.link.close()
    async with asyncio.timeout(30):
        while await asyncio.get_running_loop().sock_recv(envelope.socket, 1 << 16):
            pass
