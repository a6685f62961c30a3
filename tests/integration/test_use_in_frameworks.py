"""References taken at import time, and looked at by frameworks before any application runs."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI

import weaver
from weaver.proclet.current import running
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]


@weaver.component
class Stock:
    async def count(self, item: str) -> int:
        return len(item)


def test_looking_at_a_reference_starts_no_application() -> None:
    stock: Any = weaver.use(Stock)
    inspect.signature(stock)  # what frameworks do with dependencies
    assert running() is None


def test_a_dependency_of_fastapi_starts_no_application() -> None:
    app = FastAPI()

    stock: Any = weaver.use(Stock)

    @app.get("/{item}")
    async def count(item: str, stock: Annotated[Stock, Depends(stock)]) -> int:
        return await stock.count(item)

    assert count is not None
    assert running() is None


async def test_every_form_of_a_dependency_reaches_the_component(weaver_app: MakeApp) -> None:
    app = FastAPI()
    stock = weaver.use(Stock)

    async def get_stock() -> Stock:
        return stock

    @app.get("/function/{item}")
    async def by_function(item: str, stock: Annotated[Stock, Depends(get_stock)]) -> int:
        return await stock.count(item)

    @app.get("/lambda/{item}")
    async def by_lambda(item: str, stock: Annotated[Stock, Depends(lambda: stock)]) -> int:
        return await stock.count(item)

    reference: Any = stock  # a type checker takes it for a Stock, which cannot be called

    @app.get("/reference/{item}")
    async def by_reference(item: str, stock: Annotated[Stock, Depends(reference)]) -> int:
        return await stock.count(item)

    transport = httpx.ASGITransport(app)
    async with (
        weaver_app(Stock),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
    ):
        for form in ("function", "lambda", "reference"):
            assert (await client.get(f"/{form}/mug")).json() == 3, form

    class Empty(Stock):
        async def count(self, item: str) -> int:
            return 0

    app.dependency_overrides[get_stock] = Empty
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        assert (await client.get("/function/mug")).json() == 0
    assert [by_function, by_lambda, by_reference]
    assert running() is None
