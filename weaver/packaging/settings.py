"""The weaver.toml of a version as flat keys and texts, fit to be shown: no secret is among them.

Decides what is masked. A value of an older or newer weaver's schema is taken as it is written: two
versions can be compared though this weaver would refuse one of them.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from weaver.config.parse import parse
from weaver.config.records import is_table
from weaver.config.sources import dotted
from weaver.errors import ConfigError
from weaver.packaging.manifest import Manifest

MASK = "***"

_SECRET_NAME = re.compile(
    r"passw|secret|token|credential|api_?key|access_?key|private_?key|signing_?key", re.IGNORECASE
)
_IN_ADDRESS = re.compile(r"://[^/@\s]*:[^/@\s]*@")


class Setting(NamedTuple):
    """One value: what may be shown of it, and what tells it from others that look the same."""

    text: str
    digest: bytes = b""

    def __str__(self) -> str:
        return self.text


def tables_of(manifest: Manifest) -> dict[str, Any]:
    """What is written in the weaver.toml of a version; empty where it cannot be read."""
    try:
        return parse(manifest.config.removeprefix("\ufeff"), manifest.source)
    except ConfigError:
        return {}


def settings_of(manifest: Manifest) -> dict[str, Setting]:
    """Dotted key to value as text: `listeners.http.address` to `"127.0.0.1:8080"`."""
    secrets = {
        (name, secret)
        for component in manifest.components
        for name in (component.name, component.short_name)
        for secret in component.secrets or ()
    }
    return {dotted(path): setting for path, setting in _flat(tables_of(manifest), (), secrets)}


def _flat(
    table: dict[str, Any], above: tuple[str, ...], secrets: Collection[tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], Setting]]:
    for key, value in table.items():
        path = (*above, key)
        source = _source(value)
        if source:
            yield path, Setting(source)
        elif is_table(value):
            yield from _flat(value, path, secrets)
        else:
            yield path, _setting(path, value, secrets)


def _source(value: object) -> str:
    """Where a secret comes from, which is none itself; "" for any other value."""
    if not is_table(value) or len(value) != 1:
        return ""
    ((kind, name),) = value.items()
    words = {"env": "environment", "file": "file"}
    return f"{words[kind]} {name}" if kind in words and isinstance(name, str) else ""


def _setting(path: tuple[str, ...], value: object, secrets: Collection[tuple[str, ...]]) -> Setting:
    written = json.dumps(value, ensure_ascii=False, default=str)
    hidden = path[1:3] in secrets or any(_SECRET_NAME.search(part) for part in path[1:])
    text = MASK if hidden else _IN_ADDRESS.sub(f"://{MASK}@", written)
    if text == written:
        return Setting(text)
    return Setting(text, hashlib.blake2b(written.encode(), digest_size=16).digest())
