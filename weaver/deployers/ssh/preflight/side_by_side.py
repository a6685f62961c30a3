"""Do something for each of many hosts at the same time, and give up at once when told to."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    function: Callable[[Item], Result], items: Sequence[Item], *, at_once: int
) -> list[Result]:
    """The results in the order of the items; the first exception is raised when it is its turn.

    After an exception, or Ctrl-C, nothing more is begun, and what runs is not waited for.
    """
    pool = ThreadPoolExecutor(max(1, min(at_once, len(items))), "weaver-preflight")
    try:
        results = list(pool.map(function, items))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return results
