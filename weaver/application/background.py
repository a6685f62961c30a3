"""An application started because something used a component where none ran.

That is so under a foreign web server (`uvicorn shop:app`, gunicorn) and in scripts. It runs in a
thread of its own, with every component declared so far, until the process ends.
"""

import asyncio
import atexit
import contextlib
import threading
from concurrent.futures import Future
from typing import Any

from weaver.application.target import config_from
from weaver.deployers.in_process import InProcess
from weaver.errors import UsageError
from weaver.proclet.current import Running, running
from weaver.proclet.definition import define
from weaver.proclet.importing import declared_roots
from weaver.proclet.patience import LAST_WORDS

_lock = threading.Lock()


def run_in_background() -> Running:
    """Start an application in a thread; returns when it has started, or raises why it did not."""
    with _lock:
        found = running()
        if found is not None:
            return found
        roots = declared_roots(None)
        if not roots:
            raise UsageError(
                "no application runs in this process, and no component is declared",
                fix="import the modules of the components first",
            )
        definition = define(roots)
        config = config_from(None)
        ready: Future[Running] = Future()

        def work() -> None:
            # Not asyncio.run: it ends with a thread that joins those of plain methods, and where
            # the process ends, Python 3.12 and later start no thread any more.
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(_serve(definition, config, ready))
            finally:
                loop.run_until_complete(_end_tasks())
                loop.close()

        thread = threading.Thread(target=work, name="weaver-application", daemon=True)
        thread.start()
        return ready.result()


async def _serve(definition: Any, config: Any, ready: "Future[Running]") -> None:
    application = InProcess(definition, config, entry=None)
    loop = asyncio.get_running_loop()
    thread = threading.current_thread()
    try:
        await application.start()
    except BaseException as error:  # noqa: BLE001 # handed to the thread that waits
        ready.set_exception(error)
        return

    def end() -> None:
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(application.request_stop)
        thread.join(config.app.stop_timeout)

    atexit.register(end)
    started = running()
    assert started is not None
    ready.set_result(started)
    await application.run_main()
    await application.stop()


async def _end_tasks() -> None:
    """Cancel what components have left running, so that it can clean up."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=LAST_WORDS)
    await asyncio.get_running_loop().shutdown_asyncgens()
