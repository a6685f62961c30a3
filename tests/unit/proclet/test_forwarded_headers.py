from typing import Any

import pytest

from weaver.proclet.forwarded import Forwarded, client_of
from weaver.proclet.web_application import Receive, Scope, Send


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (b"192.0.2.7", "192.0.2.7"),
        (b"2001:db8::7", "2001:db8::7"),
        (b"192.0.2.7, 10.0.0.1", "192.0.2.7"),  # a trusted proxy, and whom it saw
        (b"6.6.6.6, 192.0.2.7, 10.0.0.1", "192.0.2.7"),  # its client claims to be another
        (b" , 192.0.2.7 ", "192.0.2.7"),
        (b"", ""),
    ],
)
def test_the_client_is_whom_the_last_trusted_one_saw(chain: bytes, client: str) -> None:
    assert client_of(chain) == client


class Seen:
    """An application that keeps the scope of its last request."""

    def __init__(self) -> None:
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope


async def nothing(*_: Any) -> Any:
    return None


async def scope_of(kind: str, *headers: tuple[bytes, bytes]) -> Scope:
    seen = Seen()
    scheme = {"http": "http", "websocket": "ws"}.get(kind, "")
    given = {
        "type": kind,
        "headers": list(headers),
        "client": ("9.9.9.9", 9),
        "scheme": scheme,
        "server": ("/run/in.sock", None),
    }
    await Forwarded(seen, ("127.0.0.1", 80))(given, nothing, nothing)
    assert given["client"] == ("9.9.9.9", 9)  # the server's own record stays as it is
    return seen.scope


@pytest.mark.parametrize(
    ("kind", "proto", "scheme"),
    [
        ("http", b"https", "https"),
        ("http", b"http", "http"),
        ("http", b"gopher", "http"),
        ("websocket", b"https", "wss"),
        ("websocket", b"http", "ws"),
    ],
)
async def test_client_scheme_and_server_are_those_of_the_user(
    kind: str, proto: bytes, scheme: str
) -> None:
    scope = await scope_of(kind, (b"x-forwarded-for", b"192.0.2.7"), (b"x-forwarded-proto", proto))
    assert scope["client"] == ("192.0.2.7", 0)
    assert scope["scheme"] == scheme
    assert scope["server"] == ("127.0.0.1", 80)


async def test_without_headers_nothing_is_known_of_the_client() -> None:
    scope = await scope_of("http")
    assert scope["client"] is None
    assert scope["scheme"] == "http"


async def test_a_lifespan_passes_as_it_is() -> None:
    assert (await scope_of("lifespan"))["client"] == ("9.9.9.9", 9)


@pytest.mark.parametrize(
    ("method", "path", "headers", "reaches"),
    [
        ("OPTIONS", "*", [], False),
        ("OPTIONS", "*", [(b"x-forwarded-proto", b"http")], True),  # a user's
        ("OPTIONS", "/", [], True),
        ("GET", "*", [], True),
    ],
)
async def test_a_probe_of_the_ingress_is_answered_without_the_application(
    method: str, path: str, headers: list[tuple[bytes, bytes]], reaches: bool
) -> None:
    seen, sent = Seen(), list[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": headers, "scheme": "http"}
    await Forwarded(seen, None)(scope, nothing, send)
    assert bool(seen.scope) == reaches
    assert [message.get("status") for message in sent] == ([] if reaches else [204, None])
