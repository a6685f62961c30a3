"""A deployment in the foreground: progress, listeners, the log, and Ctrl-C."""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import click

from weaver.application.interrupts import EXIT_INTERRUPTED
from weaver.cli.deployment import record_text
from weaver.cli.errors import FAILED
from weaver.cli.terminal import Terminal
from weaver.control.faults import error_of
from weaver.control.messages import LogRecord
from weaver.deployers.control_loop import ControlLoop
from weaver.errors import WeaverError

LAST_WORDS: Final = 2.0
"""Seconds for what is still to be read at the end."""


def run_foreground(config: Path | None, *, strict_copies: bool, as_json: bool) -> int:
    """Build, install, and run until the application ends; the exit code.

    Raises WeaverError for what fails, with the reason.
    """
    from weaver.deployers.estate import Estate
    from weaver.deployers.launch import envelope_command, spec_of
    from weaver.deployers.multiprocess import Multiprocess
    from weaver.deployers.session import manage
    from weaver.manager.state import Desired
    from weaver.packaging.build import build
    from weaver.packaging.installed import install

    say = _Progress(quiet=as_json)
    built = build(config, progress=say)
    python = install(built.path)
    spec = spec_of(built.manifest, built.build_id, foreground=True, strict_copies=strict_copies)
    run = _Run(as_json=as_json)

    async def go() -> int:
        with run.hearing():
            outcome = await manage(
                Estate(spec=spec, desired=Desired(), epoch=0, revision=built.manifest.revision),
                lambda sockets: Multiprocess(envelope_command(python), sockets),
                watch=run.watch,
                prepared=run.prepare,
            )
            run.print_rest()
            if outcome.result == "stopped" and not run.asked:
                run.say(f"{built.manifest.app} was stopped by another command")
        if outcome.result in {"failed", "fenced"} and outcome.fault is not None:
            from weaver.cli.local_deploy import folder_of
            from weaver.cli.source_lines import of_project

            with of_project(python.parents[2], folder_of(config)):
                raise error_of(outcome.fault)
        return run.exit_code

    return asyncio.run(go())


class _Progress:
    """Says on stderr what a build is doing."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __call__(self, text: str) -> None:
        if not self._quiet:
            click.echo(click.style(text, dim=True), err=True)


class _Run:
    """What a person at the terminal sees of a deployment, and does to it."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._coloured = sys.stdout.isatty()
        self._began = time.monotonic()
        self._loop: ControlLoop | None = None
        self._terminal: Terminal | None = None
        self._kept = contextlib.ExitStack()
        self._unread = False
        self.asked = 0

    @property
    def exit_code(self) -> int:
        """Of a run that has not failed: whether whoever watched wanted its end in order."""
        return EXIT_INTERRUPTED if self.asked > 1 else FAILED if self._unread else 0

    def prepare(self, loop: ControlLoop) -> None:
        """Before anything starts: the first Ctrl-C ends in order, the next one at once."""
        self._loop = loop
        self._records = self._kept.enter_context(loop.logs.follow())
        running = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            running.add_signal_handler(number, self._stop, number.name)

    def _stop(self, name: str) -> None:
        assert self._loop is not None
        self.asked += 1
        if not self._as_json:
            hint = "stopping; press Ctrl-C again to end at once"
            click.echo(f"{name}: {hint if self.asked == 1 else 'ending at once'}", err=True)
        self._loop.request_stop(at_once=self.asked > 1)

    @contextlib.contextmanager
    def hearing(self) -> Generator[None]:
        """Print until this ends; what the manager warns of, among the lines of the log."""
        running = asyncio.get_running_loop()

        def unread() -> None:
            with contextlib.suppress(RuntimeError):  # the run is over already
                running.call_soon_threadsafe(self._nobody_reads)

        self._terminal = Terminal(sys.stdout.fileno(), unread, self._line)
        handler = _Warnings(self._warned)
        logger = logging.getLogger("weaver")
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            self._terminal.close(LAST_WORDS)

    def _nobody_reads(self) -> None:
        """Whoever has read the log has gone, as `head` does: the run ends in order."""
        self._unread = True
        if self._loop is not None:
            self._loop.request_stop()

    def _print(self, record: LogRecord) -> None:
        self._put(record_text(record, as_json=self._as_json))

    def _put(self, text: str) -> None:
        assert self._terminal is not None
        self._terminal.put(text if self._coloured else click.unstyle(text))

    def _warned(self, record: LogRecord) -> None:
        fault = self._loop.state.fault if self._loop is not None else None
        if fault is None or fault.what not in record.message:  # else the end of the run says it
            self._print(record)

    async def watch(self, loop: ControlLoop) -> None:
        """Print the log as it comes, and where the listeners are once it is live."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._logs())
            tasks.create_task(self._announce(loop))

    async def _logs(self) -> None:
        while True:
            for record in await self._records.take():
                self._print(record)

    async def _announce(self, loop: ControlLoop) -> None:
        try:
            await loop.wait_live()
        except WeaverError:
            return  # the end of the run says it
        report = loop.status().report
        seconds = time.monotonic() - self._began
        replicas = sum(len(group.replicas) for group in report.groups)
        self.say(
            f"{report.app} {report.version[:12]} is live: {replicas} replicas of "
            f"{len(report.groups)} groups after {seconds:.1f} s"
        )
        for listener in report.listeners:
            self.say(f"listener {listener.name}: {listener.url}")
        self.say(f"see also: weaver status {report.app} · weaver logs -f {report.app}")

    def say(self, text: str) -> None:
        """A line among those of the log: with --json, a record of weaver's own."""
        self._put(self._line(text))

    def _line(self, text: str) -> str:
        if not self._as_json:
            return text
        return record_text(LogRecord(time.time(), "INFO", text, logger="weaver"), as_json=True)

    def print_rest(self) -> None:
        """Print records that came after the last look."""
        for record in self._records.rest():
            self._print(record)


class _Warnings(logging.Handler):
    """Hands what is logged in this process to `take`, in the form of the application's log."""

    def __init__(self, take: Callable[[LogRecord], None]) -> None:
        super().__init__(logging.WARNING)
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        text = self.format(record)
        self._take(LogRecord(record.created, record.levelname, text, logger=record.name))
