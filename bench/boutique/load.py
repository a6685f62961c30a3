"""Asks a shop for pages: at a constant rate, or as fast as it answers; prints JSON about it.

An open loop (`--rate`): requests are due at fixed times, and latency counts from then, so that a
system that falls behind does not hide it. A closed loop (no rate): every shopper asks as soon as it
has been answered. The line "begin" on stdout is the begin of what counts.
"""

import argparse
import asyncio
import json
import resource
import time
from collections import Counter, deque

import uvloop
from shoppers import Shopper

HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "


class Visitor(asyncio.Protocol):
    """The connection of one shopper, with one request in flight at most."""

    def __init__(self, load: "Load", shopper: Shopper) -> None:
        self.shopper = shopper
        self._load = load
        self._requests = shopper.requests()
        self._parts: list[bytes] = []
        self._missing = -1  # bytes of the answer; -1: its head is not complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(exc)

    def ask(self, due: float) -> None:
        """Send the next request, which was due at this time."""
        self._due = due
        request, self._expected = next(self._requests)
        self._transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            if self._parts:
                data = b"".join((*self._parts, data))
                self._parts.clear()
            end = data.find(HEAD_END)
            if end < 0:
                self._parts.append(data)
                return
            head = data[:end].lower()
            at = head.find(LENGTH)
            assert at >= 0, head  # the shop tells the length of all its answers
            start = at + len(LENGTH)
            stop = head.find(b"\r", start)
            length = int(head[start:] if stop < 0 else head[start:stop])
            self._status = head[9:12]
            self._missing = length + end + len(HEAD_END)
        self._missing -= len(data)
        if self._missing == 0:
            self._missing = -1
            self._load.answered(self, self._due, self._status, good=self._status == self._expected)


class Load:
    """All shoppers, and what is known of their answers."""

    def __init__(self, shoppers: int, seed: int, rate: float) -> None:
        self.visitors = [Visitor(self, Shopper(n, seed)) for n in range(shoppers)]
        self.rate = rate
        self.times: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.errors = 0
        self._counts = False
        self._ends = False
        self._waiting: deque[float] = deque()
        self._idle: deque[Visitor] = deque()

    async def run(self, host: str, port: int, warm: float, seconds: float) -> None:
        """Connect, warm up, and count for so many seconds."""
        loop = asyncio.get_running_loop()
        for visitor in self.visitors:
            await loop.create_connection(lambda visitor=visitor: visitor, host, port)
        feeding = asyncio.create_task(self._feed()) if self.rate else None
        self._idle.extend(self.visitors)
        if not self.rate:
            for visitor in self.visitors:
                visitor.ask(time.perf_counter())
        await asyncio.sleep(warm)
        self._counts = True
        self.began = time.perf_counter()
        print("begin", flush=True)
        await asyncio.sleep(seconds)
        self._counts = False
        self.ended = time.perf_counter()
        self._ends = True
        if feeding:
            feeding.cancel()

    async def _feed(self) -> None:
        due, gap = time.perf_counter(), 1 / self.rate
        while True:
            due += gap
            await asyncio.sleep(due - time.perf_counter())
            if self._idle:
                self._idle.popleft().ask(due)
            else:
                self._waiting.append(due)

    def answered(self, visitor: Visitor, due: float, status: bytes, *, good: bool) -> None:
        now = time.perf_counter()
        if self._counts:
            self.times.append(now - due)
            self.statuses[status.decode()] += 1
            self.errors += not good
        if not self.rate:
            if not self._ends:
                visitor.ask(now)
        elif self._waiting:
            visitor.ask(self._waiting.popleft())
        else:
            self._idle.append(visitor)

    def lost(self, exc: Exception | None) -> None:
        if not self._ends:
            self.errors += 1
            print(f"a connection was lost: {exc}", flush=True)

    def report(self) -> dict[str, object]:
        """What counts, with times in milliseconds."""
        times = sorted(self.times) or [0.0]
        at = lambda share: round(times[min(int(share * len(times)), len(times) - 1)] * 1e3, 4)  # noqa: E731
        lines = [n for visitor in self.visitors for n in visitor.shopper.lines_seen]
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "requests": len(self.times),
            "errors": self.errors,
            "statuses": dict(self.statuses),
            "seconds": round(self.ended - self.began, 4),
            "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "worst": at(1.0),
            "waiting": len(self._waiting),
            "lines": round(sum(lines) / max(len(lines), 1), 3),
            "driver_cpu": round(used.ru_utime + used.ru_stime, 3),
        }  # fmt: skip


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="HOST:PORT")
    parser.add_argument("--rate", type=float, default=0.0, help="requests per second; 0: no pause")
    parser.add_argument("--shoppers", type=int, default=32)
    parser.add_argument("--warm", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    host, _, port = options.address.rpartition(":")
    load = Load(options.shoppers, options.seed, options.rate)
    await load.run(host, int(port), options.warm, options.seconds)
    print(json.dumps(load.report()), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
