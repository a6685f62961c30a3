"""The site as one ASGI application: routes, middleware, and pages for errors."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ExceptionHandler

import weaver
from boutique import pages
from boutique.shop.catalog import UnknownProductError
from boutique.site.forms import FormError
from boutique.site.handlers import Handlers
from boutique.site.services import Services
from boutique.site.visit import Visit, Visits

STATIC = Path(__file__).parent.parent / "static"


def make_app(services: Services, served_by: Mapping[str, str]) -> Starlette:
    """The web site; `served_by` tells, at the foot of each page, which process made it."""
    handlers = Handlers(services, tuple(served_by.items()))
    return Starlette(
        routes=[
            Route("/", handlers.home),
            Route("/product/{product_id}", handlers.product),
            Route("/cart", handlers.cart, methods=["GET", "POST"]),
            Route("/cart/empty", handlers.empty_cart, methods=["POST"]),
            Route("/cart/checkout", handlers.checkout, methods=["POST"]),
            Route("/setCurrency", handlers.set_currency, methods=["POST"]),
            Route("/logout", handlers.logout),
            Route("/robots.txt", handlers.robots),
            Route("/_healthz", handlers.health),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Visits)],
        exception_handlers=_error_pages(handlers),
    )


def _error_pages(handlers: Handlers) -> dict[Any, ExceptionHandler]:
    """A page for each kind of error. What went wrong inside is for the log, not for visitors."""

    def page(request: Request, code: int, *messages: str, **headers: str) -> Response:
        status = f"{code} {HTTPStatus(code).phrase}"
        frame = handlers.frame(Visit.of(request))
        return HTMLResponse(pages.error(frame, status, messages), code, headers)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = _MESSAGES.get(error.status_code, error.detail)
        return page(request, error.status_code, message, **(error.headers or {}))

    async def unknown_product(request: Request, _error: Exception) -> Response:
        return page(request, 404, "We do not sell this product.")

    async def bad_form(request: Request, error: Exception) -> Response:
        assert isinstance(error, FormError)
        return page(request, 422, *error.errors.values())

    async def unavailable(request: Request, _error: Exception) -> Response:
        message = "A part of the shop does not answer. Please try again in a moment."
        return page(request, 503, message, **{"retry-after": "1"})

    async def failed(request: Request, _error: Exception) -> Response:
        return page(request, 500, "Something went wrong on our side, and we have taken note of it.")

    return {
        HTTPException: refused,
        UnknownProductError: unknown_product,
        FormError: bad_form,
        weaver.RemoteCallError: unavailable,
        Exception: failed,
    }


_MESSAGES = {
    404: "There is nothing under this address.",
    405: "This address cannot be used in this way.",
}
