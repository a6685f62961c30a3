"""Who is visiting: a session and a currency, both kept in cookies.

This file decides about cookies, response headers and the request log. It must not know any page.
"""

import logging
import re
from dataclasses import dataclass
from http.cookies import Morsel
from time import perf_counter
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SESSION_COOKIE = "shop_session-id"
CURRENCY_COOKIE = "shop_currency"
CURRENCIES = frozenset({"USD", "EUR", "CAD", "JPY", "GBP", "TRY"})  # those that the site offers
DEFAULT_CURRENCY = "USD"

_MAX_AGE = 48 * 60 * 60  # seconds
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Visit:
    """One request of one visitor."""

    session_id: str
    request_id: str
    currency: str
    is_new: bool

    @classmethod
    def of(cls, request: Request) -> "Visit":
        """The visit of a request that went through the middleware."""
        visit: Visit = request.scope["visit"]
        return visit


class Visits:
    """Middleware that gives each request a `Visit`, and each new visitor a session cookie."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = scope["visit"] = _visit(Request(scope))
        started = perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
                if visit.is_new:
                    _add_session(MutableHeaders(scope=message), visit, scope["path"])
                milliseconds = (perf_counter() - started) * 1000
                status, path = message["status"], scope["path"]
                log.debug("%s %s %d %.1f ms", scope["method"], path, status, milliseconds)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def remember_currency(response: Response, currency: str) -> None:
    """Keep the visitor's currency in a cookie."""
    response.headers.append("set-cookie", _cookie(CURRENCY_COOKIE, currency, _MAX_AGE))


def forget(response: Response, cookies: list[str]) -> None:
    """Expire these cookies."""
    for name in cookies:
        response.delete_cookie(name, httponly=True, samesite="lax")


def _visit(request: Request) -> Visit:
    known = request.cookies.get(SESSION_COOKIE, "")
    is_new = not _SESSION_ID.fullmatch(known)
    currency = request.cookies.get(CURRENCY_COOKIE, "")
    return Visit(
        session_id=str(uuid4()) if is_new else known,
        request_id=str(uuid4()),
        currency=currency if currency in CURRENCIES else DEFAULT_CURRENCY,
        is_new=is_new,
    )


def _add_session(headers: MutableHeaders, visit: Visit, path: str) -> None:
    is_page = headers.get("content-type", "").startswith("text/html") or "location" in headers
    if is_page and path != "/logout":
        headers.append("set-cookie", _cookie(SESSION_COOKIE, visit.session_id, _MAX_AGE))


def _cookie(name: str, value: str, max_age: int) -> str:
    morsel: Morsel[str] = Morsel()
    morsel.set(name, value, value)
    morsel.update({"path": "/", "max-age": str(max_age), "samesite": "Lax"})
    morsel["httponly"] = True
    return morsel.OutputString()
