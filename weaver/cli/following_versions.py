"""A log, or events, of all versions that a rollout runs side by side, also of those to come.

Decides which deployments belong together, and when nothing more can come of any of them.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

import click

from weaver.cli.following import Asked, Entry, growing, tell_end
from weaver.cli.versions import short
from weaver.deployers import registry

if TYPE_CHECKING:
    from weaver.deployers.registry import Record

LOOKED: Final = 0.3
"""Seconds between two looks for a version that has begun."""

MOST_WAITING: Final = 1_000
"""Entries of one version that wait for the others' to be shown."""


def entries(record: "Record", request: Asked) -> "Generator[tuple[Record, Entry, bool]]":
    """What is said of each version, and whether there is another one, until all have ended.

    Versions are told on stderr as they begin and end. Raises Unreachable where the manager of one
    has gone for good.
    """
    versions = _Versions(record.app, request)
    versions.follow(record)
    while versions.begun():
        with contextlib.suppress(queue.Empty):
            one, entry = versions.waiting.get(timeout=LOOKED)
            if isinstance(entry, BaseException):
                raise entry
            if entry is None:
                versions.ended(one)
            else:
                yield one, entry, versions.several


class _Versions:
    """The versions that are followed, each by a thread: a manager answers one request at a time."""

    def __init__(self, app: str, request: Asked) -> None:
        self._app = app
        self._request = request
        self._next_look = 0.0
        self._known: dict[str, Record] = {}
        self._running: set[str] = set()
        self.waiting: queue.Queue[tuple[Record, Entry | BaseException | None]] = queue.Queue(
            MOST_WAITING
        )

    @property
    def several(self) -> bool:
        """Whether entries have to say of which version they are."""
        return len(self._known) > 1

    def begun(self) -> bool:
        """Follow those that have begun; False once all have ended."""
        if not self._running or time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOKED  # not for each line of a long log
            self._look()
        return bool(self._running)

    def _look(self) -> None:
        records = registry.records(self._app)
        managers = {each.pid for each in records if each.deployment in self._known}
        for other in records:
            if not other.ended and other.pid in managers and other.deployment not in self._known:
                text = f"{self._app} {short(other.version)} runs beside it: shown as well"
                click.echo(text, err=True)
                self.follow(other)

    def follow(self, record: "Record") -> None:
        """Read what a deployment says from now on."""
        self._known[record.deployment] = record
        self._running.add(record.deployment)
        threading.Thread(target=self._read, args=(record,), daemon=True).start()

    def ended(self, record: "Record") -> None:
        """Say how one ended."""
        self._running.discard(record.deployment)
        name = f"{record.app} {short(record.version)}" if self.several else record.app
        tell_end(record, name)

    def _read(self, record: "Record") -> None:
        try:
            for entry in growing(record, self._request):
                self.waiting.put((record, entry))
        except Exception as error:  # noqa: BLE001 - raised where the entries are asked for
            self.waiting.put((record, error))
        else:
            self.waiting.put((record, None))
