"""Calls that stay in this process: the callee's bound method, and nothing else."""

from collections.abc import Callable
from typing import Any

from weaver.proclet import paths
from weaver.proclet.reference import Options
from weaver.rpc.methods import MethodCodec


class LocalPlacement:
    """Every component is here. With `strict_copies`, values are copied as a codec would."""

    def __init__(self, *, strict_copies: bool = False) -> None:
        self._strict_copies = strict_copies

    def target(
        self,
        codec: MethodCodec,
        instance: Any,
        options: Options,
        leaves: Callable[[], None] = paths.uncounted,
    ) -> paths.Target:
        """The bound method, or one that copies; retries do not exist without a network."""
        del options, leaves
        bound: paths.Target = getattr(instance, codec.method.name)
        return paths.copying(codec.method, codec, bound) if self._strict_copies else bound

    async def aclose(self) -> None:
        """Nothing to close."""
