"""When a replica that ended is started again, and when it counts as crash-looping.

Decides the delays of one replica's restarts. It must not know the clock nor draw random numbers:
both are given by whoever starts processes. A crash loop never ends the attempts; it is a fact to
report, and the delays are at their longest by then.
"""

from typing import Final, NamedTuple

from weaver.control.restarts import Restarts

JITTER: Final = 0.2
"""How far a delay may be from its nominal length, as a share of it."""


class Verdict(NamedTuple):
    """What follows an exit: wait `delay` seconds before the next start."""

    delay: float
    crash_loop: bool


class RestartPolicy:
    """The restarts of one replica. Times in seconds of any clock that does not jump back."""

    def __init__(self, settings: Restarts) -> None:
        self._settings = settings
        self._started: float | None = None
        self._attempts = 0
        self._crashes: tuple[float, ...] = ()

    def started(self, now: float) -> None:
        """A process of the replica has been started."""
        self._started = now

    def exited(self, now: float, jitter: float) -> Verdict:
        """Its process ended unasked, or could not be started. `jitter` is from 0 to 1.

        An exit after `healthy` seconds counts as the first one.
        """
        settings = self._settings
        if self._started is not None and now - self._started >= settings.healthy:
            self._attempts, self._crashes = 0, ()
        self._started = None
        recent = (at for at in self._crashes if now - at < settings.window)
        self._crashes = (*recent, now)[-max(settings.crashes, 1) :]
        delay = self._delay() * (1 - JITTER + 2 * JITTER * jitter)
        self._attempts += 1
        return Verdict(min(delay, settings.most), len(self._crashes) >= settings.crashes)

    def _delay(self) -> float:
        if self._attempts == 0:
            return 0.0  # the first time at once: most crashes are single
        doublings = min(self._attempts - 1, 64)  # beyond, a float would overflow some day
        return min(self._settings.first * 2.0**doublings, self._settings.most)
