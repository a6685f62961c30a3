"""Runs the `main` of an application's entry component, and ends it in order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from weaver.component.model import Component
from weaver.errors import ComponentError
from weaver.proclet import context
from weaver.proclet.host import component_error

log = logging.getLogger("weaver")


async def run_entry(
    component: Component | None,
    instance: Any,
    stop_requested: asyncio.Event,
    *,
    drain: Callable[[], Awaitable[bool]],
    grace: Callable[[], float],
) -> None:
    """Run `main` until it returns or a stop is requested; without one, wait for the stop.

    On a stop, listeners are drained first: `main` usually returns when its servers have. What does
    not return within `grace()` seconds is cancelled. Raises ComponentError if `main` raises.
    """
    if component is None or "main" not in component.hooks:
        await stop_requested.wait()
        return
    main = asyncio.ensure_future(_main(component, instance))
    stop = asyncio.ensure_future(stop_requested.wait())
    try:
        await asyncio.wait((main, stop), return_when=asyncio.FIRST_COMPLETED)
        if not main.done():
            if await drain():
                await asyncio.wait((main,), timeout=grace())
            main.cancel()
            _, pending = await asyncio.wait((main,), timeout=grace())
            if pending:
                log.error("main did not end within %g s of being cancelled", grace())
        if main.done() and not main.cancelled():
            main.result()
    except asyncio.CancelledError:
        main.cancel()
        await asyncio.wait((main,), timeout=grace())
        raise
    except Exception as error:
        raise component_error(component, "main", error, ComponentError) from error
    finally:
        stop.cancel()


async def _main(component: Component, instance: Any) -> None:
    context.component.set(component.full_name)
    await instance.main()
