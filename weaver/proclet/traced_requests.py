"""A web application whose sampled requests are traced, each as the root of what it calls.

It must not know how a trace is sampled or kept: that is `tracing.py`.
"""

from weaver.proclet import tracing
from weaver.proclet.asgi import Application, Message, Receive, Scope, Send

_FAILED = 500


def traced(app: Application, component: str) -> Application:
    """`app`, an ASGI application, that begins a span for each request of a sampled trace."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        span = None
        if scope["type"] == "http":
            name = f"{scope['method']} {scope['path']}"
            span = tracing.of_request(scope["headers"], name, component)
        if span is None:
            await app(scope, receive, send)
            return
        error = ""

        async def sending(message: Message) -> None:
            nonlocal error
            if message["type"] == "http.response.start" and message["status"] >= _FAILED:
                error = str(message["status"])
            await send(message)

        tracing.enter(span)
        try:
            await app(scope, receive, sending)
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            span.end(error)

    return handle
