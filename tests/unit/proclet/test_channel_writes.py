"""When bytes of calls are written: one call at once, all others of a turn in one piece."""

import asyncio
from collections.abc import Sequence

import weaver
from weaver.proclet.channel import Buffer, Channel
from weaver.proclet.definition import define
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.threads import Workers
from weaver.rpc.connection import Connection
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits


@weaver.component
class Echo:
    async def echo(self, text: str) -> str:
        return text


class Wire:
    """Carries what one end writes to the other, in the next turn, and counts."""

    def __init__(self) -> None:
        self.writes = 0
        self.peer: Channel | None = None

    def write(self, buffer: Buffer) -> None:
        assert self.peer is not None
        self.writes += 1
        asyncio.get_running_loop().call_soon(self.peer.receive, bytes(buffer))

    def write_all(self, buffers: Sequence[Buffer]) -> None:
        self.write(b"".join(buffers))

    def fill(self) -> None: ...

    def close(self) -> None: ...


async def test_calls_that_begin_in_one_turn_leave_in_one_piece() -> None:
    definition, workers, wires = define([Echo]), Workers(1), (Wire(), Wire())
    (component,) = definition.graph.components
    dispatcher = Dispatcher(definition.table, {component: Echo()}.__getitem__, workers)
    hello = Hello(deployment="d", build="b", methods=definition.table.hash)
    caller, callee = (
        Channel(Connection(hello, Limits()), wire, dispatcher=own, timeout=30.0)
        for wire, own in zip(wires, (None, dispatcher), strict=True)
    )
    wires[0].peer, wires[1].peer = callee, caller
    codec = definition.table.of(component)["echo"]

    async def echo(text: str) -> str:
        body = await caller.calls.call(codec, codec.arguments.encode((text,), {}))
        found: str = codec.result.decode(body)
        return found

    assert await echo("alone") == "alone"  # and the handshake is over
    before = wires[0].writes
    assert await echo("alone") == "alone"
    assert wires[0].writes == before + 1
    texts = [str(number) for number in range(64)]
    assert await asyncio.gather(*map(echo, texts)) == texts
    assert wires[0].writes == before + 3  # the first one at once, the others together
    caller.close()
    callee.close()
    workers.close()
