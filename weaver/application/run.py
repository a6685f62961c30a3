"""Run an application in this process, from its first import to its exit code."""

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Any

from weaver.application.ending import AT_ONCE, end_tasks, end_threads
from weaver.application.interrupts import EXIT_INTERRUPTED, Interrupts
from weaver.application.target import Target, config_from
from weaver.component import registry
from weaver.component.graph import unknown_component
from weaver.deployers.in_process import InProcess
from weaver.errors import ComponentError, ConfigError, DefinitionError, UsageError, WeaverError
from weaver.proclet.definition import Definition, define
from weaver.proclet.log_level import wanted_level
from weaver.transport.event_loop import loop_factory

log = logging.getLogger("weaver")


def run(entry: type[Any], *, strict_copies: bool = False) -> None:
    """Run the application whose entry is this component, in this process; returns when it ended.

    Reads ./weaver.toml if there is one. The entry's `main` is run; its return, SIGTERM or Ctrl-C
    end the application in order. An error ends the process with exit code 1 (2 for a wrong
    definition or configuration) and a message; with WEAVER_DEBUG=1 it is raised instead.
    """
    try:
        if registry.declaration_of(entry) is None:
            problem = unknown_component(entry)
            raise UsageError(problem.what, why=problem.why, fix=problem.fix)
        config = config_from(None)
        for name, value in config.app.env.items():
            os.environ.setdefault(name, value)
        target = Target(entry, config, Path.cwd(), config.app.name or entry.__name__.lower())
        code = run_application(target, strict_copies=strict_copies)
    except WeaverError as error:
        if os.environ.get("WEAVER_DEBUG"):
            raise
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 # the command line of `python app.py`
        if isinstance(error, ComponentError):
            print("run again with WEAVER_DEBUG=1 for the traceback", file=sys.stderr)  # noqa: T201
        wrong = isinstance(error, (ConfigError, DefinitionError, UsageError))
        raise SystemExit(2 if wrong else 1) from None
    if code:
        raise SystemExit(code)


def run_target(target: Target, *, strict_copies: bool = False) -> int:
    """Run a loaded target until it ends; returns the exit code. Raises WeaverError."""
    return run_application(target, strict_copies=strict_copies)


def run_application(target: Target, *, strict_copies: bool) -> int:
    """Define and run; 0 when `main` returned or a stop was asked for, 130 for a second Ctrl-C."""
    _log_to_stderr()
    definition = define(target.roots)
    within: float = target.config.app.stop_timeout
    interrupts = Interrupts()
    interrupts.install()
    runner = asyncio.Runner(loop_factory=loop_factory())
    code = 1
    try:
        runner.run(_serve(definition, target, strict_copies, interrupts))
        code = 0
    except asyncio.CancelledError:
        code, within = EXIT_INTERRUPTED, AT_ONCE
    finally:
        end_threads(within, code)
        if runner.run(end_tasks(within)):
            runner.close()
        interrupts.remove()
    return code


async def _serve(
    definition: Definition, target: Target, strict_copies: bool, interrupts: Interrupts
) -> None:
    application = InProcess(
        definition,
        target.config,
        entry=target.entry_name,
        strict_copies=strict_copies,
        app=target.name,
        folder=target.project,
    )
    task = asyncio.current_task()
    assert task is not None
    stop_asked, at_once = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        stop_asked.set()
        application.request_stop()

    def end_at_once() -> None:
        at_once.set()
        task.cancel()

    interrupts.attach(stop, end_at_once)
    if not await _started(application, stop_asked, target.config.app.stop_timeout):
        return
    for listener, address in application.listeners.items():
        encrypted = target.config.listener(listener).tls is not None
        log.info("listener %s: %s", listener, _url(address, "https" if encrypted else "http"))
    try:
        await application.run_main()
    finally:
        if not at_once.is_set():
            await application.stop()


async def _started(application: InProcess, stop_asked: asyncio.Event, patience: float) -> bool:
    """Start it; False if it was told to stop before the start was complete."""
    starting = asyncio.ensure_future(application.start())
    asked = asyncio.ensure_future(stop_asked.wait())
    try:
        await asyncio.wait((starting, asked), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            log.info("stopping before the start was complete")
            starting.cancel()
            await asyncio.wait((starting,), timeout=patience)
            return False
        starting.result()
        return True
    finally:
        asked.cancel()
        starting.cancel()


def _url(address: str, scheme: str) -> str:
    return address if address.startswith("unix:") else f"{scheme}://{address}"


def _log_to_stderr() -> None:
    """Show the log from LOG_LEVEL up, unless the application has set up logging itself."""
    root = logging.getLogger()
    if not root.handlers:
        logging.basicConfig(
            stream=sys.stderr,
            format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
            datefmt="%H:%M:%S",
        )
        if root.level == logging.WARNING:  # nobody has set it
            root.setLevel(wanted_level())
