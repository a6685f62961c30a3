"""A log, or events, as they grow: from one manager to the next, until the deployment is over.

Decides what of a next manager's answers has been shown already. That it is over is no failure.
"""

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

import click
from msgspec.structs import replace

from weaver.cli import succession
from weaver.cli.render_history import result_of
from weaver.control.messages import LogRecord
from weaver.control.operator import GetEvents, GetLogs, History, HistoryEvent, Records
from weaver.deployers import registry
from weaver.deployers.manager_client import ask
from weaver.errors import Unreachable

if TYPE_CHECKING:
    from weaver.control.operator import Answer
    from weaver.deployers.registry import Record

MOST: Final = 20_000
"""Entries that are remembered as shown: a manager keeps half as many."""

_Key = tuple[float, str, str]

Entry = LogRecord | HistoryEvent
Asked = GetLogs | GetEvents


def entries(record: "Record", request: Asked) -> Generator[Entry]:
    """What one manager answers; with `follow` also what comes, until the deployment is over.

    How it ended is said then. Another manager may take over meanwhile: each entry comes once.
    Raises Unreachable where there is none, or it gives no answer.
    """
    if request.follow:
        yield from growing(record, request)
        tell_end(record, record.app)
        return
    for answer in ask(record, request):
        yield from _of(answer)


def growing(record: "Record", request: Asked) -> Generator[Entry]:
    """What there is and what comes, until the deployment is over. Raises as `entries` does."""
    if record.foreground:  # it ends with its manager, which nobody can take over from
        yield from _to_the_end(record, request)
    else:
        yield from _over_managers(record, request)


def tell_end(record: "Record", name: str) -> None:
    """Say on stderr how a deployment ended, if it is over."""
    latest = registry.latest(record)
    if succession.is_over(latest):
        click.echo(f"{name}: {result_of(latest, [latest])}", err=True)


def _to_the_end(record: "Record", request: Asked) -> Generator[Entry]:
    try:
        for answer in ask(record, request, timeout=None):
            yield from _of(answer)
    except Unreachable:
        if not registry.latest(record).ended:
            raise


def _over_managers(record: "Record", request: Asked) -> Generator[Entry]:
    shown = _Shown(request)
    for answer in succession.answers(record, request, again=shown.missing):
        yield from shown.new(_of(answer))


def _of(answer: "Answer") -> tuple[Entry, ...]:
    match answer:
        case Records(records):
            return records
        case History(events):
            return events
        case _:
            return ()


class _Shown:
    """What has been shown of an answer that goes on under another manager."""

    def __init__(self, request: Asked) -> None:
        self._request = request
        self._since = time.time()
        self._shown: dict[_Key, int] = {}
        self._repeated: dict[_Key, int] = {}

    def new(self, found: tuple[Entry, ...]) -> list[Entry]:
        """Those that are not told once more by the next manager; they count as shown now."""
        left: list[Entry] = []
        for entry in found:
            key = _key(entry)
            if self._repeated.get(key, 0):
                self._repeated[key] -= 1
            else:
                left.append(entry)
                self._shown[key] = self._shown.get(key, 0) + 1
                self._since = min(self._since, entry.time)
        while len(self._shown) > MOST:
            del self._shown[next(iter(self._shown))]
        return left

    def missing(self) -> Asked:
        """What the next manager is asked: it has all, and nobody wants what `tail` left out."""
        self._repeated = dict(self._shown)
        request = self._request
        if isinstance(request, GetEvents) or request.filter.tail < 0:
            return request
        since = max(request.filter.since, self._since)
        return replace(request, filter=replace(request.filter, tail=-1, since=since))


def _key(entry: Entry) -> _Key:
    text = entry.message if isinstance(entry, LogRecord) else f"{entry.kind} {entry.text}"
    return entry.time, entry.replica, text
