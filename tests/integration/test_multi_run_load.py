"""A steady load of GETs: of kills it feels what was in the killed replica, of scaling nothing."""

import contextlib
import functools
import http.client
import itertools
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import pytest
from multi_run_shop import PATIENCE, MultiRun, multi_run, project_for_session, until

from weaver.deployers.manager_client import ask_status
from weaver.packaging.freeze import in_virtual_environment

pytestmark = pytest.mark.skipif(
    not in_virtual_environment(), reason="wheels are taken from a virtual environment"
)

KILLS = 10
GROUPS = ("front", "names", "books")
NUMBERS = itertools.count()
"""Of all requests of this process: no two are the same, whatever the test."""


class Request(NamedTuple):
    """One GET; `answer` is what the page says, `error` how the connection failed.

    `alive` is when the request began that its connection answered before, or else `began`: its
    process lived then. Whoever is killed later takes the connection along, and the next request
    finds it closed; the answer may have been read when its process was dead already.
    """

    path: str
    alive: float
    began: float
    ended: float
    status: int = 0
    answer: str = ""
    error: Exception | None = None

    def was_under_way(self, kill: "Kill") -> bool:
        return self.alive <= kill.dead and self.ended >= kill.sent


class Kill(NamedTuple):
    """One SIGKILL: between `sent` and `dead` the process has ended."""

    group: str
    sent: float
    dead: float
    back: float


class Load:
    """Clients that ask for pages one after the other until they are stopped."""

    def __init__(self, shop: MultiRun) -> None:
        self._host, port = shop.address().rsplit(":", 1)
        self._port = int(port)
        self._stop = threading.Event()
        self.requests: list[Request] = []
        self._threads = [
            threading.Thread(target=self._fresh, args=("name",)),
            threading.Thread(target=self._fresh, args=("note",)),
            threading.Thread(target=self._kept, args=("name",)),
            threading.Thread(target=self._kept, args=("note",)),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _fresh(self, page: str) -> None:
        while not self._stop.is_set():
            with contextlib.closing(self._connection()) as connection:
                self._get(connection, page)

    def _kept(self, page: str) -> None:
        connection = self._connection()
        alive: float | None = None
        while not self._stop.is_set():
            alive = self._get(connection, page, alive)
            if alive is None:
                connection.close()  # and it connects anew
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=50)

    def _get(
        self, connection: http.client.HTTPConnection, page: str, alive: float | None = None
    ) -> float | None:
        """When it began, if it was answered; `alive`: when the one before on its connection did."""
        path = f"/{page}/{next(NUMBERS)}"
        began = time.monotonic()
        alive = began if alive is None else alive
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text, status = response.read().decode(), response.status
        except (OSError, http.client.HTTPException) as error:
            self.requests.append(Request(path, alive, began, time.monotonic(), error=error))
            return None
        ended = time.monotonic()
        self.requests.append(Request(path, alive, began, ended, status, text))
        return began


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notes") / "ledger"


@pytest.fixture(scope="module")
def shop(ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MultiRun]:
    replicas = {f"WEAVER__GROUPS__{name.upper()}__REPLICAS": "2" for name in GROUPS}
    project = project_for_session(tmp_path_factory)
    with multi_run(project, TILL_LEDGER=str(ledger), **replicas) as run:
        yield run.start().live()


def test_scaling_down_and_up_under_load_fails_no_request(shop: MultiRun) -> None:
    with Load(shop) as load:
        for count in (1, 2):
            scale(shop, count)
            settled = time.monotonic()
            until(functools.partial(_has_begun_after, load, settled))
    assert [request for request in load.requests if request.status != 200] == []
    assert len({request.answer for request in load.requests}) > 2


def scale(shop: MultiRun, count: int) -> None:
    """Have this many replicas of each group, and wait until the others have ended."""
    shop.ask("scale", "till", *(f"{group}={count}" for group in GROUPS))

    def is_done() -> bool:
        groups = {one.name: one.replicas for one in ask_status(shop.record()).report.groups}
        return all([one.state for one in groups[group]] == ["ready"] * count for group in GROUPS)

    until(is_done)


def _has_begun_after(load: Load, when: float) -> bool:
    return load.requests[-1].began > when


def test_ten_kills_under_load_fail_only_what_was_in_the_killed_replica(
    shop: MultiRun, ledger: Path
) -> None:
    kills: list[Kill] = []
    with Load(shop) as load:
        for number in range(KILLS):
            group = GROUPS[number % len(GROUPS)]
            kills.append(kill(shop, f"{group}-{1 + number // len(GROUPS) % 2}"))
        until(lambda: load.requests[-1].began > kills[-1].back)
    requests = load.requests
    noted = ledger.read_text().split()

    assert all(any(r.was_under_way(one) for r in requests) for one in kills)
    for request in requests:
        _judge(request, kills)
    # Whatever has failed, what is not idempotent was never executed twice.
    assert len(set(noted)) == len(noted)
    assert {r.answer for r in requests if r.path.startswith("/note") and r.status == 200} <= set(
        noted
    )
    for one in kills:
        lost = [r for r in requests if (r.error or r.status != 200) and r.was_under_way(one)]
        print(f"{one.group}: {len(lost)} lost, back after {(one.back - one.sent) * 1000:.0f} ms")
    print(f"{len(requests)} requests, {sum(r.status != 200 for r in requests)} lost")


def _judge(request: Request, kills: list[Kill]) -> None:
    if request.status == 200:
        return
    killed = {one.group for one in kills if request.was_under_way(one)}
    if request.error is not None:
        assert not isinstance(request.error, ConnectionRefusedError), request
        assert "front" in killed, request
    else:
        assert request.path.startswith("/note"), request
        assert "ConnectionLost" in request.answer, request
        assert "books" in killed, request


def kill(shop: MultiRun, name: str) -> Kill:
    """Kill a replica, and wait until its successor takes calls."""
    before = shop.replica(name)
    assert before is not None
    assert before.state == "ready"
    with os.fdopen(os.pidfd_open(before.pid)) as process:
        sent = time.monotonic()
        os.kill(before.pid, signal.SIGKILL)
        assert select.select([process], [], [], PATIENCE)[0]
        dead = time.monotonic()

    def is_back() -> bool:
        now = shop.replica(name)
        return now is not None and now.state == "ready" and now.pid not in {0, before.pid}

    until(is_back)
    return Kill(name.partition("-")[0], sent, dead, time.monotonic())
