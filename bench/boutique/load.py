"""Asks a shop for pages: at a constant rate, or as fast as it answers; prints JSON about it.

An open loop (`--rate`): requests are due at fixed times. Latency is from the moment a request is
sent until its answer has arrived, by the kernel's time stamps: the driver's own pauses and wake-ups
are the load's, not the shop's. Where a request could not be sent because too many were unanswered,
it is from when it was due, so that a system that falls behind does not hide it. A closed loop (no
rate): every shopper asks as soon as it has been answered. The line "begin" on stdout is the begin
of what counts.
"""

import argparse
import json
import resource
import select
import socket
import struct
import time
from collections import Counter, deque

from shoppers import Shopper

HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "
STAMPS = getattr(socket, "SO_TIMESTAMPNS", 35)  # of Linux; this Python may not name it
STAMP = struct.Struct("qq")
AT_ONCE = 64 * 1024


def now() -> float:
    """The clock of the kernel's time stamps, in seconds."""
    return time.clock_gettime(time.CLOCK_REALTIME)


class Visitor:
    """The connection of one shopper, with one request in flight at most."""

    def __init__(self, address: tuple[str, int], shopper: Shopper, *, stamped: bool) -> None:
        self.shopper = shopper
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if stamped:
            self.socket.setsockopt(socket.SOL_SOCKET, STAMPS, 1)
        self._stamped = stamped
        self._requests = shopper.requests()
        self._head = b""
        self._missing = -1  # bytes of the answer; -1: its head is not complete

    def ask(self, due: float, *, waited: bool = False) -> None:
        """Send the next request, due at this time; it may have `waited` for another's answer."""
        request, self.expected = next(self._requests)
        self.due = due
        self.began = due if waited else now()
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Read; whether the answer is complete, which it is since `ended`."""
        data, self.ended = self._read()
        if self._missing < 0:
            self._head += data
            end = self._head.find(HEAD_END)
            if end < 0:
                return False
            data = self._head[end + len(HEAD_END) :]
            self._missing = self._begin(self._head[:end].lower())
            self._head = b""
        self._missing -= len(data)
        if self._missing:
            return False
        self._missing = -1
        return True

    def _begin(self, head: bytes) -> int:
        """The head of an answer is complete: the length of the rest."""
        at = head.find(LENGTH)
        assert at >= 0, head  # the shop tells the length of all its answers
        start = at + len(LENGTH)
        stop = head.find(b"\r", start)
        self.status = head[9:12]
        return int(head[start:] if stop < 0 else head[start:stop])

    def _read(self) -> tuple[bytes, float]:
        notes: list[tuple[int, int, bytes]] = []
        if self._stamped:
            data, notes, _flags, _address = self.socket.recvmsg(AT_ONCE, 64)
        else:
            data = self.socket.recv(AT_ONCE)
        if not data:
            raise ConnectionError("the shop has closed a connection")
        if not notes:
            return data, now()
        seconds, nanoseconds = STAMP.unpack(notes[0][2])
        return data, seconds + nanoseconds / 1e9


class Load:
    """All shoppers, and what is known of their answers."""

    def __init__(self, address: tuple[str, int], shoppers: int, seed: int, rate: float) -> None:
        made = (Shopper(n, seed) for n in range(shoppers))
        visitors = [Visitor(address, shopper, stamped=rate > 0) for shopper in made]
        self.visitors = {visitor.socket.fileno(): visitor for visitor in visitors}
        self.rate = rate
        self.times: list[float] = []
        self.late: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.errors = 0
        self.waiting: deque[float] = deque()
        self._idle = deque(visitors)
        self._due = now()
        self._counts = False
        self._poll = select.epoll()
        for number in self.visitors:
            self._poll.register(number, select.EPOLLIN)

    def run(self, warm: float, seconds: float) -> None:
        """Warm up, and count for so many seconds."""
        if not self.rate:
            for visitor in self._idle:
                visitor.ask(now())
        self._until(now() + warm)
        self._counts = True
        self.began = now()
        print("begin", flush=True)
        self._until(self.began + seconds)
        self.ended = now()

    def _until(self, end: float) -> None:
        while (left := end - now()) > 0:
            if self.rate:
                left = min(left, self._ask_what_is_due())
            for number, _event in self._poll.poll(max(left, 0.0)):
                visitor = self.visitors[number]
                if visitor.answered():
                    self._count(visitor)
                    self._ask_again(visitor)

    def _ask_what_is_due(self) -> float:
        """Send it; seconds until something is due again."""
        while (early := self._due - now()) <= 0:
            if self._idle:
                self._idle.popleft().ask(self._due)
            else:
                self.waiting.append(self._due)
            self._due += 1 / self.rate
        return early

    def _ask_again(self, visitor: Visitor) -> None:
        if not self.rate:
            visitor.ask(visitor.ended)
        elif self.waiting:
            visitor.ask(self.waiting.popleft(), waited=True)
        else:
            self._idle.append(visitor)

    def _count(self, visitor: Visitor) -> None:
        if self._counts:
            self.times.append(visitor.ended - visitor.began)
            self.late.append(visitor.began - visitor.due)
            self.statuses[visitor.status.decode()] += 1
            self.errors += visitor.status != visitor.expected

    def report(self) -> dict[str, object]:
        """What counts, with times in milliseconds."""
        lines = [n for visitor in self.visitors.values() for n in visitor.shopper.lines_seen]
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "requests": len(self.times),
            "errors": self.errors,
            "statuses": dict(self.statuses),
            "seconds": round(self.ended - self.began, 4),
            **{f"p{share}": _at(self.times, share) for share in (50, 90, 99)},
            "worst": _at(self.times, 100),
            "late": _at(self.late, 50),
            "waiting": len(self.waiting),
            "lines": round(sum(lines) / max(len(lines), 1), 3),
            "driver_cpu": round(used.ru_utime + used.ru_stime, 3),
        }


def _at(times: list[float], share: int) -> float:
    """The time that this share of all, in percent, do not exceed; in milliseconds."""
    ordered = sorted(times) or [0.0]
    return round(ordered[min(share * len(ordered) // 100, len(ordered) - 1)] * 1e3, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="HOST:PORT")
    parser.add_argument("--rate", type=float, default=0.0, help="requests per second; 0: no pause")
    parser.add_argument("--shoppers", type=int, default=32)
    parser.add_argument("--warm", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    host, _, port = options.address.rpartition(":")
    load = Load((host, int(port)), options.shoppers, options.seed, options.rate)
    load.run(options.warm, options.seconds)
    print(json.dumps(load.report()), flush=True)


if __name__ == "__main__":
    main()
