"""References taken at import time, and looked at by frameworks before any application runs."""

import inspect
from typing import Annotated, Any

from fastapi import Depends, FastAPI

import weaver
from weaver.proclet.current import running


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
