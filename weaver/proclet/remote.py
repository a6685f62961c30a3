"""Calls through a channel: what a reference does when its callee is elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from weaver.proclet import paths
from weaver.proclet.channel import Channel
from weaver.proclet.outgoing import Answered
from weaver.proclet.streaming import items
from weaver.rpc.methods import MethodCodec


def remote(
    codec: MethodCodec, channel: Callable[[], Channel], loop: asyncio.AbstractEventLoop
) -> paths.Target:
    """The function that performs a call of one method over the channel it asks for each time."""
    encode = codec.arguments.encode
    decode = codec.result.decode

    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return decode(await channel().calls.call(codec, encode(args, kwargs)))
        except Answered as answered:
            raise answered.error from answered.error.__cause__

    async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            async with paths.Closing(
                items(channel().calls, codec, encode(args, kwargs))
            ) as encoded:
                async for item in encoded:
                    yield decode(item)
        except Answered as answered:
            raise answered.error from answered.error.__cause__

    def plain(*args: Any, **kwargs: Any) -> Any:
        return paths.run_from_thread(call(*args, **kwargs), loop)

    return {"async": call, "stream": stream, "plain": plain}[codec.method.kind]
