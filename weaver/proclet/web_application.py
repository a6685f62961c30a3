"""What users hand to `listener.serve`: tells ASGI from WSGI and makes ASGI of both.

This file decides which objects are accepted, and reports what a request's handler raises. It must
not know how the server reads requests or drains.
"""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any, Literal, cast

from a2wsgi import WSGIMiddleware
from uvicorn.protocols.utils import ClientDisconnected

from weaver.errors import UsageError
from weaver.proclet.asgi import Application, Message, Receive, Scope, Send
from weaver.proclet.traced_requests import traced

__all__ = [
    "Application",
    "Message",
    "Receive",
    "Reported",
    "Scope",
    "Send",
    "WebApplication",
    "kind_of",
]

WSGI_THREADS = 32  # requests that one WSGI application handles at a time; the others wait

_log = logging.getLogger("weaver.http")
CLOSE = (b"connection", b"close")


class Reported(Exception):
    """Tells the server that a request failed and that the log has the reason."""


def kind_of(app: object, where: str = "") -> Literal["asgi", "wsgi"]:
    """Whether `app` is an ASGI 3 or a WSGI application.

    Raises `UsageError` if it is neither; `where` is the place it names.
    """
    refuse = functools.partial(_not_an_app, app, where)
    if inspect.isclass(app):
        if hasattr(app, "__await__"):
            return "asgi"
        raise refuse("it is a class", f"pass an instance: {app.__name__}()")
    if not callable(app):
        fix = "import the object and pass it" if isinstance(app, str) else _EXPECTED
        raise refuse("it cannot be called", fix)
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        return "asgi"
    takes_two, takes_three = _accepts(app, 2), _accepts(app, 3)
    if takes_three and not takes_two:
        return "asgi"
    if takes_two and not takes_three:
        return "wsgi"
    if takes_two:
        why = "its signature does not tell ASGI from WSGI"
        raise refuse(why, "give it named parameters, or pass the object it wraps")
    if _accepts(app, 0):
        raise refuse("it looks like a factory", "call it, and pass what it returns")
    raise refuse("it takes other parameters than a web application", _EXPECTED)


_EXPECTED = (
    "pass an ASGI application (async, called with scope, receive, send: FastAPI, Starlette, "
    "Litestar, Django's get_asgi_application()) or a WSGI one (called with environ, "
    "start_response: Flask, Django's get_wsgi_application())"
)


def _accepts(app: Callable[..., object], count: int) -> bool:
    try:
        inspect.signature(app).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


def _not_an_app(app: object, where: str, why: str, fix: str) -> UsageError:
    label = repr(app) if isinstance(app, str) else getattr(app, "__qualname__", None)
    shown = label or f"an object of class {type(app).__qualname__}"
    return UsageError(
        f"{shown} is neither an ASGI nor a WSGI application", where=where, why=why, fix=fix
    )


class WebApplication:
    """One user's application as the server calls it; `component` names it in the log.

    Raises `UsageError` if `app` is neither ASGI nor WSGI. From `drain()` on, every response asks
    the client to close its connection. `release()` lets go of the threads of a WSGI application.
    """

    def __init__(self, app: object, component: str) -> None:
        self._component = component
        self._draining = False
        self._release: Callable[[], None] | None = None
        self.is_wsgi = kind_of(app, component) == "wsgi"
        if self.is_wsgi:
            adapter = WSGIMiddleware(cast("Any", app), workers=WSGI_THREADS)
            self._release = lambda: adapter.executor.shutdown(wait=False, cancel_futures=True)
            self.app = _wsgi(cast("Application", adapter))
        else:
            self.app = cast("Application", app)
        self.app = traced(self.app, component)

    def drain(self) -> None:
        """From now on every response carries `Connection: close`."""
        self._draining = True

    def release(self) -> None:
        """Let the threads of a WSGI application end when their requests have."""
        if self._release is not None:
            self._release()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request. Raises `Reported` if it failed before its response was complete."""
        complete = False

        async def sending(message: Message) -> None:
            nonlocal complete
            if message["type"] == "http.response.body":
                complete = not message.get("more_body", False)
            elif self._draining and message["type"] == "http.response.start":
                message = {**message, "headers": _closing(message.get("headers", ()))}
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except ClientDisconnected:
            raise  # the server's own signal that the peer of a WebSocket has left
        except (Exception, asyncio.CancelledError, SystemExit) as error:  # noqa: BLE001 - reported; a request ends nothing but itself
            self._report(scope, error)
            if not complete:
                raise Reported from None

    def _report(self, scope: Scope, error: BaseException) -> None:
        request = f"{scope.get('method', 'WEBSOCKET')} {scope['path']}"
        if isinstance(error, asyncio.CancelledError) and self._draining:
            _log.warning("%s: %s was cut off by the stop", self._component, request)
            return
        _log.error(
            "%s: %s failed: %s",
            self._component,
            request,
            type(error).__name__,
            exc_info=error,
            extra={"component": self._component, "request": request},
        )


def _closing(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() != b"connection"]
    return [*kept, CLOSE]


def _wsgi(adapter: Application) -> Application:
    """`adapter` (a2wsgi) kept from blocking its thread for ever once the response cannot be sent.

    Its writer stops at the first failed send; the thread would then wait for room in a queue that
    nobody empties. So failures are kept back until the application has returned.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        failure: Exception | None = None

        async def sending(message: Message) -> None:
            nonlocal failure
            if failure is None:
                try:
                    await send(message)
                except Exception as error:  # noqa: BLE001 - raised again below
                    failure = error

        await adapter(scope, receive, sending)
        if failure is not None:
            raise failure

    return handle
