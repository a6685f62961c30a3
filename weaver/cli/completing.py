"""What a shell completes after a command: names of applications, groups, replicas and components.

Decides where those names come from. A shell shows no errors: where they cannot be had, there are
none.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from weaver.control.operator import GroupReport
    from weaver.deployers.registry import Record

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _quiet(found: Callable[[click.Context], Iterable[CompletionItem]]) -> Completer:
    def complete(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            return [item for item in found(ctx) if item.value.startswith(begun)]
        except Exception:  # noqa: BLE001 # said above
            return []

    return complete


def _apps(_ctx: click.Context) -> list[CompletionItem]:
    from weaver.deployers import registry

    return _by_name(r for r in registry.records() if not r.ended)


def _known_apps(_ctx: click.Context) -> list[CompletionItem]:
    from weaver.deployers import registry

    return _by_name(registry.records())


def _by_name(records: "Iterable[Record]") -> list[CompletionItem]:
    newest = {record.app: record for record in records}
    return [
        CompletionItem(name, help=f"version {record.version[:12]}")
        for name, record in sorted(newest.items())
    ]


def _report(ctx: click.Context) -> "tuple[GroupReport, ...]":
    """The groups of the application that is named so far, or else of the only one."""
    from weaver.deployers import registry
    from weaver.deployers.manager_client import ask_status

    app: Any = ctx.params.get("app")
    return ask_status(registry.current(app)).report.groups


def _groups(ctx: click.Context) -> list[CompletionItem]:
    return [CompletionItem(g.name, help=_short(g.components)) for g in _report(ctx)]


def _replicas(ctx: click.Context) -> list[CompletionItem]:
    return [
        CompletionItem(replica.id, help=f"{replica.state} on {replica.host}")
        for group in _report(ctx)
        for replica in group.replicas
    ]


def _components(ctx: click.Context) -> list[CompletionItem]:
    names = {name for group in _report(ctx) for name in group.components}
    return [CompletionItem(name.rpartition(".")[2], help=name) for name in sorted(names)]


def _scaled(ctx: click.Context) -> list[CompletionItem]:
    """Applications, as the first word; and groups with what is wanted of them now."""
    words: tuple[str, ...] = ctx.params.get("words") or ()
    named = [word for word in words if "=" not in word]
    ctx.params["app"] = named[0] if named else None
    try:
        groups = [CompletionItem(f"{g.name}={g.wanted}", help="now") for g in _report(ctx)]
    except Exception:  # noqa: BLE001 # of several applications, none is named yet
        groups = []
    return groups if words else [*_apps(ctx), *groups]


def _short(components: tuple[str, ...]) -> str:
    return ", ".join(name.rpartition(".")[2] for name in components)


apps = _quiet(_apps)
known_apps = _quiet(_known_apps)
groups = _quiet(_groups)
replicas = _quiet(_replicas)
components = _quiet(_components)
scaled = _quiet(_scaled)


def files(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Whatever files there are: the shell knows them."""
    return [CompletionItem(begun, type="file")]
