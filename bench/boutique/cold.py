"""What a request of the shop costs in one process when the caches have forgotten it.

Between two requests at a low rate, others use the caches. Here, so many bytes are copied before
each request: some evict the core's own caches, more of them those that cores share. No socket, no
second process and no sleep is in it, so the figures hold on a busy machine, too (least tenth).
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from boutique.site.app import make_app
from shoppers import Shopper
from wiring import component, services

from weaver.proclet.http import HttpServer
from weaver.proclet.http_sockets import Sockets
from weaver.proclet.tuning import tune
from weaver.transport.listening import bind

COPIED = (0, 1, 4, 16)
"""MiB that are copied before each request; the caches see twice as many."""

VISITORS = 32
WARM = 2000  # requests before the first that counts

Application = Callable[..., Awaitable[None]]
Connected = tuple[Any, "Nowhere", Any]
"""A connection of the server, what it writes to, and the requests of its visitor."""


class Nowhere(asyncio.Transport):
    """Takes answers and sends them to nobody."""

    written = b""

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None: ...
    def abort(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


def the_shop() -> Application:
    """The web site and its components, as plain objects in this process."""
    made: dict[str, Any] = {}

    def client(name: str) -> Any:
        if name not in made:
            made[name] = component(name, client)
        return made[name]

    return make_app(services(client), {"replica": "cold"})


async def only_http(_scope: Any, _receive: Any, send: Any) -> None:
    """A page of the usual length that is there already."""
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"9500")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 9500})


async def connect(app: Application) -> list[Connected]:
    """Connections to a server of this application."""
    server = HttpServer(app, Sockets(bind("127.0.0.1:0")), name="cold", grace=0.1)
    serving = asyncio.ensure_future(server.serve())
    await asyncio.sleep(0.1)
    if serving.done():
        serving.result()
    connected: list[Connected] = []
    for number in range(VISITORS):
        connection, transport = server._connect(server._public), Nowhere()  # noqa: SLF001
        connection.connection_made(transport)
        connected.append((connection, transport, Shopper(number, 1).requests()))
    return connected


async def seconds(to: Connected) -> float:
    """What one request takes, from its bytes to those of its answer."""
    connection, transport, requests = to
    request, _status = next(requests)
    transport.written = b""
    began = time.perf_counter()
    connection.data_received(request)
    while not transport.written:  # noqa: ASYNC110 - turns of the loop, and nothing of ours
        await asyncio.sleep(0)
    return time.perf_counter() - began


async def run(rounds: int) -> None:
    systems = {"HTTP": await connect(only_http), "HTTP and shop": await connect(the_shop())}
    for connected in systems.values():
        for number in range(WARM):
            await seconds(connected[number % VISITORS])
    tune()
    source, copy = (memoryview(bytearray(max(COPIED) << 20)) for _ in range(2))
    print(f"{'us, least tenth of ' + str(rounds):28}" + "".join(f"{m:>4} MiB" for m in COPIED))
    for name, connected in systems.items():
        cells = []
        for mebibytes in COPIED:
            took = []
            for number in range(rounds):
                copy[: mebibytes << 20] = source[: mebibytes << 20]
                took.append(await seconds(connected[number % VISITORS]))
            cells.append(f"{sorted(took)[rounds // 10] * 1e6:8.0f}")
        print(f"{name:28}" + "".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    uvloop.run(run(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
