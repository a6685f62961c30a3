"""Which objects are taken for ASGI and which for WSGI."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import fastapi
import flask
import pytest
import starlette.applications

from weaver.errors import UsageError
from weaver.proclet.web_application import kind_of


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    return [b""]


class PlainCallAsgi:
    """Middleware is often written so: not `async`, but it returns a coroutine."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return asgi(scope, receive, send)


class AwaitableAsgi:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Any: ...


class MethodApp:
    async def page(self, scope: Any, receive: Any, send: Any) -> None: ...

    def old_page(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return [b""]


def factory() -> object:
    return asgi


def of_one(one: object) -> None: ...


def of_any(*args: object) -> None: ...


def wrapped(app: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(app)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return app(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    "app",
    [
        asgi,
        fastapi.FastAPI(),
        starlette.applications.Starlette(),
        PlainCallAsgi(),
        AwaitableAsgi,
        MethodApp().page,
        wrapped(asgi),
        functools.partial(asgi),
    ],
)
def test_asgi(app: object) -> None:
    assert kind_of(app) == "asgi"


@pytest.mark.parametrize(
    "app",
    [wsgi, flask.Flask("app"), MethodApp().old_page, wrapped(wsgi), flask.Flask("app").wsgi_app],
)
def test_wsgi(app: object) -> None:
    assert kind_of(app) == "wsgi"


@pytest.mark.parametrize(
    ("app", "why", "fix"),
    [
        (None, "cannot be called", "ASGI application"),
        ("shop:app", "cannot be called", "import the object"),
        (flask.Flask, "it is a class", "Flask()"),
        (factory, "factory", "call it"),
        (of_one, "other parameters", "WSGI one"),
        (of_any, "does not tell", "named parameters"),
        (print, "does not tell", "named parameters"),
    ],
)
def test_neither_is_refused_with_the_fix(app: object, why: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        kind_of(app, "Web")
    assert caught.value.where == "Web"
    assert "neither an ASGI nor a WSGI application" in caught.value.what
    assert why in caught.value.why
    assert fix in caught.value.fix
