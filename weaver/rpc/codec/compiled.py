"""The compiled codec of records, where it was built with this interpreter (docs/decisions/0012).

Nothing needs it. This file decides whether it may be used: only if it was built from the sources
that stand here now, which a library in a working copy need not be.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any, Protocol

DIGEST = "5055ef0102af9d6e"
"""Of the sources in `c`; hatch_build.py computes it, and tests/meta/test_native.py compares."""


class RecordCodec(Protocol):
    """Encodes and decodes values of one shape. What it refuses, by any exception, is not its own.

    Another way may still take it: a subclass in place of a record, a big integer, a set for a list.
    """

    def encode(self, value: Any, /) -> bytes:
        """The bytes of a value."""
        ...

    def decode(self, data: Any, /) -> Any:
        """The value of some bytes."""
        ...


MakeCodec = Callable[[Any, Callable[[Any], bytes], Callable[[Any], Any]], RecordCodec]
"""Of the description of a shape (`shapes.py`), and msgspec's two functions."""


@functools.cache
def record_codec() -> MakeCodec | None:
    """The class of compiled codecs, or None where there is none that fits."""
    try:
        library: Any = importlib.import_module("weaver.rpc.codec._records")
    except ImportError:  # not built, or for another system
        return None
    make: MakeCodec | None = library.RecordCodec if library.DIGEST == DIGEST else None
    return make
