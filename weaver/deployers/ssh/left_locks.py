"""The deploy lock that a command has left behind: the manager which it started gives it back.

A command that lives renews its lock; one that was killed right after its deployment was live would
keep everybody else from deploying until somebody steals it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from weaver.deployers.ssh import deploy_lock
from weaver.deployers.ssh.host_call import RemotePython
from weaver.deployers.ssh.preparation import RENEW

LEFT: Final = 2.5 * RENEW
"""Seconds without a sign of life after which the command is gone."""

WATCHED: Final = 3600.0
"""Seconds in which a lock that is renewed is looked at: a deploy can take long."""

OnEach = Callable[[Callable[[RemotePython], None]], Awaitable[int]]
"""Does something on every host; on how many it was done."""


async def give_back(app: str, token: str, on_each: OnEach) -> None:
    """Give locks back that were taken with `token`, once nobody renews them; return when none is.

    What cannot be asked now is asked again.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + WATCHED
    while clock() < until:
        await asyncio.sleep(RENEW)
        held: list[RemotePython] = []

        def look(python: RemotePython, held: list[RemotePython] = held) -> None:
            if _is_held(python, app, token):
                held.append(python)

        if await on_each(look) and not held:
            return


def _is_held(python: RemotePython, app: str, token: str) -> bool:
    """Whether a lock is there that may still be the command's, after it was given back if left."""
    holder = deploy_lock.holder(python, app)
    if holder is None:
        return False
    return holder.silent < LEFT or not deploy_lock.unlock(python, app, token)
