"""How a refused value could be written instead: the fix of an error about its type.

Decides what is shown as an example. It must not know where the value stands, nor show any part of
one that may be secret.
"""

import datetime as dt
import ipaddress
import pathlib
from collections.abc import Iterator
from typing import Any, Final

from weaver.config import units, words
from weaver.config.leaf import Hook, Mismatch, convert_leaf, options, show
from weaver.config.locate import Path
from weaver.config.records import element_of, members, strip
from weaver.config.sources import table_name

_EXAMPLES: Final[dict[Any, str]] = {
    units.Duration: '"30s"',
    units.Size: '"64MiB"',
    units.Percent: '"5%"',
    words.Name: '"shop"',
    words.Target: '"shop.web:Web"',
    words.Address: '"127.0.0.1:8080"',
    words.ManagerLost: '"continue"',
    str: '"text"',
    int: "10",
    float: "0.5",
    bool: "true",
    bytes: '"aGVsbG8="',
    pathlib.Path: '"folder/file"',
    dt.datetime: "2026-01-31T12:00:00Z",
    dt.date: "2026-01-31",
    dt.time: "12:00:00",
    dt.timedelta: '"30s"',
    ipaddress.IPv4Address: '"127.0.0.1"',
    ipaddress.IPv6Address: '"::1"',
    ipaddress.IPv4Network: '"10.0.0.0/8"',
    ipaddress.IPv6Network: '"fd00::/8"',
}


def remedy(value: object, type_: Any, reason: str, path: Path, hook: Hook | None) -> str:
    """What to do about a `value` at `path` that is none of `type_`, which `reason` says."""
    meant = _as_meant(value, type_, hook)
    if meant:
        return meant
    if reason == "expected a table":
        return f"write {table_name(path)} and its keys in the lines below"
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    for example in _examples(type_, hook):
        written = f"[{example}]" if path[-1:] != (key,) else example
        return f"write it as {key} = {written}"
    return _as_said(reason)


def remedy_of_variable(name: str, type_: Any, reason: str, hook: Hook | None) -> str:
    """The same for a value that an environment variable has given; nothing of it is shown."""
    for example in _examples(type_, hook):
        bare = example.strip('"')
        return f"set {name}={bare}"
    return _as_said(reason)


def _as_said(reason: str) -> str:
    found = reason.startswith("expected ")
    return "write " + reason.removeprefix("expected ") if found else "write another value"


def _as_meant(value: object, type_: Any, hook: Hook | None) -> str:
    """The fix for quotes too many or too few, which are the likeliest faults."""
    if isinstance(value, str):
        for choice in members(type_):
            if strip(choice) in {int, float, bool} and _converts(value, choice, hook, strict=False):
                return f"write it without quotes: {value.lower()}"
    elif isinstance(value, (bool, int, float)) and _converts(show(value), type_, hook):
        return f'write it in quotes: "{show(value)}"'
    if not isinstance(value, (dict, list)):
        for choice in members(type_):
            element = element_of(choice)
            if element is not None and _converts(value, element, hook):
                return f"write it in brackets: [{show(value)}]"
    return ""


def _examples(type_: Any, hook: Hook | None) -> Iterator[str]:
    """How values of a type are written, as far as they are within the bounds of this field."""
    import tomli  # deferred: only error paths pay for it

    for choice in members(type_):
        for value in options(choice):
            yield show(value)
        example = _EXAMPLES.get(strip(choice), "")
        if example and _converts(tomli.loads(f"x = {example}")["x"], choice, hook):
            yield example


def _converts(value: object, type_: Any, hook: Hook | None, *, strict: bool = True) -> bool:
    try:
        convert_leaf(value, type_, hook, strict=strict)
    except Mismatch:
        return False
    return True
