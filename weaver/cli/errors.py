"""How every error looks on the terminal, and which exit code it means.

This file decides wording, colour and exit codes; it must not know what the commands do.
"""

import os
import sys
import traceback
from collections.abc import Iterable

import click

from weaver.errors import (
    ComponentError,
    ConfigError,
    DefinitionError,
    Problem,
    ProblemsError,
    UsageError,
    WeaverError,
)

FAILED = 1  # the application or the deployment failed
WRONG_USAGE = 2  # wrong usage, definition or configuration

_DEBUG_HINT = "run again with --debug for the traceback"


def show(error: Exception, *, debug: bool = False) -> int:
    """Write `error` to stderr in the one shape of all errors; return the exit code it means.

    The traceback is shown with `debug` only.
    """
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True)
    problems = [as_problem(error)] if not isinstance(error, ProblemsError) else error.problems
    show_problems(problems)
    if isinstance(error, ProblemsError) and len(error.problems) > 1:
        _write([("bold", error.what)])
    if not debug and _has_more_to_tell(error):
        _write([("dim", _DEBUG_HINT)])
    return exit_code_of(error)


def show_problems(problems: Iterable[Problem], label: str = "error") -> None:
    """Write problems to stderr, each as what, where, why and fix."""
    for problem in problems:
        lines = [
            ("bold red" if label == "error" else "bold yellow", f"{label}: "),
            ("bold", problem.what),
        ]
        for name in ("where", "why", "fix"):
            if text := getattr(problem, name):
                lines += [("dim", f"\n  {name + ':':<7}"), ("", text.replace("\n", "\n" + " " * 9))]
        _write(lines)


def as_problem(error: Exception) -> Problem:
    """The four parts of any exception."""
    if isinstance(error, WeaverError):
        why = error.why
        if not why and error.__cause__ is not None:
            cause = _describe(error.__cause__)
            why = "" if cause in error.what else cause
        return Problem(error.what, where=error.where, why=why, fix=error.fix)
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx is not None else "weaver"
        what = " ".join(error.format_message().split())  # choices are lines of their own
        return Problem(what.rstrip("."), fix=f"see: {path} --help")
    if isinstance(error, click.ClickException):
        return Problem(error.format_message())
    return Problem(_describe(error), where=_place(error))


def exit_code_of(error: Exception) -> int:
    """0 is for success; this is for the rest."""
    if isinstance(error, (ConfigError, DefinitionError, UsageError, click.UsageError)):
        return WRONG_USAGE
    return FAILED


def _has_more_to_tell(error: Exception) -> bool:
    if isinstance(error, ComponentError):
        return error.__cause__ is not None  # the user's own code failed
    if isinstance(error, WeaverError):
        return error.__cause__ is not None and not error.why
    return not isinstance(error, click.ClickException)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _write(parts: list[tuple[str, str]]) -> None:
    """One message of (style, text) parts, in colour if a person is looking and wants it."""
    plain = "".join(text for _, text in parts)
    wants_colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    if not (sys.stderr.isatty() and wants_colour):
        click.echo(plain, err=True)
        return
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble(*((part, style) for style, part in parts))
    Console(stderr=True, highlight=False).print(text, soft_wrap=True)
