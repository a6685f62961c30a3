"""Finds replicas that are stopped or hang, although their connections stand.

One that has requests and has sent nothing for a while is asked for a sign of life; without one it
gets no requests until it answers. Decides how long a while is: three times what 99 % of the
requests of its version take, within bounds. A slow answer alone is no reason, as the probe asks
nothing of the application. It must not know which requests wait.
"""

import asyncio
import functools
import time
from typing import Final, cast

from weaver.ingress.fleet import Fleet
from weaver.ingress.http.limits import Limits
from weaver.ingress.replica import Lane, Replica
from weaver.ingress.upstream import Pool
from weaver.telemetry.histogram import quantile

_PROBE: Final = b"OPTIONS * HTTP/1.1\r\nHost: weaver\r\nConnection: close\r\n\r\n"
_LOOK: Final = 0.05
_PAUSE: Final = 0.05


class _Probe(asyncio.Protocol):
    """Sends the probe; `answered` is set by the first byte that comes, False without one."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(_PROBE)

    def data_received(self, data: bytes) -> None:
        """Any answer is one."""
        if not self.answered.done():
            self.answered.set_result(bool(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        del exc
        if not self.answered.done():
            self.answered.set_result(False)


async def is_alive(pool: Pool, seconds: float) -> bool:
    """Whether a server of HTTP answers at the address of `pool` within `seconds`."""
    probe: _Probe | None = None
    try:
        async with asyncio.timeout(seconds):
            probe = await pool.open(_Probe)
            return await probe.answered
    except (OSError, TimeoutError):
        return False
    finally:
        if probe is not None:
            probe.transport.abort()


class Prober:
    """Watches over the replicas of `fleet`. `close()` must be called."""

    def __init__(self, fleet: Fleet, limits: Limits) -> None:
        self._fleet = fleet
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._probing: dict[Replica, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Watch from now on."""
        self._look()

    def close(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._probing.values():
            task.cancel()

    def _look(self) -> None:
        now = time.monotonic()
        for lane in self._fleet.lanes:
            for replica in (*lane.replicas, *lane.beyond):
                quiet = now - replica.heard if replica.in_flight else 0.0
                if quiet < self._limits.probe_after or replica in self._probing:
                    continue
                patience = self._patience(lane, replica)
                if quiet >= patience:
                    task = self._loop.create_task(self._probe(lane, replica, patience))
                    self._probing[replica] = task
                    task.add_done_callback(functools.partial(self._probed, replica))
        self._timer = self._loop.call_later(_LOOK, self._look)

    def _probed(self, replica: Replica, _: object) -> None:
        self._probing.pop(replica, None)

    def _patience(self, lane: Lane, replica: Replica) -> float:
        """How long this replica may be quiet; longer when probes have shown that it is alive."""
        usual = 3 * quantile(lane.tally.histogram, 0.99) * 2.0 ** min(replica.probes, 10)
        return min(max(usual, self._limits.probe_after), self._limits.probe_most)

    async def _probe(self, lane: Lane, replica: Replica, patience: float) -> None:
        """Ask until it answers, and keep requests away from it meanwhile."""
        pause = _PAUSE
        while self._fleet.has(replica):
            heard = replica.heard
            if await is_alive(replica.pool, patience) or replica.heard > heard:
                lane.ejection.succeeded(replica.id)
                replica.heard = time.monotonic()
                replica.probes += 1
                return
            lane.ejection.mute(replica.id)
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._limits.probe_most)
