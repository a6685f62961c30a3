"""Ends the process in time, though tasks or threads of the application do not end.

Every orderly way to end comes first; what is here is for what ignores it.
"""

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from typing import Any, NoReturn

log = logging.getLogger("weaver")

AT_ONCE = 2.0
"""Seconds after which a second Ctrl-C ends the process, whatever it does."""


async def end_tasks(within: float) -> bool:
    """Cancel all other tasks of this loop; whether they ended within some seconds."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if not rest:
        return True
    _, pending = await asyncio.wait(rest, timeout=within)
    for task in pending:
        log.error("%s ignores that it was cancelled, and is left behind", _named(task))
        with contextlib.suppress(AttributeError):
            task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 # said above
    return not pending


def end_threads(within: float, code: int) -> None:
    """When the interpreter ends, give its threads some seconds; then end with `code`.

    Python waits for threads without a deadline, and offers no public way to know that it does.
    """
    register: Any = getattr(threading, "_register_atexit", None)
    if register is None:
        return
    ending = threading.Event()

    def watch() -> None:
        ending.wait()
        time.sleep(within)
        names = sorted(t.name for t in threading.enumerate()[1:] if not t.daemon)
        log.error("ending without threads that did not within %g s: %s", within, ", ".join(names))
        leave(code)

    threading.Thread(target=watch, name="weaver-end", daemon=True).start()
    register(ending.set)


def leave(code: int) -> NoReturn:
    """End the process now; what has been logged and printed is written."""
    with contextlib.suppress(Exception):
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _named(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return f"{getattr(coroutine, '__qualname__', coroutine)} ({task.get_name()})"
