"""What the commands that act on a running deployment share: which one is meant, how it looks."""

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any, Final

import click

from weaver.cli import completing
from weaver.control.messages import LogRecord

if TYPE_CHECKING:
    from weaver.control.operator import Status

app_argument = click.argument(
    "app", metavar="[APP[@VERSION]]", required=False, shell_complete=completing.apps
)

_COLOURS: Final = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green")
_LEVEL_COLOURS: Final = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


def plain_record(record: LogRecord) -> dict[str, Any]:
    """A log record for `--json`: empty fields are left out."""
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(record)
    return {name: value for name, value in fields.items() if value != ""}


def print_record(record: LogRecord, *, as_json: bool, version: str = "") -> None:
    """One log record on stdout, as `record_text` has it."""
    click.echo(record_text(record, as_json=as_json, version=version))


def record_text(record: LogRecord, *, as_json: bool, version: str = "") -> str:
    """One log record: time, level, `version`, who, text, in colours; or one JSON object."""
    if as_json:
        return json.dumps(plain_record(record), ensure_ascii=False)
    clock = time.strftime("%H:%M:%S", time.localtime(record.time))
    who = record.replica or "weaver"
    part = record.component.rpartition(".")[2]
    name = f"{who}/{part}" if part else who
    level = click.style(f"{record.level[:1] or 'I'}", fg=_LEVEL_COLOURS.get(record.level))
    label = click.style(f"{name:<20}", fg=colour_of(name))
    named = click.style(f"{version} ", fg=colour_of(version)) if version else ""
    return f"{clock} {level} {named}{label} {record.message}"


def colour_of(name: str) -> str:
    """The same colour for the same name, today and tomorrow."""
    return _COLOURS[hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % len(_COLOURS)]


def ago(seconds: float) -> str:
    """`42s`, `7m`, `3h`, `5d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def plain_status(status: "Status") -> dict[str, Any]:
    """A deployment in the form of `weaver status --json`."""
    import msgspec

    from weaver.telemetry.histogram import quantile

    plain: dict[str, Any] = msgspec.to_builtins(status.report)
    if status.report.fault is None:
        del plain["fault"]
    for listener in plain["listeners"]:
        if listener["scheme"] == "http":
            del listener["scheme"]
    plain["methods"] = [
        {
            "caller": m.caller,
            "component": m.component,
            "method": m.method,
            "calls": m.calls,
            "rate": m.rate,
            "errors": m.errors,
            "p50_ms": quantile(m.histogram, 0.5) * 1000,
            "p99_ms": quantile(m.histogram, 0.99) * 1000,
            "remote": m.remote,
        }
        for m in status.methods
    ]
    return plain
