"""Users of a deployed shop who never stop asking: what they were answered, and how long it took."""

import http.client
import itertools
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

SLOWEST = 40.0  # seconds for an answer
PAUSE = 0.1
USERS = 4


class Traffic:
    """Several users ask for a path at these addresses while it is open, `{}` being a number."""

    def __init__(self, addresses: Sequence[str], path: str = "/name/{}") -> None:
        self._began = time.monotonic()
        self.answered = 0
        self.slowest = 0.0
        self.failures: list[str] = []
        self.failed: list[float] = []
        """When what failed was asked for, by time.time()."""
        self._addresses = addresses
        self._path = path
        self._over = threading.Event()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(USERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(SLOWEST)

    def wait_for(self, more: int) -> None:
        """Wait until so many more have been answered."""
        wanted = self.answered + more
        deadline = time.monotonic() + SLOWEST
        while self.answered < wanted:
            assert time.monotonic() < deadline, f"nobody is answered: {self.failures[-3:]}"
            time.sleep(0.01)

    def _ask_on(self) -> None:
        while not self._over.wait(PAUSE):
            number = next(self._numbers)
            address = self._addresses[number % len(self._addresses)]
            began = time.monotonic()
            try:
                status, text = get(address, self._path.format(number))
            except OSError as error:
                status, text = 0, repr(error)
            took = time.monotonic() - began
            self.slowest = max(self.slowest, took)
            if status == 200:
                self.answered += 1
            else:
                at = began - self._began
                self.failed.append(time.time() - took)
                text = f"{address} {number} at {at:.1f} s: {status} {text} after {took:.1f} s"
                self.failures.append(text)


def get(address: str, path: str) -> tuple[int, str]:
    """The status and the page, over a connection of its own. Raises OSError."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=SLOWEST)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except http.client.HTTPException as error:
        raise OSError(repr(error)) from error
    finally:
        connection.close()
