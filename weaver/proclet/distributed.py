"""Calls of an application that is spread over processes: which are local, and how others are made.

A component that is hosted here is called directly; a routed method goes to the owner of its key,
wherever that is; everything else goes to a replica over the network, and again to another one as
far as `retrying.py` allows.
"""

from collections.abc import Callable
from typing import Any

from weaver.proclet import paths
from weaver.proclet.network import Network
from weaver.proclet.reference import Options
from weaver.proclet.remote_method import RemoteMethod
from weaver.proclet.streaming import streamed
from weaver.rpc.methods import MethodCodec


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
        away = _target(remote)
        if instance is None:
            return away
        local: paths.Target = getattr(instance, codec.method.name)
        if self._strict_copies:
            local = paths.copying(codec.method, codec, local)
        if codec.method.routed_by is None:
            return local
        owned_elsewhere = remote.owned_elsewhere

        def routed(*args: Any, **kwargs: Any) -> Any:
            if owned_elsewhere(args, kwargs):
                leaves()
                return away(*args, **kwargs)
            return local(*args, **kwargs)

        return routed

    async def aclose(self) -> None:
        """End the connections."""
        await self._network.aclose()


def _target(remote: RemoteMethod) -> paths.Target:
    kind = remote.codec.method.kind
    if kind == "stream":
        return streamed(remote)
    return remote.call if kind == "async" else remote.plain
