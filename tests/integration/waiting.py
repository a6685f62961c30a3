"""Waits for what tells nobody that it has happened: by looking, which leaves the machine to it."""

import time
from collections.abc import Callable
from typing import Final

OFTEN: Final = 0.02
"""Seconds between two looks."""
SELDOM: Final = 0.1
"""The same at most, where looking takes time itself: all processes of the machine, say."""


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Look until it is so. Fails after these seconds."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        assert now < deadline, "it did not happen in time"
        time.sleep(min(max(OFTEN, 5 * (now - began)), SELDOM))
