"""The servers and clients that `calls.py` compares."""

import asyncio
import concurrent.futures
import importlib.util
import multiprocessing.connection
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import weaver

TEXT = "0123456789abcdef"
IN_FLIGHT = 64
HEADER = struct.Struct("<II")
NEEDS = {"grpc.aio": "grpc", "rpyc": "rpyc", "Pyro5": "Pyro5", "thriftpy2": "thriftpy2"}


def installed(name: str) -> bool:
    return importlib.util.find_spec(NEEDS.get(name, "sys")) is not None


def run_loop(coroutine: Any) -> None:
    import uvloop

    uvloop.run(coroutine)


def receive_exactly(sock: socket.socket, buffer: bytearray) -> bool:
    view = memoryview(buffer)
    while view:
        count = sock.recv_into(view)
        if not count:
            return False
        view = view[count:]
    return True


class Client:
    """`call` echoes a text; `burst` makes many calls, 64 in flight; `blob` echoes bytes."""

    def __init__(self, call: Callable[[str], Awaitable[str]], blob: Any = None) -> None:
        self.call = call
        self.blob = blob

    async def burst(self, calls: int) -> None:
        call = self.call

        async def work() -> None:
            for _ in range(calls // IN_FLIGHT):
                await call(TEXT)

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


class Threaded(Client):
    """A blocking client: one call at a time in the measured thread, 64 threads for a burst."""

    def __init__(self, connect: Callable[[], Callable[[str], str]]) -> None:
        self._local = threading.local()
        self._connect = connect
        self._pool = concurrent.futures.ThreadPoolExecutor(IN_FLIGHT)

        async def call(text: str) -> str:
            try:
                return self._own()(text)
            except (OSError, EOFError):  # some servers hang up on clients that pause
                self._local.call = None
                return self._own()(text)

        super().__init__(call)

    def _own(self) -> Callable[[str], str]:
        found: Any = getattr(self._local, "call", None)
        if found is None:
            found = self._local.call = self._connect()
        return found

    async def burst(self, calls: int) -> None:
        def work() -> None:
            call = self._connect()
            for _ in range(calls // IN_FLIGHT):
                call(TEXT)

        await asyncio.gather(
            *(
                asyncio.get_running_loop().run_in_executor(self._pool, work)
                for _ in range(IN_FLIGHT)
            )
        )


# --- a bare echo: frames of length and number, a future per call, one write per call ---


class EchoServer(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class EchoClient(asyncio.Protocol):
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting: dict[int, asyncio.Future[bytes]] = {}
        self.number = 0
        self.rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        at = 0
        while len(data) - at >= 8:
            length, number = HEADER.unpack_from(data, at)
            if len(data) - at - 8 < length:
                break
            self.waiting.pop(number).set_result(data[at + 8 : at + 8 + length])
            at += 8 + length
        self.rest = data[at:]

    async def call(self, text: str) -> str:
        self.number += 1
        future = self.waiting[self.number] = self.loop.create_future()
        body = text.encode()
        self.transport.write(HEADER.pack(len(body), self.number) + body)
        return (await future).decode()


async def serve_echo(path: str) -> None:
    server = await asyncio.get_running_loop().create_unix_server(EchoServer, path)
    print(path, flush=True)
    await server.serve_forever()


async def echo_client(path: str) -> Client:
    _, protocol = await asyncio.get_running_loop().create_unix_connection(EchoClient, path)
    return Client(protocol.call)


# --- weaver ---


@weaver.component
class Echo:
    async def echo(self, text: str) -> str:
        return text

    async def blob(self, data: bytes) -> bytes:
        return data


def replica(name: str, *, spin: bool = False) -> Any:
    from weaver.proclet.definition import define
    from weaver.proclet.dispatcher import Dispatcher
    from weaver.proclet.network import Network
    from weaver.proclet.threads import Workers
    from weaver.rpc.handshake import Hello
    from weaver.rpc.limits import Limits

    definition = define([Echo])
    (full,) = definition.graph.components
    found: dict[str, Any] = {full: Echo()}
    dispatcher = Dispatcher(definition.table, found.__getitem__, Workers(8))
    hello = Hello("d", "b", definition.table.hash, name)
    return Network(
        definition, dispatcher, hello=hello, timeout=30.0, limits=Limits(), replica=name,
        spin=spin,
    ), full  # fmt: skip


async def serve_weaver(path: str, *, spin: bool = False) -> None:
    from weaver.proclet.tuning import tune

    network, _ = replica("server", spin=spin)
    print(await network.listen(f"unix:{path}"), flush=True)
    tune()
    await asyncio.Event().wait()


async def serve_spinning(path: str) -> None:
    await serve_weaver(path, spin=True)


async def spinning_client(address: str) -> Client:
    return await weaver_client(address, spin=True)


async def weaver_client(address: str, *, spin: bool = False) -> Client:
    from weaver.proclet.distributed import DistributedPlacement
    from weaver.proclet.reference import DEFAULT_OPTIONS
    from weaver.routing import Endpoint, Route, Routing

    network, full = replica("client", spin=spin)
    network.update(Routing(1, {"g": Route((full,), (Endpoint("server", address),))}))
    placement = DistributedPlacement(network)
    methods = network.definition.table.of(full)
    call, blob = (placement.target(methods[n], None, DEFAULT_OPTIONS) for n in ("echo", "blob"))
    return Client(call, blob)


# --- others ---

UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


async def serve_grpc(path: str) -> None:
    import grpc

    async def echo(request: bytes, _context: Any) -> bytes:
        return request

    server = grpc.aio.server(options=UNLIMITED)
    handler = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler}),)
    )
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    print(f"unix:{path}", flush=True)
    await server.wait_for_termination()


async def grpc_client(address: str) -> Client:
    import grpc

    channel = grpc.aio.insecure_channel(address, options=UNLIMITED)
    method = channel.unary_unary("/bench.Echo/Echo")

    async def call(text: str) -> str:
        return (await method(text.encode(), timeout=30)).decode()

    async def blob(data: bytes) -> bytes:
        return await method(data, timeout=30)

    return Client(call, blob)


def serve_multiprocessing(path: str) -> None:
    def serve(connection: Any) -> None:
        while True:
            connection.send(connection.recv())

    listener = multiprocessing.connection.Listener(path, backlog=128)
    print(path, flush=True)
    while True:
        threading.Thread(target=serve, args=(listener.accept(),), daemon=True).start()


async def multiprocessing_client(path: str) -> Client:
    def connect() -> Callable[[str], str]:
        connection = multiprocessing.connection.Client(path)

        def call(text: str) -> str:
            connection.send(text)
            return connection.recv()

        return call

    return Threaded(connect)


def serve_rpyc(path: str) -> None:
    import rpyc

    class EchoService(rpyc.Service):
        def exposed_echo(self, text: str) -> str:
            return text

    server = rpyc.ThreadedServer(EchoService, socket_path=path, backlog=128)
    print(path, flush=True)
    server.start()


async def rpyc_client(path: str) -> Client:
    import rpyc

    return Threaded(lambda: rpyc.utils.factory.unix_connect(path).root.echo)


def serve_pyro(path: str) -> None:
    import Pyro5.api

    class EchoObject:
        @Pyro5.api.expose
        def echo(self, text: str) -> str:
            return text

    Pyro5.api.config.THREADPOOL_SIZE = 128
    daemon = Pyro5.api.Daemon(unixsocket=path)
    print(daemon.register(EchoObject()), flush=True)
    daemon.requestLoop()


async def pyro_client(uri: str) -> Client:
    import Pyro5.api

    return Threaded(lambda: Pyro5.api.Proxy(uri).echo)


def thrift_service(path: str) -> Any:
    import thriftpy2

    source = path + ".thrift"
    with open(source, "w") as file:  # noqa: PTH123
        file.write("service Echo { string echo(1: string text) }")
    return thriftpy2.load(source, module_name="echo_thrift").Echo


def serve_thrift(path: str) -> None:
    import thriftpy2.rpc

    class Handler:
        def echo(self, text: str) -> str:
            return text

    server = thriftpy2.rpc.make_server(
        thrift_service(path), Handler(), unix_socket=path, client_timeout=600_000
    )
    print(path, flush=True)
    server.serve()


async def thrift_client(path: str) -> Client:
    import thriftpy2.rpc

    service = thrift_service(path + ".client")
    return Threaded(
        lambda: thriftpy2.rpc.make_client(service, unix_socket=path, timeout=600_000).echo
    )


def serve_fastapi(path: str) -> None:
    import fastapi
    import uvicorn

    app = fastapi.FastAPI()

    async def echo(text: str = fastapi.Body(embed=True)) -> dict[str, str]:
        return {"text": text}

    app.post("/echo")(echo)
    print(path, flush=True)
    uvicorn.run(app, uds=path, log_level="error")


async def httpx_client(path: str) -> Client:
    import httpx

    transport = httpx.AsyncHTTPTransport(uds=path, retries=5)
    client = httpx.AsyncClient(transport=transport, base_url="http://echo")

    async def call(text: str) -> str:
        for attempt in range(200):
            try:
                return (await client.post("/echo", json={"text": text})).json()["text"]
            except httpx.ConnectError:  # uvicorn announces nothing
                if attempt == 199:
                    raise
                await asyncio.sleep(0.05)
        raise AssertionError

    return Client(call)


SERVERS: dict[str, Callable[[str], Any]] = {
    "echo": serve_echo,
    "weaver": serve_weaver,
    "weaver, spinning": serve_spinning,
    "grpc.aio": serve_grpc,
    "multiprocessing": serve_multiprocessing,
    "rpyc": serve_rpyc,
    "Pyro5": serve_pyro,
    "thriftpy2": serve_thrift,
    "FastAPI+httpx": serve_fastapi,
}
CLIENTS: dict[str, Callable[[str], Awaitable[Client]]] = {
    "echo": echo_client,
    "weaver": weaver_client,
    "weaver, spinning": spinning_client,
    "grpc.aio": grpc_client,
    "multiprocessing": multiprocessing_client,
    "rpyc": rpyc_client,
    "Pyro5": pyro_client,
    "thriftpy2": thrift_client,
    "FastAPI+httpx": httpx_client,
}


def serve(name: str, path: str) -> None:
    """Run one of the servers in this process."""
    made = SERVERS[name](path)
    if made is not None:
        run_loop(made)
