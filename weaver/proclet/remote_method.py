"""One method of a component elsewhere: whom a call goes to, and what comes of it.

A call goes to a replica over the network, and again to another one as far as `retrying.py` allows.
Streaming calls do as much in `streaming.py`.
"""

import asyncio
import inspect
import random
import time
from collections.abc import Callable
from time import perf_counter
from typing import Any

from weaver.component.model import Method
from weaver.errors import DeadlineExceeded, RemoteCallError
from weaver.proclet import context, paths
from weaver.proclet.answer import Answer
from weaver.proclet.network import Network
from weaver.proclet.outgoing import Answered
from weaver.proclet.peer import Peer
from weaver.proclet.pool import NOBODY, Pool
from weaver.proclet.reference import Options
from weaver.proclet.retrying import Attempts
from weaver.routing import hash_key
from weaver.rpc.codec import ValueCodec, compile_result
from weaver.rpc.methods import MethodCodec

Key = Callable[[tuple[Any, ...], dict[str, Any]], int | None]


class RemoteMethod:
    """One method of a component elsewhere; `call` or `plain` performs a call."""

    def __init__(self, network: Network, codec: MethodCodec, options: Options) -> None:
        self._network = network
        self._pools = network.pools
        self.codec = codec
        self._options = options
        self._component = codec.component
        self.encode = codec.arguments.encode
        self._arguments = codec.arguments
        self._result = codec.result
        self.decode = codec.result.decode
        self.key = _key_of(codec.method, codec.label)

    def owned_elsewhere(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the key of a call belongs to another replica, which is known to be there."""
        pool = self._pools.get(self._component)
        if pool is None or not pool.peers or self.key is None:
            return False
        key = self.key(args, kwargs)
        owner = None if key is None else pool.route.assignment.owner(key)
        return owner is not None and owner != self._network.replica and pool.knows(owner)

    async def call(self, *args: Any, **kwargs: Any) -> Any:
        """Perform a call of an async method."""
        codec, body = self.codec, self._arguments.encode(args, kwargs)
        key = self.key(args, kwargs) if self.key is not None else None
        found = self._pools.get(self._component)
        if found is not None and key is None and found.only is not None:
            pool, peer = found, found.only
        else:
            pool, peer = self.now(key) or await self.later(key)
        attempts: Attempts | None = None
        while True:
            load, channel = peer.load, peer.channel
            load.in_flight += 1
            pool.budget.calls += 1
            answer: Answer[bytes] | None = None
            try:
                calls = peer.calls if channel is None else channel.calls
                answer = calls.begin(codec, body) or await calls.begin_later(codec, body)
                result = await answer
            except RemoteCallError as error:
                pause = self.judge(error, pool, peer, attempts := attempts or self.attempts(pool))
                if pause is None:
                    raise
            except Answered as answered:
                if answer is not None:
                    pool.succeeded(peer, answer.took)
                raise answered.error from answered.error.__cause__
            else:
                if load.answered(answer.took):
                    pool.compare(peer)
                return self._result.decode(result)
            finally:
                load.in_flight -= 1
                load.probing = False
            pool, peer = await self.elsewhere(key, attempts, pause)

    def plain(self, *args: Any, **kwargs: Any) -> Any:
        """Perform a call of a plain method, from a thread of its own."""
        body = self.encode(args, kwargs)
        key = self.key(args, kwargs) if self.key is not None else None
        loop = self._network.loop
        pool, peer = self.now(key) or paths.run_from_thread(self.later(key), loop)
        attempts: Attempts | None = None
        while True:
            peer.load.in_flight += 1
            pool.budget.calls += 1
            began = perf_counter()
            try:
                result = peer.leases.call(peer.endpoint.address, self.codec, body)
            except RemoteCallError as error:
                pause = self.judge(error, pool, peer, attempts := attempts or self.attempts(pool))
                if pause is None:
                    raise
            except Answered as answered:
                raise answered.error from answered.error.__cause__
            else:
                pool.succeeded(peer, perf_counter() - began)
                return self.decode(result)
            finally:
                peer.load.in_flight -= 1
                peer.load.probing = False
            elsewhere = self.elsewhere(key, attempts, pause)
            pool, peer = paths.run_from_thread(elsewhere, loop)

    # --- whom to call ---

    def now(self, key: int | None) -> tuple[Pool, Peer] | None:
        """Who takes a call at once; None: nobody yet."""
        pool = self._pools.get(self._component)
        if pool is None:
            return None
        peer = pool.choose(key, NOBODY)
        return (pool, peer) if peer is not None else None

    async def later(self, key: int | None, attempts: Attempts | None = None) -> tuple[Pool, Peer]:
        """Who takes a call, as soon as there is somebody. Raises Unreachable, in time."""
        network = self._network
        when = context.deadline.get()
        if self.codec.method.kind != "stream" or when == context.NEVER:
            when = min(when, network.loop.time() + network.timeout)
        return await network.wait(self.codec, key, attempts.tried if attempts else NOBODY, when)

    def attempts(self, pool: Pool) -> Attempts:
        """The failed attempts of a call, none so far."""
        return Attempts(self.codec.method, pool.budget, allowed=self._options.retry)

    @staticmethod
    def judge(error: RemoteCallError, pool: Pool, peer: Peer, attempts: Attempts) -> float | None:
        """Seconds until the next attempt, or None: there is none."""
        if error.executed == "maybe" or isinstance(error, DeadlineExceeded):
            pool.failed(peer)
        draw = random.random()  # noqa: S311 # no secret
        return attempts.again(error, peer.replica, time.monotonic(), draw)

    async def elsewhere(
        self, key: int | None, attempts: Attempts, pause: float
    ) -> tuple[Pool, Peer]:
        """Who takes the next attempt, after a pause in seconds."""
        await asyncio.sleep(pause)
        return await self.later(key, attempts)


def _key_of(method: Method, label: str) -> Key | None:
    """What finds the routing key among a call's arguments, or None for a method without one."""
    name = method.routed_by
    if name is None:
        return None
    signature = method.signature
    parameter = signature.parameters[name]
    codec: ValueCodec = compile_result(parameter.annotation, method=label)
    place = list(signature.parameters).index(name)
    positional = parameter.kind in (
        inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )  # fmt: skip

    def key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
        if name in kwargs and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
            value = kwargs[name]
        elif positional and len(args) > place:
            value = args[place]
        elif parameter.default is not inspect.Parameter.empty:
            value = parameter.default
        else:
            return None  # the call itself will say what is missing
        return hash_key(codec.encode(value))

    return key
