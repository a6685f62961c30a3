"""Follows a rollout until something is known of it: live on a terminal, else a line per change.

It only reads: a rollout goes on whether anybody follows it or not. A manager that makes way for
another one is followed to that one.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final, Self

import click

from weaver.cli import render_rollout
from weaver.cli.succession import ManagerGone, Say, answers, is_over, on_stderr, still
from weaver.control.rollout import ENDED, GetRollout, RolloutReport
from weaver.deployers import registry
from weaver.deployers.manager_client import ask
from weaver.errors import Unreachable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from weaver.deployers.registry import Record

PER_SECOND: Final = 4

Until = Callable[[RolloutReport], bool]


def rollout_of(record: "Record") -> RolloutReport:
    """The rollout that a deployment takes part in, as it is now. Raises WeaverError."""
    for answer in ask(record, GetRollout()):
        if isinstance(answer, RolloutReport):
            return answer
    raise Unreachable(f"the manager of {record.app} does not tell of its rollout")


def follow(
    record: "Record",
    until: Until,
    *,
    as_json: bool = False,
    hint: str = "",
    transient: bool = False,
    quiet: bool = False,
) -> RolloutReport:
    """Show the rollout until `until` holds of a report, or it has ended; that report.

    `transient`: nothing stays on the terminal; `quiet`: nothing is shown elsewhere. Raises
    Unreachable where nobody manages it any more: ManagerGone where it waits for a manager.
    """
    last: RolloutReport | None = None
    with _Screen(as_json=as_json, hint=hint, transient=transient, quiet=quiet) as screen:
        try:
            with contextlib.closing(reports(record, screen.say)) as found:
                for report in found:
                    last = report
                    screen.show(report)
                    if until(report) or report.phase in ENDED:
                        return report
        except ManagerGone as error:
            raise _waits(error, last) from error
    raise Unreachable(
        f"{record.app} has ended, and its rollout with it",
        why=f"{last.app}: {render_rollout.standing(last)}" if last is not None else "",
        fix=f"see: weaver history {record.app}",
    )


def reports(record: "Record", say: Say = on_stderr) -> Generator[RolloutReport]:
    """Every report from now on, until all versions have ended.

    Raises ManagerGone where nobody manages it any more.
    """
    found = answers(record, GetRollout(follow=True), to=_whoever_knows, say=say)
    with contextlib.closing(found):
        for answer in found:
            if isinstance(answer, RolloutReport):
                yield answer


def _whoever_knows(record: "Record") -> "Record | None":
    """The deployment as it is now; or, where it has ended, the other version of its rollout."""
    if (latest := still(record)) is not None:
        return latest
    others = [r for r in registry.records(record.app) if not is_over(r) and not r.foreground]
    return others[-1] if others else None


def _waits(error: ManagerGone, last: RolloutReport | None) -> ManagerGone:
    """That nobody manages it, with where it waits."""
    if last is None:
        return error
    where = render_rollout.standing(last)
    return ManagerGone(
        error.what,
        where=error.where,
        why=f"{error.why};\nthe rollout waits where it was: {where}",
        fix=error.fix,
    )


class _Screen:
    """Where reports are shown; use it as a context manager."""

    def __init__(self, *, as_json: bool, hint: str, transient: bool, quiet: bool) -> None:
        self._transient = transient
        self._quiet = quiet
        self._as_json = as_json
        self._hint = hint
        self._last: RolloutReport | None = None
        self._live: Live | None = None
        self._waits = False

    def __enter__(self) -> Self:
        if not self._as_json and sys.stdout.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                get_renderable=self._render,
                console=Console(highlight=False),
                refresh_per_second=PER_SECOND,
                transient=self._transient,
            )
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._hint = ""  # what could be done then can be done no more
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Say what is no report, above the live display; until the next one, nobody manages it."""
        self._waits = True
        if self._live is not None:
            self._live.console.print(text, style="yellow", markup=False, soft_wrap=True)
        else:
            on_stderr(text)

    def show(self, report: RolloutReport) -> None:
        """Show this from now on."""
        before, self._last = self._last, report
        self._waits = False
        if self._quiet:
            return  # but for the live display, which looks itself
        if self._as_json:
            if before != report:
                text = json.dumps(render_rollout.plain(report), ensure_ascii=False)
                click.echo(text)
                sys.stdout.flush()
        elif self._live is None and render_rollout.changed(before, report):
            click.echo(render_rollout.line(report, time.time()))
            sys.stdout.flush()

    def _render(self) -> "RenderableType":
        if self._last is None:
            return ""
        if not self._waits:
            return render_rollout.screen(self._last, time.time(), self._hint)
        from msgspec.structs import replace

        waiting = replace(self._last, next_at=0.0)  # nobody acts when that has passed
        return render_rollout.screen(waiting, time.time(), "it waits for a manager")
