"""Calls of an application that is spread over processes: which are local, and how others are made.

A component that is hosted here is called directly; a routed method goes to the owner of its key,
wherever that is; everything else goes to a replica over the network, and again to another one as
far as `retrying.py` allows.
"""

import asyncio
import inspect
import random
import time
from collections.abc import AsyncIterator, Callable
from time import perf_counter
from typing import Any

from weaver.component.model import Method
from weaver.errors import DeadlineExceeded, RemoteCallError
from weaver.proclet import context, paths
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


class DistributedPlacement:
    """The calls of one process of an application. With `strict_copies`, local ones copy values."""

    def __init__(self, network: Network, *, strict_copies: bool = False) -> None:
        self._network = network
        self._strict_copies = strict_copies

    def target(
        self,
        codec: MethodCodec,
        instance: Any,
        options: Options,
        leaves: Callable[[], None] = paths.uncounted,
    ) -> paths.Target:
        """The function that performs a call; `instance` is None for what is not hosted here."""
        remote = RemoteMethod(self._network, codec, options)
        if instance is None:
            return remote.target
        local: paths.Target = getattr(instance, codec.method.name)
        if self._strict_copies:
            local = paths.copying(codec.method, codec, local)
        if codec.method.routed_by is None:
            return local
        owned_elsewhere, elsewhere = remote.owned_elsewhere, remote.target

        def routed(*args: Any, **kwargs: Any) -> Any:
            if owned_elsewhere(args, kwargs):
                leaves()
                return elsewhere(*args, **kwargs)
            return local(*args, **kwargs)

        return routed

    async def aclose(self) -> None:
        """End the connections."""
        await self._network.aclose()


class RemoteMethod:
    """One method of a component elsewhere; `target` performs a call."""

    def __init__(self, network: Network, codec: MethodCodec, options: Options) -> None:
        self._network = network
        self._codec = codec
        self._options = options
        self._component = codec.component
        self._encode = codec.arguments.encode
        self._decode = codec.result.decode
        self._key = _key_of(codec.method, codec.label)
        kinds: dict[str, paths.Target] = {
            "async": self._call, "stream": self._stream, "plain": self._plain,
        }  # fmt: skip
        self.target = kinds[codec.method.kind]

    def owned_elsewhere(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the key of a call belongs to another replica, which is known to be there."""
        network = self._network
        pool = network.pools.get(self._component)
        if pool is None or not pool.peers or self._key is None:
            return False
        key = self._key(args, kwargs)
        owner = None if key is None else pool.route.assignment.owner(key)
        return owner is not None and owner != network.replica and pool.knows(owner)

    async def _call(self, *args: Any, **kwargs: Any) -> Any:
        codec, body = self._codec, self._encode(args, kwargs)
        key = self._key(args, kwargs) if self._key is not None else None
        found = self._network.pools.get(self._component)
        if found is not None and key is None and found.only is not None:
            pool, peer = found, found.only
        else:
            pool, peer = self._now(key) or await self._later(key)
        attempts: Attempts | None = None
        while True:
            load, channel = peer.load, peer.channel
            load.in_flight += 1
            pool.budget.calls += 1
            began = perf_counter()
            try:
                calls = peer.calls if channel is None else channel.calls
                answer = calls.begin(codec, body)
                if answer is None:  # the rare case, with a coroutine of its own
                    result = await calls.call(codec, body)
                else:
                    try:
                        result = await answer
                    except asyncio.CancelledError:
                        calls.cancel(answer)
                        raise
            except RemoteCallError as error:
                pause = self._judge(error, pool, peer, attempts := attempts or self._attempts(pool))
                if pause is None:
                    raise
            except Answered as answered:
                pool.succeeded(peer, perf_counter() - began)
                raise answered.error from answered.error.__cause__
            else:
                if load.answered(perf_counter() - began):
                    pool.compare(peer)
                return self._decode(result)
            finally:
                load.in_flight -= 1
                load.probing = False
            pool, peer = await self._elsewhere(key, attempts, pause)

    async def _stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        body = self._encode(args, kwargs)
        key = self._key(args, kwargs) if self._key is not None else None
        pool, peer = self._now(key) or await self._later(key)
        attempts: Attempts | None = None
        while True:
            begun = False
            peer.load.in_flight += 1
            pool.budget.calls += 1
            try:
                async with paths.Closing(peer.calls.stream(self._codec, body)) as items:
                    async for item in items:
                        begun = True
                        yield self._decode(item)
            except RemoteCallError as error:
                attempts = attempts or self._attempts(pool)
                pause = None if begun else self._judge(error, pool, peer, attempts)
                if pause is None:
                    raise
            except Answered as answered:
                raise answered.error from answered.error.__cause__
            else:
                return
            finally:
                peer.load.in_flight -= 1
                peer.load.probing = False
            pool, peer = await self._elsewhere(key, attempts, pause)

    def _plain(self, *args: Any, **kwargs: Any) -> Any:
        body = self._encode(args, kwargs)
        key = self._key(args, kwargs) if self._key is not None else None
        loop = self._network.loop
        pool, peer = self._now(key) or paths.run_from_thread(self._later(key), loop)
        attempts: Attempts | None = None
        while True:
            peer.load.in_flight += 1
            pool.budget.calls += 1
            began = perf_counter()
            try:
                result = peer.leases.call(peer.endpoint.address, self._codec, body)
            except RemoteCallError as error:
                pause = self._judge(error, pool, peer, attempts := attempts or self._attempts(pool))
                if pause is None:
                    raise
            except Answered as answered:
                raise answered.error from answered.error.__cause__
            else:
                pool.succeeded(peer, perf_counter() - began)
                return self._decode(result)
            finally:
                peer.load.in_flight -= 1
                peer.load.probing = False
            elsewhere = self._elsewhere(key, attempts, pause)
            pool, peer = paths.run_from_thread(elsewhere, loop)

    # --- whom to call ---

    def _now(self, key: int | None) -> tuple[Pool, Peer] | None:
        pool = self._network.pools.get(self._component)
        if pool is None:
            return None
        peer = pool.choose(key, NOBODY)
        return (pool, peer) if peer is not None else None

    async def _later(self, key: int | None, attempts: Attempts | None = None) -> tuple[Pool, Peer]:
        network = self._network
        when = context.deadline.get()
        if self._codec.method.kind != "stream" or when == context.NEVER:
            when = min(when, network.loop.time() + network.timeout)
        return await network.wait(self._codec, key, attempts.tried if attempts else NOBODY, when)

    def _attempts(self, pool: Pool) -> Attempts:
        return Attempts(self._codec.method, pool.budget, allowed=self._options.retry)

    @staticmethod
    def _judge(error: RemoteCallError, pool: Pool, peer: Peer, attempts: Attempts) -> float | None:
        """Seconds until the next attempt, or None: there is none."""
        if error.executed == "maybe" or isinstance(error, DeadlineExceeded):
            pool.failed(peer)
        draw = random.random()  # noqa: S311 # no secret
        return attempts.again(error, peer.replica, time.monotonic(), draw)

    async def _elsewhere(
        self, key: int | None, attempts: Attempts, pause: float
    ) -> tuple[Pool, Peer]:
        await asyncio.sleep(pause)
        return await self._later(key, attempts)


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
