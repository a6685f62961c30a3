"""A web server in a process of its own, on inherited sockets, that obeys lines of its stdin.

Arguments: the descriptors of listening socket, receiver and sender, "on" or "off" for accepting,
"asgi" or "wsgi". Lines: on, off, count, descriptors, stop, leave (stop, and others go on).
PLAIN_LOOP in the environment asks for the loop of asyncio.
Every answer says which process gave it, and who it thinks the client is.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from weaver.proclet.http import HttpServer
from weaver.proclet.http_sockets import Sockets
from weaver.transport import handover
from weaver.transport.event_loop import loop_factory
from weaver.transport.listening import bind


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{os.getpid()} {message['text']}"})
        return
    if scope["type"] != "http":
        return
    size = 0
    while (message := await receive())["type"] == "http.request":
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    if scope["path"].startswith("/slow/"):
        await asyncio.sleep(float(scope["path"].removeprefix("/slow/")))
    client = scope["client"] or ("", 0)
    text = f"{os.getpid()} {client[0]}:{client[1]} {scope['scheme']} {size}".encode()
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    client = f"{environ['REMOTE_ADDR']}:{environ.get('REMOTE_PORT', 0)}"
    text = f"{os.getpid()} {client} {environ['wsgi.url_scheme']} {len(body)}".encode()
    start_response("200 OK", [("content-length", str(len(text)))])
    return [text]


def _sockets(arguments: list[str]) -> Sockets:
    listening, receiver, sender = map(int, arguments[:3])
    pair = handover.adopt(receiver, sender)
    private = bind(f"unix:{arguments[5]}") if len(arguments) > 5 else None
    sock = socket.socket(fileno=listening)
    sock.setblocking(False)
    return Sockets(sock, pair, private)


async def main(arguments: list[str]) -> None:
    app: Any = {"asgi": asgi, "wsgi": wsgi}[arguments[4]]
    server = HttpServer(
        app, _sockets(arguments), name="Web", grace=20.0, accepting=arguments[3] == "on"
    )
    serving = asyncio.create_task(server.serve())
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say("ready")
    while line := (await reader.readline()).decode().strip():
        match line:
            case "on" | "off":
                server.accept(accepting=line == "on")
                say("ok")
            case "count":
                say(str(len(server._connections)))
            case "descriptors":
                say(str(len(os.listdir("/proc/self/fd"))))  # noqa: PTH208
            case _:
                server.stop(others=line == "leave")
                await serving
                say("ended")
                return
    server.stop()
    await serving


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    plain = "PLAIN_LOOP" in os.environ
    with asyncio.Runner(loop_factory=None if plain else loop_factory()) as runner:
        runner.run(main(sys.argv[1:]))
