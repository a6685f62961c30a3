"""`weaver check`."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from weaver.cli.errors import WRONG_USAGE, as_problem, exit_code_of, show_problems
from weaver.cli.target import config_option, json_option, target_argument
from weaver.errors import ConfigError, Problem, ProblemsError, WeaverError

if TYPE_CHECKING:
    from weaver.application.target import Target


@click.command("check")
@target_argument
@config_option
@json_option
def command(*, target: str | None, config: str | None, as_json: bool) -> int:
    """Report all definition and configuration errors of TARGET at once; run nothing.

    The exit code is 0 if there are none, else 2.
    """
    from weaver.application import check_target, load_target

    faults: list[Problem] = []
    try:
        found = load_target(target, config=config, faults=faults)
        report = check_target(found)
    except WeaverError as error:
        own = error.problems if isinstance(error, ProblemsError) else (as_problem(error),)
        both = [*faults, *(problem for problem in own if problem not in faults)]
        if as_json:
            click.echo(json.dumps({"problems": _plain(both)}))
            return exit_code_of(error)
        if len(both) == len(own):
            raise
        raise ConfigError(both) from error.__cause__
    problems = (*faults, *report.problems, *_host_problems(found))
    if as_json:
        counted = {
            "components": report.components,
            "methods": report.methods,
            "problems": _plain(problems),
            "notes": _plain(report.notes),
        }
        click.echo(json.dumps(counted))
    else:
        show_problems(problems)
        show_problems(report.notes, label="note")
        counts = [
            _count(report.components, "component"),
            _count(report.methods, "method"),
            _count(len(problems), "problem"),
        ]
        click.echo(", ".join(counts))
    return WRONG_USAGE if problems else 0


def _host_problems(target: "Target") -> tuple[Problem, ...]:
    """What is wrong with the hosts file that weaver.toml names, or with the hosts of its groups."""
    from weaver.cli.hosts import hosts_in_config
    from weaver.config.names import host_problems
    from weaver.manager.hosts import HostSpec, selectors

    try:
        hosts = hosts_in_config(target.config, target.project)
    except ProblemsError as error:
        return error.problems
    except WeaverError as error:
        return (as_problem(error),)
    if hosts is None:
        return ()
    specs = {host.name: HostSpec(groups=host.groups, labels=host.labels) for host in hosts}
    return tuple(host_problems(target.config, target.config.sources, selectors(specs)))


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _plain(problems: Iterable[Problem]) -> list[dict[str, str]]:
    return [{"what": p.what, "where": p.where, "why": p.why, "fix": p.fix} for p in problems]
