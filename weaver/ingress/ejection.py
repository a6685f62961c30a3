"""Which replicas get no requests for now because they have just failed. Pure: time is an argument.

A refused connection ejects at once, other failures the second time in a row. After 50 ms, doubling
to 1 s, one request may try; its success reinstates. One that does not answer probes is out until it
does. The last replica of a version is never
out where there is no other host to turn to.
"""

import math
from collections.abc import Collection, Sequence
from typing import Final

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
TOLERATED: Final = 1


class _Record:
    __slots__ = ("failures", "pause", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.pause = 0.0
        self.until = 0.0


class Ejection:
    """What is known of replicas that failed, by their id: `records` is empty if nobody did.

    Times in seconds of one clock.
    """

    def __init__(self) -> None:
        self.records: dict[str, _Record] = {}

    def failed(self, backend: str, now: float, *, refused: bool) -> None:
        """A request to `backend` failed; `refused` if it did not even connect."""
        record = self.records.setdefault(backend, _Record())
        record.failures += 1
        if refused or record.pause or record.failures > TOLERATED:
            record.pause = min(record.pause * 2 or FIRST_PAUSE, LONGEST_PAUSE)
            record.until = max(record.until, now + record.pause)

    def mute(self, backend: str) -> None:
        """`backend` does not answer even probes."""
        self.records.setdefault(backend, _Record()).until = math.inf

    def succeeded(self, backend: str) -> None:
        """`backend` has answered."""
        self.records.pop(backend, None)

    def is_out(self, backend: str, now: float) -> bool:
        """Whether it is to get no request now, if there is another one."""
        record = self.records.get(backend)
        return record is not None and record.until > now

    def out(self, backends: Sequence[str], now: float) -> Collection[str]:
        """Those that get no request now; never all of `backends`."""
        if not self.records:
            return ()
        out = [backend for backend in backends if self.is_out(backend, now)]
        if out and len(out) == len(backends):
            first = min(out, key=lambda backend: self.records[backend].until)
            out.remove(first)
        return out

    def tries(self, backend: str, now: float) -> None:
        """A request goes to `backend`: if it is on probation, others wait for its outcome."""
        record = self.records.get(backend)
        if record is not None and record.pause:
            record.until = max(record.until, now + record.pause)

    def keep(self, backends: Collection[str]) -> None:
        """Forget all but these."""
        for gone in self.records.keys() - backends:
            del self.records[gone]
