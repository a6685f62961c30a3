"""How a client of HTTP/1.0 learns where a response without a length ends: the connection does.

uvicorn would send it in chunks, which such a client cannot read. This file knows one response.
"""

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from weaver.proclet.web_application import Application, Message, Receive, Scope, Send


def until_closed(cycle: RequestResponseCycle, app: Application) -> Application:
    """The application, whose response to this request is sent as it is, whatever its length."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        unknown = False

        async def sending(message: Message) -> None:
            nonlocal unknown
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message.get("headers", ())}
                unknown = b"content-length" not in names
                if unknown:
                    cycle.chunked_encoding = False
            elif unknown:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, sending)

    return call
