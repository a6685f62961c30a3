"""A replica's process: the event loop around `Replica`, for a fork and for a spawn."""

import asyncio
import socket

from weaver.control.messages import Hosting
from weaver.proclet.preload import Preloaded
from weaver.proclet.replica import Replica
from weaver.transport.event_loop import loop_factory


def run_replica(hosting: Hosting, control: socket.socket, preloaded: Preloaded) -> int:
    """Run a replica until it ends; its exit code. Owns `control`."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_run(hosting, control, preloaded))


async def _run(hosting: Hosting, control: socket.socket, preloaded: Preloaded) -> int:
    return await Replica(hosting, control, preloaded).run()
