"""Streaming calls as their reader sees them: async generators, which the compiled core has not."""

from collections.abc import AsyncIterator
from typing import Any

from weaver.errors import RemoteCallError
from weaver.proclet import paths
from weaver.proclet.item_stream import WINDOW
from weaver.proclet.outgoing import Answered, Outgoing
from weaver.proclet.remote_method import RemoteMethod
from weaver.proclet.retrying import Attempts
from weaver.rpc.methods import MethodCodec


async def items(calls: Outgoing, codec: MethodCodec, body: bytes) -> AsyncIterator[bytes]:
    """The encoded items of a streaming call, as they come; the reader sets the pace.

    Raises as `Outgoing.call`. Closing it closes the callee.
    """
    stream = await calls.begin_stream(codec, body)
    taken = 0
    try:
        while (item := await stream.next()) is not None:
            yield item
            taken += 1
            if taken == WINDOW // 2:
                calls.taken(stream, taken)
                taken = 0
    finally:
        calls.end_stream(stream)


def streamed(method: RemoteMethod) -> paths.Target:
    """The function that performs a streaming call of a method elsewhere."""

    async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        body = method.encode(args, kwargs)
        key = method.key(args, kwargs) if method.key is not None else None
        pool, peer = method.now(key) or await method.later(key)
        attempts: Attempts | None = None
        while True:
            begun = False
            peer.load.in_flight += 1
            pool.budget.calls += 1
            try:
                async with paths.Closing(items(peer.calls, method.codec, body)) as encoded:
                    async for item in encoded:
                        begun = True
                        yield method.decode(item)
            except RemoteCallError as error:
                attempts = attempts or method.attempts(pool)
                pause = None if begun else method.judge(error, pool, peer, attempts)
                if pause is None:
                    raise
            except Answered as answered:
                raise answered.error from answered.error.__cause__
            else:
                return
            finally:
                peer.load.in_flight -= 1
                peer.load.probing = False
            pool, peer = await method.elsewhere(key, attempts, pause)

    return stream
