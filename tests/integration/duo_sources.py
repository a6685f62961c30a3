"""The sources of an application of two components whose answers name the versions of both.

A WebSocket gets them for each message. What is posted is noted, a line for each time.
"""

from typing import Final

TOML: Final = """
[app]
name = "duo"
entry = "duo:Web"
start_timeout = "{start_timeout}"
stop_timeout = "2s"
[groups.front]
components = ["Web"]
replicas = {replicas}
prefer = "local"
[groups.stock]
components = ["Stock"]
replicas = {stock}
[listeners.http]
address = "{listen}"
ingress = "{ingress}"
workers = 2
[rollout]
{rollout}
"""

CODE: Final = """
import asyncio
import os
import sys

import weaver

VERSION = "{version}"
FAILS = {fails}
POSTED = "{posted}"

@weaver.component
class Stock:
    async def version(self) -> str:
        return VERSION

@weaver.component
class Web:
    stock: Stock
    http: weaver.Listener

    async def start(self) -> None:
        self.served = 0
        {start}

    async def main(self) -> None:
        await self.http.serve(self._page)

    async def _page(self, scope, receive, send) -> None:
        if scope["type"] == "websocket":
            await self._talk(receive, send)
        if scope["type"] != "http":
            return
        self.served += 1
        if scope["path"] == "/slow":
            await asyncio.sleep(1.2)
        if scope["method"] == "POST":
            await self._note(receive)
        body = await self._versions()
        status = 500 if FAILS and self.served % FAILS == 0 else 200
        headers = [(b"content-length", str(len(body)).encode())]
        await send({{"type": "http.response.start", "status": status, "headers": headers}})
        await send({{"type": "http.response.body", "body": body}})

    async def _versions(self) -> bytes:
        return f"{{VERSION}} {{await self.stock.version()}}".encode()

    async def _talk(self, receive, send) -> None:
        await receive()
        await send({{"type": "websocket.accept"}})
        while (await receive())["type"] == "websocket.receive":
            await send({{"type": "websocket.send", "bytes": await self._versions()}})

    async def _note(self, receive) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        with open(POSTED, "ab", buffering=0) as posted:
            posted.write(body + b"\\n")
"""
