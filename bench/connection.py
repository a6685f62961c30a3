"""What two connections cost in one process: CPU per small call, 64 in flight, 1 MiB, fairness.

Run: `python bench/connection.py`. Rounds of all contestants alternate; the figures are medians, and
the ratios are those of one run. The budget: at most 8 us for a small call, both ends together.
"""

import gc
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from weaver.cli.commands.version import core
from weaver.frames import HEADER
from weaver.proclet.tuning import keep_memory
from weaver.rpc.connection import Connection
from weaver.rpc.handshake import Hello
from weaver.transport.memory import MemoryLink

HELLO = Hello(deployment="d", build="b", methods=b"m")
TEXT = "0123456789abcdef"
MIB = 1 << 20
ROUNDS = 15

encode = msgspec.msgpack.Encoder().encode
decode_arguments = msgspec.msgpack.Decoder(tuple[str]).decode
decode_result = msgspec.msgpack.Decoder(str).decode


def opened() -> tuple[Connection, Connection]:
    link = MemoryLink(Connection(HELLO), Connection(HELLO))
    link.settle()
    return link.left, link.right


LEFT, RIGHT = opened()
BODY = encode((TEXT,))


def move(sender: Connection, receiver: Connection) -> list[Any]:
    """As a transport does: a read is one `bytes` object of all that was written."""
    buffers = sender.data_to_send()
    return receiver.receive(bytes(buffers[0]) if len(buffers) == 1 else b"".join(buffers))


def msgspec_alone(calls: int) -> None:
    for _ in range(calls):
        (text,) = decode_arguments(encode((TEXT,)))
        decode_result(encode(text))


def call_without_codec(calls: int) -> None:
    for _ in range(calls):
        LEFT.send_request(3, BODY, deadline_ms=30_000)
        [request] = move(LEFT, RIGHT)
        RIGHT.send_reply(request.call, request.body)
        [reply] = move(RIGHT, LEFT)
        assert reply.body is not None


def call_with_codec(calls: int) -> None:
    for _ in range(calls):
        LEFT.send_request(3, encode((TEXT,)), deadline_ms=30_000)
        [request] = move(LEFT, RIGHT)
        (text,) = decode_arguments(request.body)
        RIGHT.send_reply(request.call, encode(text))
        [reply] = move(RIGHT, LEFT)
        decode_result(reply.body)


def in_flight_64(calls: int) -> None:
    for _ in range(calls // 64):
        for _ in range(64):
            LEFT.send_request(3, encode((TEXT,)), deadline_ms=30_000)
        for request in move(LEFT, RIGHT):
            (text,) = decode_arguments(request.body)
            RIGHT.send_reply(request.call, encode(text))
        for reply in move(RIGHT, LEFT):
            decode_result(reply.body)


def large(calls: int) -> None:
    for _ in range(calls):
        LEFT.send_request(3, BLOB)
        [request] = drain(LEFT, RIGHT)
        RIGHT.send_reply(request.call, request.body)
        [reply] = drain(RIGHT, LEFT)
        assert len(reply.body) == MIB


def copied_twice(calls: int) -> None:
    for _ in range(calls):
        bytes(bytearray(bytes(bytearray(BLOB))))


def drain(sender: Connection, receiver: Connection) -> list[Any]:
    """As a transport does: into the receiver's room where it has any, one frame at a time."""
    events: list[Any] = []
    while sender.queued:
        for buffer in sender.data_to_send(8):
            view = memoryview(buffer)
            while view:
                room = receiver.room()
                if room is None:
                    staged, view = view[:4096], view[4096:]
                    events += receiver.receive(bytes(staged))
                    continue
                count = min(len(room), len(view))
                room[:count] = view[:count]
                view = view[count:]
                behind = receiver.filled(count)
                events += [] if behind is None else receiver.receive(behind)
    return events


BLOB = bytes(MIB)


def cpu_us(contestant: Callable[[int], None], calls: int) -> float:
    start = time.process_time()
    contestant(calls)
    return (time.process_time() - start) / calls * 1e6


def waiting_ahead() -> tuple[int, int]:
    """What a small call queued while 4 x 1 MiB stream waits for, at worst: chunks, and bytes.

    That is the chunk in the writer's hands, and all that the next turn puts before the call.
    """
    left, _ = opened()
    for _ in range(4):
        left.send_request(1, BLOB)
    most_chunks = most_bytes = 0
    ahead = left.data_to_send()
    while left.queued:
        small = left.send_request(2, b"small")
        buffers = left.data_to_send()
        place = next(n for n, b in enumerate(buffers) if HEADER.unpack_from(b)[1] == small)
        ahead += buffers[:place]
        most_chunks = max(most_chunks, sum(len(buffer) > 1000 for buffer in ahead))
        most_bytes = max(most_bytes, sum(map(len, ahead)))
        ahead = buffers[place + 1 :]
    return most_chunks, most_bytes


def main() -> None:
    contestants: list[tuple[str, Callable[[int], None], int]] = [
        ("msgspec encode + decode alone", msgspec_alone, 20_000),
        ("call, one in flight, no codec", call_without_codec, 5_000),
        ("call, one in flight, with codec", call_with_codec, 5_000),
        ("call, 64 in flight, with codec", in_flight_64, 6_400),
        ("1 MiB there and back", large, 20),
        ("1 MiB copied there and back", copied_twice, 20),
    ]
    samples: dict[str, list[float]] = {name: [] for name, _, _ in contestants}
    keep_memory()
    gc.collect()
    gc.freeze()
    for _ in range(ROUNDS):
        for name, contestant, calls in contestants:
            samples[name].append(cpu_us(contestant, calls))
    base = statistics.median(samples["msgspec encode + decode alone"])
    python = sys.version.split()[0]
    print(f"Python {python}, weaver {core()}, medians of {ROUNDS} alternating rounds, both ends")
    for name, values in samples.items():
        median = statistics.median(values)
        print(
            f"{name:34} {median:9.2f} us  (best {min(values):9.2f})  {median / base:8.1f} x msgspec"
        )
    chunks, size = waiting_ahead()
    print(f"a small call beside 4 x 1 MiB waits for at most {chunks} chunk, {size} bytes")


if __name__ == "__main__":
    main()
