"""Untrusted bytes: 10^5 inputs, of which each gives a value or a CodecError, and nothing else."""

import contextlib
import dataclasses
import datetime
import random
import resource
import sys
import uuid
from collections import defaultdict, deque
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from weaver.errors import CodecError
from weaver.rpc.codec import ValueCodec, decode_exception, encode_exception

INPUTS: Final = 100_000
MEMORY: Final = 64 * 1024 * 1024
"""Bytes that may be allocated for all of them together."""


@dataclasses.dataclass
class Money:
    currency: str
    units: int


@dataclasses.dataclass
class Tree:
    name: str
    price: Money | None
    children: list["Tree"]
    by_key: dict[tuple[int, str], Money]
    either: Money | str | uuid.UUID | datetime.datetime


TREE = Tree(
    name="a",
    price=Money("x", 2**80),
    children=[Tree("b", None, [], {}, "s")],
    by_key={(1, "a"): Money("y", 1)},
    either=uuid.UUID(int=7),
)
SAMPLES: list[tuple[Any, Any]] = [
    (Tree, TREE),
    (list[Money], [Money("a", i) for i in range(5)]),
    (dict[str, list[int | str | None]], {"a": [1, "b", None]}),
    (deque[set[int]], deque([{1}, {2, 3}], maxlen=4)),
    (defaultdict[str, int], defaultdict(int, {"a": 1})),
    (tuple[complex, Literal["x", 3], bytes], (1j, "x", b"\x00")),
    (datetime.datetime, datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)),
]
GREEDY = [  # lengths far beyond the data, and depth
    b"\xdd\xff\xff\xff\xff",
    b"\xdb\x7f\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\x91" * 600,
]


@contextlib.contextmanager
def no_more_memory_than(size: int) -> Generator[None]:
    """Let this process allocate so many bytes meanwhile: more is a MemoryError, also in C."""
    if not sys.platform.startswith("linux"):
        yield
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + size, hard))
    try:
        with pytest.raises(MemoryError):
            bytes(2 * size)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def mutated(rng: random.Random, data: bytes) -> bytes:
    body = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        action = rng.randrange(4)
        at = rng.randrange(len(body) + 1)
        if action == 0 and body:
            body[at % len(body)] = rng.randrange(256)
        elif action == 1:
            del body[at:]
        elif action == 2:
            body[at:at] = rng.randbytes(rng.randint(1, 5))
        else:
            body[at:at] = rng.choice(GREEDY)
    return bytes(body)


@pytest.mark.timeout(60)
def test_any_bytes_give_a_value_or_a_codec_error() -> None:
    rng = random.Random(20260101)
    codecs = [(ValueCodec(a, "test"), ValueCodec(a, "test").encode(v)) for a, v in SAMPLES]
    refused = 0
    with no_more_memory_than(MEMORY):
        for i in range(INPUTS - INPUTS // 10):
            codec, sample = codecs[i % len(codecs)]
            data = rng.randbytes(rng.randint(0, 40)) if i % 5 == 0 else mutated(rng, sample)
            try:
                codec.decode(data)
            except CodecError:
                refused += 1
    assert refused > INPUTS // 3


@pytest.mark.timeout(60)
def test_any_bytes_give_an_exception_that_can_be_raised() -> None:
    rng = random.Random(20260102)
    error = OSError(2, "x")
    error.__cause__ = ValueError(Money("a", 1), {1, 2})
    sample = encode_exception(error)
    for _ in range(INPUTS // 10):
        assert isinstance(decode_exception(mutated(rng, sample)), Exception)
