"""What an application is told of the client of a request that came through our ingress.

Decides which forwarding headers are believed: those of our own ingress, which has dropped all that
it does not believe itself. Only for connections that nobody else can make.
"""

from weaver.proclet.web_application import Application, Receive, Scope, Send

_SCHEMES = {
    ("http", b"http"): "http",
    ("http", b"https"): "https",
    ("websocket", b"http"): "ws",
    ("websocket", b"https"): "wss",
}


class Forwarded:
    """`app` behind the ingress; `server` is the address of the listener, None for a Unix socket."""

    def __init__(self, app: Application, server: tuple[str, int] | None) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if _is_probe(scope):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        if scope["type"] in {"http", "websocket"}:
            scope = {**scope, "client": None}
            if self._server is not None:
                scope["server"] = self._server
            for name, value in scope["headers"]:
                if name == b"x-forwarded-for":
                    client = client_of(value)
                    scope["client"] = (client, 0) if client else None
                elif name == b"x-forwarded-proto":
                    scheme = _SCHEMES.get((scope["type"], value.lower()))
                    scope["scheme"] = scheme or scope["scheme"]
        await self._app(scope, receive, send)


def _is_probe(scope: Scope) -> bool:
    """Whether the ingress asks for a sign of life: a request that it sends for nobody."""
    if scope["type"] != "http" or scope.get("path") != "*" or scope.get("method") != "OPTIONS":
        return False
    return all(name != b"x-forwarded-proto" for name, _ in scope["headers"])


def client_of(chain: bytes) -> str:
    """The client of a chain of addresses, to which each proxy has added the one that it saw.

    The last is whom our ingress saw. What stands before it is there because that one is trusted:
    then it is a proxy, and the client is whom it saw; what its client claims is not believed.
    """
    addresses = [part.strip() for part in chain.decode("latin-1").split(",") if part.strip()]
    return addresses[-2] if len(addresses) > 1 else "".join(addresses)
