"""Connections that go from one process to another, while their clients notice nothing."""

import asyncio
import signal
from collections.abc import AsyncGenerator

import pytest
from moving_parts import Client, Place, Server, place
from websockets.asyncio.client import connect


@pytest.fixture
async def sockets() -> AsyncGenerator[Place]:
    async with place() as made:
        yield made


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_of_servers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "asyncio":
        monkeypatch.setenv("PLAIN_LOOP", "1")


async def emptied(server: Server) -> None:
    """Wait until a server has no connection."""
    while await server.tell("count") != "0":
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("loop_of_servers")
@pytest.mark.parametrize("app", ["asgi", "wsgi"])
async def test_idle_connections_are_answered_by_the_other_process(sockets: Place, app: str) -> None:
    old = await sockets.serve(app=app)
    clients = [await Client.open(sockets.port) for _ in range(300)]  # a queue takes less at once
    assert {(await client.ask()).pid for client in clients[:150]} == {old.pid}
    new = await sockets.serve(accepting=False, app=app)
    assert await old.tell("off") == "ok"
    assert await new.tell("on") == "ok"
    await emptied(old)
    for _ in range(2):
        assert {(await client.ask(body=b"x" * 9)).pid for client in clients} == {new.pid}
    for client in clients:
        client.close()
    await emptied(new)


@pytest.mark.usefixtures("loop_of_servers")
async def test_a_busy_connection_moves_after_its_answer(sockets: Place) -> None:
    old, new = await sockets.serve(), await sockets.serve(accepting=False)
    client = await Client.open(sockets.port)
    client.send("/slow/0.5")
    while await old.tell("count") != "1":
        pass
    assert await old.tell("off") == "ok"
    assert await new.tell("on") == "ok"
    assert (await client.receive()).pid == old.pid
    await emptied(old)
    assert (await client.ask()).pid == new.pid
    client.close()


async def test_pipelined_requests_are_answered_before_their_connection_moves(
    sockets: Place,
) -> None:
    old, new = await sockets.serve(), await sockets.serve(accepting=False)
    client = await Client.open(sockets.port)
    client.send("/slow/0.2")
    for number in range(5):
        client.send(body=b"x" * number)
    await client.writer.drain()
    while await old.tell("count") != "1":
        pass
    assert await old.tell("off") == "ok"
    assert await new.tell("on") == "ok"
    answers = [await client.receive() for _ in range(6)]
    assert [answer.size for answer in answers] == [0, 0, 1, 2, 3, 4]
    assert {answer.pid for answer in answers} == {old.pid}
    await emptied(old)
    assert (await client.ask()).pid == new.pid
    client.close()


async def test_half_a_request_stays_until_it_is_whole_and_answered(sockets: Place) -> None:
    old, new = await sockets.serve(), await sockets.serve(accepting=False)
    client = await Client.open(sockets.port)
    await client.ask()
    client.writer.write(b"POST / HTTP/1.1\r\nHost: te")
    await client.writer.drain()
    other = await Client.open(sockets.port)
    await other.ask()  # by now the bytes sent before have been read
    assert await old.tell("off") == "ok"
    assert await new.tell("on") == "ok"
    assert (await other.ask()).pid == new.pid
    client.writer.write(b"st\r\nContent-Length: 2\r\n\r\nxx")
    assert (await client.receive()).pid == old.pid
    assert (await client.ask()).pid == new.pid
    client.close()
    other.close()


async def test_a_websocket_stays_until_it_ends(sockets: Place) -> None:
    old, new = await sockets.serve(), await sockets.serve(accepting=False)
    async with connect(f"ws://127.0.0.1:{sockets.port}/") as tunnel:
        await tunnel.send("one")
        assert await tunnel.recv() == f"{old.pid} one"
        assert await old.tell("off") == "ok"
        assert await new.tell("on") == "ok"
        await tunnel.send("two")
        assert await tunnel.recv() == f"{old.pid} two"
    await emptied(old)


async def test_connections_wait_for_a_process_that_comes_later(sockets: Place) -> None:
    old = await sockets.serve()
    clients = [await Client.open(sockets.port) for _ in range(20)]
    for client in clients:
        await client.ask()
    assert await old.tell("off") == "ok"
    for client in clients:
        client.send(body=b"late")
    fresh = await Client.open(sockets.port)
    fresh.send()
    await emptied(old)
    await old.end()
    new = await sockets.serve()
    for client in (*clients, fresh):
        assert (await client.receive()).pid == new.pid
        client.close()


async def test_a_stop_hands_idle_connections_to_those_who_go_on(sockets: Place) -> None:
    servers = [await sockets.serve() for _ in range(3)]
    clients = [await Client.open(sockets.port) for _ in range(60)]
    for client in clients:
        await client.ask()
    for server in servers[:2]:
        assert await server.tell("leave") == "ended"
    assert {(await client.ask()).pid for client in clients} == {servers[2].pid}
    for client in clients:
        client.close()


async def test_who_leaves_alone_takes_back_what_nobody_takes(sockets: Place) -> None:
    server = await sockets.serve()
    client = await Client.open(sockets.port)
    await client.ask()
    assert await server.tell("leave") == "ended"
    assert await asyncio.wait_for(client.reader.read(), 30) == b""  # in order, without a reset
    client.close()


async def test_the_last_one_closes_idle_connections_in_order(sockets: Place) -> None:
    server = await sockets.serve()
    client = await Client.open(sockets.port)
    await client.ask()
    assert await server.tell("stop") == "ended"
    assert await asyncio.wait_for(client.reader.read(), 30) == b""
    client.close()


async def test_the_last_one_answers_what_still_waits_to_be_taken(sockets: Place) -> None:
    old, new = await sockets.serve(), await sockets.serve(accepting=False)
    client = await Client.open(sockets.port)
    await client.ask()
    assert await old.tell("off") == "ok"
    await emptied(old)
    client.send()
    new.process.send_signal(signal.SIGSTOP)  # so that it hears two lines at once
    assert new.process.stdin is not None
    new.process.stdin.write(b"on\nstop\n")
    new.process.send_signal(signal.SIGCONT)
    head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 20)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"{new.pid} ".encode() in await client.reader.read()
    client.close()


@pytest.mark.usefixtures("loop_of_servers")
async def test_strict_clients_see_no_failure_while_two_processes_take_turns(
    sockets: Place,
) -> None:
    first, second = await sockets.serve(), await sockets.serve(accepting=False)
    before = [await server.tell("descriptors") for server in (first, second)]
    done = asyncio.Event()
    pids: dict[int, int] = {}
    turns = 0

    async def keep_asking(pause: float) -> None:
        client = await Client.open(sockets.port)
        while not done.is_set():
            pid = (await client.ask(body=b"b" * 100)).pid
            pids[pid] = pids.get(pid, 0) + 1
            await asyncio.sleep(pause)
        client.close()

    async def connect_anew() -> None:
        while not done.is_set():
            client = await Client.open(sockets.port)
            await client.ask()
            client.close()

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(keep_asking(0.002 * number))
        group.create_task(connect_anew())
        async with asyncio.timeout(50):
            while turns < 40 or min(pids.get(server.pid, 0) for server in (first, second)) <= 100:
                for leaving, coming in ((first, second), (second, first)):
                    assert await coming.tell("on") == "ok"
                    assert await leaving.tell("off") == "ok"
                    turns += 1
                    await asyncio.sleep(0.05)
        done.set()
    while [await server.tell("descriptors") for server in (first, second)] != before:
        await asyncio.sleep(0.05)
