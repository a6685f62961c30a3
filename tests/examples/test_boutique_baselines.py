"""What the benchmark compares is the same shop: the same pages, by the same calls."""

import re
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from boutique.site.app import make_app

if TYPE_CHECKING:
    from tests.examples.conftest import OpenShop

pytestmark = pytest.mark.weaver_runners("local")

BENCH = Path(__file__).parents[2] / "bench" / "boutique"
MUG, CLOCK = "6E92ZMYYFZ", "1YMWWN1N4O"
CARD = "4432801561520454"
ORDER = {
    "email": "ada@example.com",
    "street_address": "1 Harbour Street",
    "zip_code": "94043",
    "city": "Mountain View",
    "state": "CA",
    "country": "United States",
    "credit_card_number": CARD,
    "credit_card_expiration_month": "1",
    "credit_card_expiration_year": "2099",
    "credit_card_cvv": "672",
}
VISIT: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("GET", "/", {}),
    ("GET", f"/product/{MUG}", {}),
    ("GET", "/product/none", {}),
    ("GET", "/cart", {}),
    ("POST", "/cart", {"product_id": MUG, "quantity": "2"}),
    ("POST", "/cart", {"product_id": CLOCK, "quantity": "1"}),
    ("POST", "/cart", {"product_id": "none", "quantity": "1"}),
    ("GET", "/cart", {}),
    ("POST", "/cart/checkout", ORDER | {"credit_card_expiration_year": "2001"}),
    ("POST", "/cart/checkout", ORDER),
    ("POST", "/cart/checkout", ORDER),  # the cart is empty by now
    ("POST", "/cart", {"product_id": MUG, "quantity": "1"}),
    ("POST", "/cart/empty", {}),
    ("GET", "/cart", {}),
)
CHANCE = (
    (
        re.compile(
            r'<section class="wrap section" aria-labelledby="more">.*?</section>', re.DOTALL
        ),
        "MORE",
    ),
    (re.compile(r'<p class="ad">.*?</p>', re.DOTALL), "AD"),
    (re.compile(r'<dl class="where">.*?</dl>', re.DOTALL), "WHERE"),
    (re.compile(r"<dt>(Confirmation|Tracking) #</dt><dd>[^<]+</dd>"), r"\1"),
)
Calls = Counter[tuple[str, str]]


@dataclass
class Counting:
    """A client that counts what is asked of it."""

    caller: str
    callee: str
    client: Any
    calls: Calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        async def call(*arguments: Any) -> Any:
            self.calls[self.caller, f"{self.callee}.{name}"] += 1
            return await method(*arguments)

        return call


@dataclass
class Baseline:
    """The site of a baseline, and what its processes ask each other."""

    site: httpx.AsyncClient
    calls: Calls = field(default_factory=Calls)


async def visit(client: httpx.AsyncClient, calls: Callable[[], Calls]) -> list[Any]:
    """What each step of the visit answers, without what is left to chance, and its calls."""
    seen: list[Any] = []
    for method, path, fields in VISIT:
        before = calls()
        cookies = {"cookie": "shop_session-id=ada; shop_currency=EUR"}
        answer = await client.request(method, path, data=fields or None, headers=cookies)
        text = answer.text
        for pattern, name in CHANCE:
            text = pattern.sub(name, text)
        place = answer.headers.get("location", "")
        seen.append((method, path, answer.status_code, place, text, dict(calls() - before)))
    return seen


@pytest.fixture
def baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the modules of the benchmark importable."""
    monkeypatch.syspath_prepend(str(BENCH))  # pyright: ignore[reportUnknownMemberType]


def site_of(make: Callable[[str, str], Any], calls: Calls, wiring: Any) -> httpx.AsyncClient:
    """The web site, whose clients are made by `make(caller, callee)`."""
    app = make_app(wiring.services(partial(make, "frontend")), {"group": "frontend"})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop")


def counted(wiring: Any, calls: Calls, caller: str, callee: str, client: Any) -> Counting:
    name = wiring.CLASSES[caller].__name__ if caller in wiring.CLASSES else "Web"
    return Counting(name, wiring.CLASSES[callee].__name__, client, calls)


@asynccontextmanager
async def rest() -> AsyncGenerator[Baseline]:
    wiring: Any = import_module("wiring")
    process: Any = import_module("rest_baseline.process")
    calls, apps = Calls(), dict[str, Any]()

    def client(caller: str, callee: str) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await apps[callee](scope, receive, send)  # which may not have been made yet

        made = process.RestClient(callee, httpx.ASGITransport(app))
        return counted(wiring, calls, caller, callee, made)

    for name in wiring.CLASSES:
        apps[name] = process.make_service(name, partial(client, name))
    yield Baseline(site_of(client, calls, wiring), calls)


@asynccontextmanager
async def grpc() -> AsyncGenerator[Baseline]:
    pytest.importorskip("grpc", reason="the dependency group bench is not installed")
    pytest.importorskip("grpc_tools", reason="the dependency group bench is not installed")
    wiring: Any = import_module("wiring")
    process: Any = import_module("grpc_baseline.process")
    calls = Calls()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        found = process.clients(folder)

        def client(caller: str, callee: str) -> Any:
            return counted(wiring, calls, caller, callee, found(callee))

        for name in wiring.CLASSES:
            serving = process.serve(name, folder, partial(client, name))
            stack.push_async_callback((await serving).stop, 0)
        stack.push_async_callback(process.close)
        yield Baseline(site_of(client, calls, wiring), calls)


@pytest.mark.usefixtures("baselines")
@pytest.mark.parametrize("baseline", [rest, grpc], ids=["rest", "grpc"])
async def test_a_baseline_shows_the_same_pages_by_the_same_calls(
    baseline: Callable[[], Any], open_shop: "OpenShop"
) -> None:
    async with baseline() as other:
        theirs = await visit(other.site, lambda: Calls(other.calls))
        async with open_shop() as shop:
            ours = await visit(shop.visitor, shop.calls)
    assert [step[:4] for step in ours] == [step[:4] for step in theirs]
    for mine, its in zip(ours, theirs, strict=True):
        assert mine[4] == its[4], mine[:2]
        assert mine[5] == its[5], mine[:2]
    assert sum(sum(step[5].values()) for step in ours) > 100
