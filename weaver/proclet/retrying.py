"""Whether a call that failed on its way is made again, where, and how soon.

What was provably not executed may be; what has an unknown outcome only if the method is idempotent;
at most three attempts, and not more than a fifth of all calls, so that retries never multiply an
overload. It must not know how calls are made.
"""

from typing import Final

from weaver.component.model import Method
from weaver.errors import DeadlineExceeded, RemoteCallError

MOST_ATTEMPTS: Final = 3

FIRST_PAUSE: Final = 0.005
MOST_PAUSE: Final = 0.25

SHARE: Final = 0.2
"""Retries allowed per call, in the long run."""

ALWAYS: Final = 100
"""Retries allowed in any window, so that few calls may be retried too."""

WINDOW: Final = 10.0
"""Seconds over which the share is kept."""


class Budget:
    """How many retries the calls to one component have left; `now` in seconds, never backwards.

    Two halves of a window: the older one is forgotten as a whole.
    """

    __slots__ = ("_began", "_earlier", "_retries", "calls")

    def __init__(self) -> None:
        self.calls = 0
        self._retries = 0
        self._earlier = (0, 0)
        self._began = 0.0

    def take(self, now: float) -> bool:
        """Whether one more retry is allowed; it then counts."""
        if now - self._began >= WINDOW / 2:
            recent = now - self._began < WINDOW
            self._earlier = (self.calls, self._retries) if recent else (0, 0)
            self.calls = self._retries = 0
            self._began = now
        calls = self.calls + self._earlier[0]
        retries = self._retries + self._earlier[1]
        if retries >= ALWAYS + SHARE * calls:
            return False
        self._retries += 1
        return True


class Attempts:
    """The failed attempts of one call. `tried` are the replicas that it should avoid now."""

    __slots__ = ("_allowed", "_budget", "_method", "count", "tried")

    def __init__(self, method: Method, budget: Budget, *, allowed: bool) -> None:
        self._method = method
        self._budget = budget
        self._allowed = allowed
        self.count = 0
        self.tried: list[str] = []

    def again(self, error: RemoteCallError, replica: str, now: float, draw: float) -> float | None:
        """Seconds to pause before the next attempt, or None: the error is the caller's.

        `draw` in [0, 1) spreads the pauses.
        """
        self.count += 1
        if replica not in self.tried:
            self.tried.append(replica)
        safe = error.executed == "no" or self._method.idempotent
        if (
            not self._allowed
            or not safe
            or isinstance(error, DeadlineExceeded)
            or self.count >= MOST_ATTEMPTS
            or not self._budget.take(now)
        ):
            return None
        longest: float = min(FIRST_PAUSE * 4.0 ** (self.count - 1), MOST_PAUSE)
        return longest * (0.5 + draw / 2)
