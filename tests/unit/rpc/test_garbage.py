"""What is left of a connection that nobody ends: garbage, which goes without a word."""

import gc
import sys
from typing import Any

import pytest

from weaver.frames import REQUEST, Fields
from weaver.rpc.reassembly import Partial


def test_a_body_of_which_a_part_has_come_is_garbage_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    body = Partial(REQUEST, 1, Fields(total=1 << 20), kept=True)
    body.announce(1 << 16)
    body.pour(bytes(1 << 16))
    circle: list[Any] = [body]
    circle.append(circle)
    del body, circle
    gc.collect()
    assert said == []  # Python 3.13 tells of a BytesIO that cannot be closed
