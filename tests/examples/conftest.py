"""The boutique, open for business: one visitor who has not been there before."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from boutique.web import Web

from weaver.deployers.in_process import InProcess
from weaver.testing import TestApp
from weaver.testing import weaver_app as make

MakeApp = Callable[..., TestApp]

FREE_PORT = {"listeners": {"http": {"address": "127.0.0.1:0"}}}


@dataclass
class Shop:
    """The running boutique and its visitor's browser, which follows no redirects by itself."""

    app: TestApp
    visitor: httpx.AsyncClient

    @property
    def session(self) -> str:
        return self.visitor.cookies["shop_session-id"]

    async def page(self, path: str, status: int = 200) -> str:
        answer = await self.visitor.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    async def post(self, path: str, **fields: str) -> httpx.Response:
        return await self.visitor.post(path, data=fields)

    async def put_into_cart(self, product_id: str, quantity: int = 1) -> None:
        answer = await self.post("/cart", product_id=product_id, quantity=str(quantity))
        assert (answer.status_code, answer.headers["location"]) == (302, "/cart")

    def calls(self) -> Counter[tuple[str, str]]:
        """How often each method of the shop was called so far, by (caller, "Component.method")."""
        assert isinstance(self.app._application, InProcess)
        counted: Counter[tuple[str, str]] = Counter()
        for edge in self.app._application.host.edges.values():
            caller, callee = edge.caller.rpartition(".")[2], edge.callee.rpartition(".")[2]
            counted[caller, f"{callee}.{edge.method}"] += edge.calls
        return counted


OpenShop = Callable[[], AbstractAsyncContextManager[Shop]]


@pytest.fixture
async def shop(open_shop: OpenShop) -> AsyncIterator[Shop]:
    """For tests after which nothing is left to do: serving a file ends after its last byte."""
    async with open_shop() as shop:
        yield shop


@pytest.fixture(scope="module")
def many_processes() -> Iterator[TestApp]:
    """The boutique as many processes, open to all tests of a file that uses this fixture.

    Its visitors have nothing in common, and starting it takes a hundred times what a page does.
    """
    with make(Web, runner="multi", config=FREE_PORT) as app:
        yield app


@pytest.fixture
def open_shop(request: pytest.FixtureRequest, weaver_runner: str, weaver_app: MakeApp) -> OpenShop:
    if weaver_runner == "multi" and "many_processes" in request.fixturenames:
        app: TestApp = request.getfixturevalue("many_processes")
        return lambda: _visit(app)
    return lambda: _open(weaver_app)


@asynccontextmanager
async def _open(make_app: MakeApp) -> AsyncGenerator[Shop]:
    async with make_app(Web, config=FREE_PORT) as app, _visit(app) as shop:
        yield shop


@asynccontextmanager
async def _visit(app: TestApp) -> AsyncGenerator[Shop]:
    base = f"http://{app.address()}"
    async with httpx.AsyncClient(base_url=base, timeout=50, trust_env=False) as visitor:
        await visitor.get("/_healthz")  # what serving starts is not the test's to end
        yield Shop(app, visitor)
