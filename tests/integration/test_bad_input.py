"""Bad input at call time: a message that names the place, the same under every runner."""

from collections.abc import Callable
from typing import Any

import pytest

import weaver
from weaver.errors import CodecError
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]
MIB = 1 << 20


@weaver.component
class Liar:
    async def number(self) -> int:
        answer: Any = "three"
        return answer  # type: ignore[no-any-return] # the lie is the test

    async def size(self, data: bytes) -> int:
        return len(data)

    async def depth(self, items: list[list[int]]) -> int:
        return len(items)

    async def give(self, count: int) -> bytes:
        return bytes(count)


async def test_a_result_that_does_not_match_its_annotation_is_named(weaver_app: MakeApp) -> None:
    async with weaver_app(Liar) as app:
        with pytest.raises(CodecError, match=r"Liar\.number.*result.*is `str`, expected `int`"):
            await app.get(Liar).number()


@pytest.mark.weaver_runners("rpc")
async def test_a_value_of_100_mib_is_refused_with_the_limit_and_the_connection_lives(
    weaver_app: MakeApp,
) -> None:
    async with weaver_app(Liar) as app:
        liar = app.get(Liar)
        with pytest.raises(weaver.WeaverError) as sent:
            await liar.size(bytes(100 * MIB))
        assert "max_message" in str(sent.value)
        with pytest.raises(weaver.WeaverError) as received:
            await liar.give(100 * MIB)
        assert "max_message" in str(received.value)
        assert await liar.size(b"abc") == 3


async def test_a_value_that_is_nested_too_deeply_is_refused(weaver_app: MakeApp) -> None:
    nested: Any = []
    for _ in range(50_000):
        nested = [nested]
    async with weaver_app(Liar) as app:
        with pytest.raises(CodecError, match="items"):
            await app.get(Liar).depth(nested)
        assert await app.get(Liar).depth([[1]]) == 1
    while nested:  # taken apart by hand: its own destructor would recurse
        nested = nested[0]
