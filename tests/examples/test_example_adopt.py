"""examples/adopt: an ordinary FastAPI application before and after it was adopted.

That docs/how-to/adopt.md shows the difference is held by tests/meta/test_adoption_diff.py.
"""

import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from weaver.proclet.importing import import_name
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]

ADOPT = Path(__file__).parents[2] / "examples" / "adopt"
APP = "lending.api:app"
FREE_PORT = {"listeners": {"http": {"address": "127.0.0.1:0"}}}
PRIDE, HEIGHTS = "9780141439518", "9780141439556"


@pytest.fixture(params=["before", "after"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Makes one of the two importable; both are packages of one name."""
    monkeypatch.setattr(sys, "path", [str(ADOPT / request.param), *sys.path])
    yield request.param
    for name in [n for n in sys.modules if n.partition(".")[0] == "lending"]:
        del sys.modules[name]


@asynccontextmanager
async def library(version: str, make_app: MakeApp) -> AsyncGenerator[httpx.AsyncClient]:
    if version == "before":
        app: Any = import_name(APP)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://library"
        ) as client:
            yield client
        return
    async with make_app(APP, config=FREE_PORT) as running:
        base = f"http://{running.address()}"
        async with httpx.AsyncClient(base_url=base, timeout=50, trust_env=False) as client:
            yield client


async def test_both_lend_books(version: str, weaver_app: MakeApp) -> None:
    async with library(version, weaver_app) as client:
        books = (await client.get("/books")).json()
        assert [book["isbn"] for book in books][:2] == [PRIDE, HEIGHTS]
        lent = await client.post("/loans", params={"isbn": HEIGHTS, "member": "ada"})
        assert lent.status_code == 200, lent.text
        due = (datetime.now(UTC) + timedelta(days=14)).date()
        assert lent.json()["book"]["title"] == "Wuthering Heights"
        assert lent.json()["due"] in {str(due), str(due - timedelta(days=1))}
        assert (await client.get("/loans/ada")).json() == [lent.json()]


async def test_both_answer_errors_of_the_services(version: str, weaver_app: MakeApp) -> None:
    async with library(version, weaver_app) as client:
        unknown = await client.post("/loans", params={"isbn": "1", "member": "ada"})
        assert (unknown.status_code, unknown.json()) == (
            404,
            {"detail": "the library has no book 1"},
        )
        await client.post("/loans", params={"isbn": HEIGHTS, "member": "ada"})
        gone = await client.post("/loans", params={"isbn": HEIGHTS, "member": "bob"})
        detail = "all copies of Wuthering Heights are lent"
        assert (gone.status_code, gone.json()) == (409, {"detail": detail})


async def test_both_call_plain_methods_from_plain_handlers(
    version: str, weaver_app: MakeApp
) -> None:
    async with library(version, weaver_app) as client:
        label = await client.get(f"/books/{PRIDE}/label.svg")
        assert label.headers["content-type"] == "image/svg+xml"
        assert label.text.count("<rect") == len(PRIDE)
