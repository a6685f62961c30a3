"""Where plain methods run: worker threads, bounded in how many work at a time.

A worker that waits for another call (`weaver.wait`, a plain method of a remote component) gives its
place to somebody else while it waits; otherwise plain methods that call one another would use up
all places and wait for ever. Threads that only wait are bounded too, by `MOST_THREADS`.
"""

import asyncio
import collections
import contextlib
import contextvars
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

T = TypeVar("T")

MOST_THREADS: Final = 1_024
"""As many as calls may run per replica before `Overloaded`."""

_place = threading.local()


class Workers:
    """At most `places` plain methods at work; the rest wait their turn in order of arrival.

    Belongs to one event loop. `executor` serves as that loop's default executor, so that
    `asyncio.to_thread` never runs out of threads while plain methods wait for one another.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._loop = asyncio.get_running_loop()
        self.executor = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="weaver-worker")

    async def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a plain function in a worker thread with this context.

        Cancellation returns at once; the function itself runs to its end, as threads must. Its
        StopIteration becomes a RuntimeError, as that of a coroutine does.
        """
        await self._take()
        context = contextvars.copy_context()

        def work() -> T:
            _place.workers = self
            try:
                return context.run(function, *args, **kwargs)
            except StopIteration as error:  # futures refuse it: whoever awaits would wait for ever
                raise RuntimeError("the method raised StopIteration") from error
            finally:
                _place.workers = None
                self._from_thread(self._give)

        try:
            future = self.executor.submit(work)
        except RuntimeError:
            self._give()
            raise
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let threads end; functions that still run are not waited for."""
        self.executor.shutdown(wait=False, cancel_futures=True)

    async def _take(self) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn = self._loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give()
            raise

    def _give(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _from_thread(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # closed: nobody waits for a place any more
            self._loop.call_soon_threadsafe(callback)

    @contextlib.contextmanager
    def _lent(self) -> Generator[None]:
        self._from_thread(self._give)
        try:
            yield
        finally:
            # Taken without waiting: going a little over the bound beats a deadlock.
            self._from_thread(self._retake)

    def _retake(self) -> None:
        self._free -= 1


@contextlib.contextmanager
def waiting() -> Generator[None]:
    """Mark a blocking wait of this thread: its place as a worker serves others meanwhile."""
    workers: Workers | None = getattr(_place, "workers", None)
    if workers is None:
        yield
        return
    with workers._lent():  # noqa: SLF001 # one mechanism in one file
        yield
