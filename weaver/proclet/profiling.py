"""Samples the stacks of all threads of this process, for `Profile` of the control protocol.

Decides how often to look, and how a stack is written: frames from the outermost to the innermost,
joined by semicolons, as flame graphs are made of.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

EVERY: Final = 0.01
"""Seconds between two looks: 1 % of one core with a hundred frames."""

LONGEST: Final = 60.0
DEEPEST: Final = 100

Stacks = dict[str, int]


class Profiler:
    """Looks at the threads from one of its own; one profile at a time."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, seconds: float, take: Callable[[Stacks], None]) -> bool:
        """Profile for this long and hand the result to `take`, in the profiler's thread.

        False if a profile is being made already.
        """
        if self._thread is not None and self._thread.is_alive():
            return False
        arguments = (min(max(seconds, 0.0), LONGEST), take)
        self._thread = threading.Thread(
            target=self._run, args=arguments, name="weaver-profile", daemon=True
        )
        self._thread.start()
        return True

    def close(self) -> None:
        """End a profile that is being made; `take` gets what there is."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _run(self, seconds: float, take: Callable[[Stacks], None]) -> None:
        stacks: Stacks = {}
        end = time.monotonic() + seconds
        own = threading.get_ident()
        while True:
            for ident, frame in sys._current_frames().items():  # noqa: SLF001 # the documented way
                if ident != own:
                    stack = _written(frame)
                    stacks[stack] = stacks.get(stack, 0) + 1
            left = end - time.monotonic()
            if left <= 0 or self._ended.wait(min(EVERY, left)):
                break
        take(stacks)


def _written(frame: FrameType | None) -> str:
    names: list[str] = []
    while frame is not None and len(names) < DEEPEST:
        code = frame.f_code
        names.append(f"{os.path.basename(code.co_filename)}:{code.co_qualname}")  # noqa: PTH119 # fast
        frame = frame.f_back
    return ";".join(reversed(names))
