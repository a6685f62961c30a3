"""The site as one ASGI application: its addresses, its headers, and pages for errors."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import weaver
from boutique import pages
from boutique.shop.catalog import UnknownProductError
from boutique.site.files import Files
from boutique.site.forms import FormError
from boutique.site.handlers import PRODUCT, Handlers, Request
from boutique.site.http import Receive, Refusal, Response, Scope, Send, html, phrase
from boutique.site.services import Services
from boutique.site.visit import Visit, keep_session

STATIC = Path(__file__).parent.parent / "static"

_FOR_ALL = (
    (
        b"content-security-policy",
        b"default-src 'self'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Methods: TypeAlias = Mapping[str, Handler]

log = logging.getLogger(__name__)


def make_app(services: Services, served_by: Mapping[str, str]) -> "Site":
    """The web site; `served_by` tells, at the foot of each page, which process made it."""
    return Site(Handlers(services, tuple(served_by.items())))


class Site:
    """Answers requests: finds the page, and says in words for visitors what went wrong."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._files = Files.under(STATIC, "/static/")
        self._product = _shown(handlers.product)
        self._pages: dict[str, Methods] = {
            "/": _shown(handlers.home),
            "/cart": {**_shown(handlers.cart), "POST": handlers.add_to_cart},
            "/cart/empty": {"POST": handlers.empty_cart},
            "/cart/checkout": {"POST": handlers.checkout},
            "/setCurrency": {"POST": handlers.set_currency},
            "/logout": _shown(handlers.logout),
            "/robots.txt": _shown(handlers.robots),
            "/_healthz": _shown(handlers.health),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. What a handler raises and no page expects is raised again after the answer."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        started = perf_counter()
        request = Request(scope, receive, Visit.of(scope))
        failure = None
        try:
            response = await self._handler(scope)(request)
        except Exception as error:  # noqa: BLE001 # a page for visitors
            response = self._refused(request, error)
            failure = error if response.status == 500 else None
        await self._send(request, response, send)
        milliseconds = (perf_counter() - started) * 1000
        log.debug("%s %s %d %.1f ms", scope["method"], scope["path"], response.status, milliseconds)
        if failure is not None:
            raise failure

    def _handler(self, scope: Scope) -> Handler:
        path = scope["path"]
        methods = self._pages.get(path)
        if methods is None:
            if path.startswith(PRODUCT) and "/" not in path[len(PRODUCT) :]:
                methods = self._product
            else:
                methods = _shown(self._file)
        handler = methods.get(scope["method"])
        if handler is None:
            allowed = (b"allow", ", ".join(methods).encode())
            raise Refusal(405, "This address cannot be used in this way.", allowed)
        return handler

    async def _file(self, request: Request) -> Response:
        return self._files.answer(request.scope)

    async def _send(self, request: Request, response: Response, send: Send) -> None:
        headers = [*response.headers, *_FOR_ALL]
        if response.status != HTTPStatus.NOT_MODIFIED:  # which has no body, but stands for one
            headers.append((b"content-length", b"%d" % len(response.body)))
        if request.visit.is_new and _keeps_session(request, response):
            headers.append(keep_session(request.visit))
        start = {"type": "http.response.start", "status": response.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": response.body})

    def _refused(self, request: Request, error: Exception) -> Response:
        """A page for each kind of error. What went wrong inside is for the log."""

        def page(
            status: int, *messages: str, headers: tuple[tuple[bytes, bytes], ...] = ()
        ) -> Response:
            frame = self._handlers.frame(request.visit)
            return html(pages.error(frame, phrase(status), messages), status, *headers)

        match error:
            case Refusal():
                return page(error.status, error.message, headers=error.headers)
            case UnknownProductError():
                return page(404, "We do not sell this product.")
            case FormError():
                return page(422, *error.errors.values())
            case weaver.RemoteCallError():
                message = "A part of the shop does not answer. Please try again in a moment."
                return page(503, message, headers=((b"retry-after", b"1"),))
            case _:
                message = "Something went wrong on our side, and we have taken note of it."
                return page(500, message)


def _shown(handler: Handler) -> Methods:
    return {"GET": handler, "HEAD": handler}


def _keeps_session(request: Request, response: Response) -> bool:
    """Whether a new visitor's session begins with this answer: not with that to a robot."""
    is_page = any(
        name == b"location" or value.startswith(b"text/html") for name, value in response.headers
    )
    return is_page and request.scope["path"] != "/logout"
