"""`weaver config`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weaver.cli.target import config_option, json_option, target_argument

if TYPE_CHECKING:
    from weaver.config.effective import Row


@click.command("config")
@target_argument
@config_option
@json_option
def command(*, target: str | None, config: str | None, as_json: bool) -> None:
    """Show the configuration of TARGET and where each value is set. Secrets are masked.

    Without a TARGET and without an entry in weaver.toml, sections of components are left out:
    what they may hold is known from the components only.
    """
    found = _rows(target, config)
    if as_json:
        click.echo(json.dumps([_plain(row) for row in found], indent=2))
        return
    lines = [("NAME", "VALUE", "FROM")]
    lines += [(row.path, _shown(row.value), row.provenance) for row in found]
    name, value = (max(len(line[column]) for line in lines) for column in (0, 1))
    for line in lines:
        click.echo(f"{line[0]:<{name}}  {line[1]:<{value}}  {line[2]}")


def _rows(target: str | None, config: str | None) -> Sequence["Row"]:
    from weaver.application.target import config_from, load_target
    from weaver.component.graph import build_graph
    from weaver.config.effective import rows

    if target is None:
        tables = config_from(Path(config) if config is not None else None)
        if not tables.app.entry:
            return rows(tables)
    loaded = load_target(target, config=config)
    graph, _problems = build_graph(loaded.roots)
    return rows(loaded.config, list(graph.components.values()))


def _plain(row: "Row") -> dict[str, Any]:
    return {
        "path": row.path,
        "value": row.value,
        "provenance": row.provenance,
        "secret": row.secret,
    }


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
