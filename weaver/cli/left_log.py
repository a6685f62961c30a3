"""The log that a deployment has left which is over: which one is meant, and what is said of it.

Decides when `weaver logs` reads files instead of asking a manager.
"""

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import click

from weaver.cli.render_history import result_of
from weaver.cli.versions import short
from weaver.deployers import left_logs, registry
from weaver.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from weaver.control.messages import LogRecord
    from weaver.control.operator import LogFilter
    from weaver.deployers.registry import Record


def over(app: str | None) -> "Record | None":
    """The newest deployment of this name that is over, where none runs that could be meant.

    Without a name, of the only application that has left a log. Raises UsageError for an
    application that is not known, or has left none.
    """
    name, _, version = (app or "").partition("@")
    known = registry.records(name or None)
    if any(not each.ended and _is_called(each, version) for each in known):
        return None
    found = [each for each in known if _is_called(each, version) and each.result != "fenced"]
    kept = [each for each in found if left_logs.is_kept(registry.log_folder(each))]
    if not name:
        return _only(kept)
    if kept:
        return kept[-1]
    if found:
        raise _left_none(found[-1])
    if known and version and not any(_is_called(each, version) for each in known):
        versions = dict.fromkeys(f"{short(each.version)} ({each.deployment})" for each in known)
        raise UsageError(
            f"no version {version} of {name} was deployed here",
            why=f"known: {', '.join(versions)}",
            fix=f"see: weaver history {name}",
        )
    if not known:
        _refuse_misspelled(name)
    return None  # whoever looks for one that runs, says why there is none


def records(record: "Record", wanted: "LogFilter") -> "Sequence[LogRecord]":
    """What a deployment has left that passes the filter, the oldest first.

    Says on stderr where no line at all is of the component or replica that is wanted.
    """
    from weaver.control.operator import admits

    kept = list(left_logs.read(registry.log_folder(record)))
    _tell_absent("component", wanted.component, {name for r in kept for name in _names(r)})
    _tell_absent("replica", wanted.replica, {n for r in kept for n in (r.replica, r.group)})
    found = [r for r in kept if admits(wanted, r)]
    return found[max(len(found) - wanted.tail, 0) :] if wanted.tail >= 0 else found


def tell(record: "Record") -> None:
    """Say on stderr that it is over, since when, and how it ended."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.ended))
    named = f"{record.app} {short(record.version)} (deployment {record.deployment})"
    ended = f"{named} ended at {when}" if record.ended else named
    click.echo(f"{ended}: {result_of(record, [record])}", err=True)


def named_in(text: str, app: str, version: str) -> str:
    """A message that tells of which version `weaver logs` is worth reading."""
    return text.replace("`weaver logs`", f"`{asking(app, version)}`")


def asking(app: str, version: str) -> str:
    """The command that shows the log of a version, or of an application where none is known."""
    return f"weaver logs {app}@{short(version)}" if version else f"weaver logs {app}"


def _names(record: "LogRecord") -> tuple[str, str]:
    return record.component, record.component.rpartition(".")[2]


def _tell_absent(kind: str, name: str, known: set[str]) -> None:
    if name and name not in known:
        near = did_you_mean(name, known - {""})
        click.echo(f'no line is of a {kind} "{name}"' + (f": {near}" if near else ""), err=True)


def _is_called(record: "Record", version: str) -> bool:
    return record.version.startswith(version) or record.deployment == version


def _only(kept: "Collection[Record]") -> "Record | None":
    """The newest of them, if they are of one application; others have to be named."""
    names = sorted({each.app for each in kept})
    if len(names) > 1:
        raise UsageError(
            "no application runs here",
            why=f"these have left a log: {', '.join(names)}",
            fix="name one of them",
        )
    return list(kept)[-1] if kept else None


def _left_none(record: "Record") -> UsageError:
    named = f"{record.app} {short(record.version)}"
    if record.foreground:
        return UsageError(
            f"{named} has ended, and its log is not kept",
            where=f"deployment {record.deployment}",
            why="it ran in the foreground, and its log was shown there",
            fix="`weaver deploy` keeps the log",
        )
    return UsageError(
        f"{named} has ended, and no log of it is kept",
        where=f"deployment {record.deployment}",
        why="it has logged nothing, or was followed by too many: the log is kept of the last "
        f"{registry.LOGS_KEPT} that have ended",
        fix=f"see what became of it: weaver history {record.app}",
    )


def _refuse_misspelled(name: str) -> None:
    """Raise UsageError where a name is like that of an application that was deployed here."""
    names = {each.app for each in registry.records()}
    near = did_you_mean(name, names)
    if near.startswith("did you mean"):
        raise UsageError(f'no application called "{name}" was ever deployed here', fix=near)
