"""Profiles of replicas that somebody waits for, from the order to the answer.

It must not know how orders reach replicas.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from weaver.control.messages import Profile, Profiled, Relay
from weaver.control.stream import encode
from weaver.errors import UsageError, WeaverError, did_you_mean
from weaver.manager.state import Replica, State

MARGIN: Final = 10.0
"""Seconds beyond those of the profile, after which a replica counts as not answering."""

LONGEST: Final = 60.0


class Profiles:
    """One at a time of each replica, on the running loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Profiled]] = {}

    async def of(
        self, state: State, name: str, seconds: float, send: Callable[[Replica, Relay], None]
    ) -> Profiled:
        """What a replica did for so many seconds; `send` orders it.

        Raises UsageError for one that there is not, WeaverError where it does not answer.
        """
        replica = state.replicas.get(name)
        if replica is None:
            raise UsageError(
                f'there is no replica "{name}"', fix=did_you_mean(name, state.replicas)
            )
        if not 0 < seconds <= LONGEST:
            raise UsageError(f"a profile takes up to {LONGEST:g} s, not {seconds:g} s")
        if name in self._waiting:
            raise UsageError(f"a profile of {name} is being made already", fix="wait for its end")
        waiting: asyncio.Future[Profiled] = asyncio.get_running_loop().create_future()
        self._waiting[name] = waiting
        try:
            send(replica, Relay(encode(Profile(seconds)), (name,)))
            async with asyncio.timeout(seconds + MARGIN):
                return await waiting
        except TimeoutError:
            raise WeaverError(
                f"{name} has not answered within {seconds + MARGIN:g} s",
                why=f"it is {replica.stage}, on {replica.host}",
                fix="see `weaver status` and `weaver events`",
            ) from None
        finally:
            del self._waiting[name]

    def take(self, replica: str, profiled: Profiled) -> None:
        """An answer; one that nobody waits for is dropped."""
        waiting = self._waiting.get(replica)
        if waiting is not None and not waiting.done():
            waiting.set_result(profiled)
