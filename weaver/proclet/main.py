"""A replica's process: the event loop around `Replica`, for a fork and for a spawn."""

import asyncio
import socket
from collections.abc import Callable, Sequence

from weaver.control.messages import Hosting
from weaver.proclet.preload import Preloaded
from weaver.proclet.replica import Replica


def run_replica(hosting: Hosting, control: socket.socket, preloaded: Preloaded) -> int:
    """Run a replica until it ends; its exit code. Owns `control`."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(hosting, control, preloaded))


async def _run(hosting: Hosting, control: socket.socket, preloaded: Preloaded) -> int:
    return await Replica(hosting, control, preloaded).run()


def main(argv: Sequence[str]) -> int:
    """The role `proclet` of a PEX: how the envelope spawns a replica."""
    import importlib

    # By name: the envelope is above this package, and knows how a child begins.
    code: int = importlib.import_module("weaver.envelope.child").main(argv)
    return code


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
