"""The start and the end of one ASGI application, by the lifespan protocol.

This file decides what counts as unsupported and what as a failed start. It must not know of
requests, connections or the server.
"""

import asyncio
import logging
from typing import Any

from weaver.errors import StartError
from weaver.proclet.web_application import Application, Message

_log = logging.getLogger("weaver.http")

_ANSWERS = ("lifespan.startup.", "lifespan.shutdown.")


class Lifespan:
    """Runs `app`'s lifespan; `component` names it in errors. `state` is shared with requests."""

    def __init__(self, app: Application, component: str) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._component = component
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._answered = asyncio.Event()
        self._speaks = False  # the application has shown that it knows the protocol
        self._failure: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the application is ready, or does not support lifespans.

        Raises `StartError` with the application's own exception as cause.
        """
        self._task = asyncio.create_task(self._run(), name=f"lifespan of {self._component}")
        await self._ask("lifespan.startup")
        if self._failure is None:
            return
        await asyncio.wait({self._task}, timeout=1.0)  # frameworks raise the cause after telling
        cause = self._task.exception() if self._task.done() else None
        raise StartError(
            f"the web application of {self._component} did not start",
            component=self._component,
            why=self._failure.strip().rpartition("\n")[2],  # frameworks send a whole traceback
            fix="see the exception raised by its lifespan or startup handler",
        ) from cause

    async def stop(self) -> None:
        """Let the application end; returns when it has. Cancelling this cancels its lifespan."""
        if self._task is not None and not self._task.done():
            await self._ask("lifespan.shutdown")
            if self._failure is not None:
                _log.error("%s: web application did not stop: %s", self._component, self._failure)
        await self.cancel()

    async def cancel(self) -> None:
        """End the lifespan's task at once, giving its cleanup one second."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1.0)

    async def _ask(self, question: str) -> None:
        self._failure = None
        self._answered.clear()
        self._inbox.put_nowait({"type": question})
        await self._answered.wait()

    async def _receive(self) -> Message:
        self._speaks = True
        return await self._inbox.get()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if not kind.startswith(_ANSWERS):
            self._speaks = False  # it answers every scope as if it were a request
            raise RuntimeError(f'"{kind}" is no answer to a lifespan')
        if kind.endswith(".failed"):
            self._failure = message.get("message") or "it gave no reason"
        self._answered.set()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            if self._failure is not None:
                raise  # start() chains it
            if not self._speaks:  # the specification's way to say "I don't know lifespans"
                _log.debug("%s: no lifespan (%r)", self._component, error)
            elif self._answered.is_set():
                _log.exception("%s: the lifespan of the web application failed", self._component)
            else:
                self._failure = f"{type(error).__name__}: {error}"
                raise
        finally:
            self._answered.set()
