"""Listeners of components: several of one component, ASGI beside WSGI, errors with their origin."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
import pytest

import weaver
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]


@weaver.component
class Counter:
    _count: int = 0

    async def next(self) -> int:
        self._count += 1
        return self._count

    def doubled(self) -> int:
        return 2 * self._count


@weaver.component
class Site:
    counter: Counter
    public: weaver.Listener
    admin: weaver.Listener
    _ended: list[str] = []  # noqa: RUF012 # copied for each instance

    async def main(self) -> None:
        async with asyncio.TaskGroup() as servers:
            servers.create_task(self._serve(self.public, self._page))
            servers.create_task(self._serve(self.admin, self._report))

    async def ended(self) -> list[str]:
        return self._ended

    async def _serve(self, listener: weaver.Listener, app: Any) -> None:
        await listener.serve(app)
        self._ended.append(listener.name)

    async def _page(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/boom":
            raise LookupError("no such page")
        body = str(await self.counter.next()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    def _report(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        now = weaver.wait(self.counter.next())
        return [f"{now} {self.counter.doubled()}".encode()]


async def get(app: TestApp, listener: str, path: str = "/") -> httpx.Response:
    url = f"http://{app.address(listener)}{path}"
    async with httpx.AsyncClient(trust_env=False, timeout=50) as client:
        return await client.get(url)


@pytest.mark.weaver_runners("local", "rpc")
async def test_two_listeners_of_one_component_serve_asgi_and_wsgi(weaver_app: MakeApp) -> None:
    async with weaver_app(Site) as app:
        assert app.address("public") != app.address("admin")
        assert (await get(app, "public")).text == "1"
        assert (await get(app, "admin")).text == "2 4"
        assert (await get(app, "public")).text == "3"
        site = app.get(Site)
        assert await site.ended() == []


@pytest.mark.weaver_runners("local", "rpc")
async def test_an_unhandled_error_is_logged_with_component_and_request(
    weaver_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    async with weaver_app(Site) as app:
        assert (await get(app, "public", "/boom")).status_code == 500
        assert (await get(app, "public")).text == "1"
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.getMessage() == "Site: GET /boom failed: LookupError"
    assert vars(record)["component"] == "Site"
    assert vars(record)["request"] == "GET /boom"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


@pytest.mark.weaver_runners("local", "rpc")
async def test_a_configured_address_is_used(weaver_app: MakeApp) -> None:
    with_port = {"listeners": {"admin": {"address": "localhost:0"}}}
    async with weaver_app(Site, config=with_port) as app:
        assert app.address("admin").rpartition(":")[2] != "0"
        assert (await get(app, "admin")).text == "1 2"
