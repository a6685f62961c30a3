"""What a manager must not forget: desired state, its epoch, and the log of what happened.

One SQLite database per deployment, written durably. Whoever opens it holds a lock on its directory,
so that there is one writer, and raises the epoch, so that an earlier writer is fenced off by the
envelopes. Observed state is not kept: envelopes are asked. Nothing in here is secret.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Final, Self

import msgspec

from weaver.control.operator import HistoryEvent
from weaver.errors import WeaverError
from weaver.manager.events import Event
from weaver.manager.state import Desired

KEPT: Final = 10_000
"""Events, and entries of the history, that are kept."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS single (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, epoch INTEGER NOT NULL,
    now REAL NOT NULL, event BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS history (number INTEGER PRIMARY KEY, entry BLOB NOT NULL);
"""

_encoder: Final = msgspec.json.Encoder()
_events: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)


class Journal:
    """The journal in a directory, which must exist; close it, or use it as a context manager.

    Every method raises WeaverError where the disk is full, the directory cannot be written or the
    file is damaged. Blocks for as long as the disk takes.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.sqlite3"
        self._lock = _lock(folder)
        try:
            self._database = self._open()
        except BaseException:
            os.close(self._lock)
            raise

    def raise_epoch(self, above: int = 0) -> int:
        """A number larger than `above` and than that of every manager before: the caller's."""
        with self._transaction():
            epoch = max(int(self._single("epoch") or b"0"), above) + 1
            self._keep("epoch", str(epoch).encode())
        return epoch

    def inherit(self, desired: Desired, epoch: int, rollout: bytes = b"") -> None:
        """Go on where a manager of this epoch stopped, unless this journal knows it better."""
        with self._transaction():
            if int(self._single("epoch") or b"0") < epoch:
                self._keep("epoch", str(epoch).encode())
                self._keep("desired", _encoder.encode(desired))
                self._keep("rollout", rollout)

    def desired(self) -> Desired | None:
        """What was saved last, or None."""
        with self._told():
            value = self._single("desired")
        try:
            return None if value is None else msgspec.json.decode(value, type=Desired)
        except msgspec.MsgspecError as error:
            raise self._damaged(str(error)) from error

    def save(self, desired: Desired) -> None:
        """Keep the desired state; it is on the disk when this returns."""
        with self._transaction():
            self._keep("desired", _encoder.encode(desired))

    def rollout(self) -> bytes:
        """The rollout that was saved last, or b""."""
        with self._told():
            return self._single("rollout") or b""

    def save_rollout(self, rollout: bytes) -> None:
        """Keep the state of a rollout; it is on the disk when this returns."""
        with self._transaction():
            self._keep("rollout", rollout)

    def append(
        self,
        epoch: int,
        events: Iterable[tuple[float, Event]] = (),
        history: Iterable[HistoryEvent] = (),
    ) -> None:
        """Add to the log of events, with their times, and to the history; old ones go."""
        rows = [(epoch, now, _encoder.encode(event)) for now, event in events]
        entries = [(_encoder.encode(entry),) for entry in history]
        with self._transaction() as database:
            database.executemany("INSERT INTO events (epoch, now, event) VALUES (?, ?, ?)", rows)
            database.executemany("INSERT INTO history (entry) VALUES (?)", entries)
            for table in ("events", "history"):
                database.execute(
                    f"DELETE FROM {table} WHERE number <= (SELECT MAX(number) FROM {table}) - ?",  # noqa: S608 # two literals
                    (KEPT,),
                )

    def events(self, epoch: int) -> list[tuple[float, Event]]:
        """The log of one manager: it replays to that manager's state."""
        query = "SELECT now, event FROM events WHERE epoch = ? ORDER BY number"
        with self._told():
            rows: list[tuple[float, bytes]] = self._database.execute(query, (epoch,)).fetchall()
        try:
            return [(now, _events.decode(event)) for now, event in rows]
        except msgspec.MsgspecError as error:
            raise self._damaged(str(error)) from error

    def history(self) -> list[HistoryEvent]:
        """What happened to the deployment, oldest first; what cannot be read is left out."""
        with self._told():
            rows: list[tuple[bytes]] = self._database.execute(
                "SELECT entry FROM history ORDER BY number"
            ).fetchall()
        found: list[HistoryEvent] = []
        for (entry,) in rows:
            with contextlib.suppress(msgspec.MsgspecError):
                found.append(msgspec.json.decode(entry, type=HistoryEvent))
        return found

    def close(self) -> None:
        """Release the directory for the next manager. Safe to call twice."""
        self._database.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _open(self) -> sqlite3.Connection:
        with self._told():
            # Before SQLite makes it with the permissions of the umask; its other files follow it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            database = sqlite3.connect(self.path, timeout=5.0, isolation_level=None)
        try:
            with self._told():
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                self._check(database)
                database.executescript(_SCHEMA)
        except BaseException:
            database.close()
            raise
        return database

    def _check(self, database: sqlite3.Connection) -> None:
        found = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            raise self._damaged(str(found[0]))

    def _single(self, name: str) -> bytes | None:
        query = "SELECT value FROM single WHERE name = ?"
        row: tuple[bytes] | None = self._database.execute(query, (name,)).fetchone()
        return None if row is None else row[0]

    def _keep(self, name: str, value: bytes) -> None:
        self._database.execute("INSERT OR REPLACE INTO single VALUES (?, ?)", (name, value))

    @contextlib.contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        with self._told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _told(self) -> Generator[None]:
        """Words for what can go wrong with a file."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._unusable(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error

    def _unusable(self, why: str) -> WeaverError:
        return WeaverError(
            "the journal of the deployment cannot be written",
            where=str(self.path),
            why=why,
            fix="free space, or correct the permissions of its directory",
        )

    def _damaged(self, why: str) -> WeaverError:
        return WeaverError(
            "the journal of the deployment is damaged",
            where=str(self.path),
            why=why,
            fix="move it away and deploy again; what runs on the hosts is asked of them",
        )


def _lock(folder: Path) -> int:
    """Hold the directory: one manager writes at a time. Released when the process ends."""
    path = folder / "journal.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise WeaverError(
            "the state directory of the deployment cannot be written",
            where=str(folder),
            why=error.strerror or str(error),
            fix="free space or correct its permissions, or name another place with XDG_STATE_HOME",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise WeaverError(
            "another manager is in charge of this deployment",
            where=str(folder),
            why=f"it holds {path.name}",
            fix="act on it with `weaver status`, `scale` or `stop`, or stop it first",
        ) from error
    return lock
