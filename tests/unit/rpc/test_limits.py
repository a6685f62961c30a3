"""Limits that contradict each other are refused where they are set."""

from typing import Any

import pytest

from weaver.errors import UsageError
from weaver.rpc.limits import Limits, in_words


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"max_calls": 0}, "max_calls is 0"),
        ({"high_water": -1}, "high_water is -1"),
        ({"max_message": 2**32}, "max_message is 4294967296"),
        ({"chunk": 128 * 1024 + 1}, "the most is 131072"),
        ({"chunk": 31}, "the least is 32"),
        ({"max_message": 2000, "max_reassembly": 1999}, "less than one message of 2000"),
    ],
)
def test_impossible_limits_are_refused_by_name(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Limits(**values)


def test_the_extremes_are_possible() -> None:
    assert Limits(chunk=32, max_calls=1, max_message=1, max_reassembly=1).chunk == 32
    assert Limits(chunk=128 * 1024).chunk == 128 * 1024


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (100 << 20, "100 MiB")],
)
def test_sizes_are_told_in_the_largest_unit(size: int, words: str) -> None:
    assert in_words(size) == words
