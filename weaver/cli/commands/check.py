"""`weaver check`."""

import json
from collections.abc import Iterable

import click

from weaver.cli.errors import WRONG_USAGE, as_problem, exit_code_of, show_problems
from weaver.cli.target import config_option, json_option, target_argument
from weaver.errors import Problem, ProblemsError, WeaverError


@click.command("check")
@target_argument
@config_option
@json_option
def command(*, target: str | None, config: str | None, as_json: bool) -> int:
    """Report all definition and configuration errors of TARGET at once; run nothing.

    The exit code is 0 if there are none, else 2.
    """
    from weaver.application import check_target, load_target

    try:
        report = check_target(load_target(target, config=config))
    except WeaverError as error:
        if not as_json:
            raise
        problems = error.problems if isinstance(error, ProblemsError) else [as_problem(error)]
        click.echo(json.dumps({"problems": _plain(problems)}))
        return exit_code_of(error)
    if as_json:
        found = {
            "components": report.components,
            "methods": report.methods,
            "problems": _plain(report.problems),
            "notes": _plain(report.notes),
        }
        click.echo(json.dumps(found))
    else:
        show_problems(report.problems)
        show_problems(report.notes, label="note")
        counts = [
            _count(report.components, "component"),
            _count(report.methods, "method"),
            _count(len(report.problems), "problem"),
        ]
        click.echo(", ".join(counts))
    return WRONG_USAGE if report.problems else 0


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _plain(problems: Iterable[Problem]) -> list[dict[str, str]]:
    return [{"what": p.what, "where": p.where, "why": p.why, "fix": p.fix} for p in problems]
