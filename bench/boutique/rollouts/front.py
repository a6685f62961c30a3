"""The boutique's front for rollouts under load: beside its pages, it tells which versions answer.

`bench/rollouts.py` copies this file into the package. `/versions` names the version of each process
that took part in the request, `/socket` does so for every message of a WebSocket.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from boutique.ads import Ads
from boutique.cart import Cart
from boutique.catalog import Catalog
from boutique.checkout import Checkout
from boutique.currency import Currency
from boutique.recommendation import Recommendation
from boutique.shipping import Shipping
from boutique.site.app import make_app
from boutique.site.services import Services

import weaver

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@weaver.component
class Near:
    async def version(self) -> str:
        return weaver.deployment().deployment


@weaver.component
class Far:
    near: Near

    async def versions(self) -> list[str]:
        return [weaver.deployment().deployment, await self.near.version()]


@weaver.component
class Front:
    ads: Ads
    cart: Cart
    catalog: Catalog
    checkout: Checkout
    currency: Currency
    recommendation: Recommendation
    shipping: Shipping
    far: Far
    http: weaver.Listener

    async def main(self) -> None:
        services = Services(
            ads=weaver.options(self.ads, timeout=1.0),
            cart=self.cart,
            catalog=self.catalog,
            checkout=self.checkout,
            currency=self.currency,
            recommendation=self.recommendation,
            shipping=self.shipping,
        )
        self._pages: Any = make_app(services, {})
        await self.http.serve(self._serve)

    async def _serve(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(receive, send)
        elif scope["type"] == "http" and scope["path"] == "/versions":
            body = (await self._versions()).encode()
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            await self._pages(scope, receive, send)

    async def _versions(self) -> str:
        return " ".join([weaver.deployment().deployment, *await self.far.versions()])

    async def _socket(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": await self._versions()})
