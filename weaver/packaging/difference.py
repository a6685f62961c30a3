"""What differs between two versions of an application.

Decides which differences there are and their order. It must not know how they are shown, nor
whether one of them is dangerous: that is `compatibility`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, get_args

import msgspec

from weaver.packaging.imports import normal
from weaver.packaging.manifest import Manifest, ManifestComponent, ManifestMethod
from weaver.packaging.settings import Setting, settings_of
from weaver.packaging.snapshot import Snapshot

Kind = Literal[
    "weaver",
    "python",
    "component",
    "method",
    "call",
    "listener",
    "group",
    "dependency",
    "config",
    "file",
]

OWN_KINDS: Final = ("listeners", "groups")
"""Tables of weaver.toml whose keys are told as differences of a kind of their own."""


class Change(msgspec.Struct, frozen=True):
    """One thing that differs; `before` and `after` are texts, "" for what is not there."""

    kind: Kind
    what: Literal["added", "removed", "changed"]
    name: str
    before: str = ""
    after: str = ""


def difference(old: Snapshot, new: Snapshot) -> tuple[Change, ...]:
    """Everything that differs from `old` to `new`, by kind and then by name."""
    found = [
        *_runtime(old, new),
        *_components(old.manifest, new.manifest),
        *_methods(old.manifest, new.manifest),
        *_calls(old.manifest, new.manifest),
        *_configured(old.manifest, new.manifest),
        *_mappings("dependency", _dependencies(old), _dependencies(new)),
    ]
    found.sort(key=lambda change: _ORDER.index(change.kind))
    return (*found, *_files(old, new))


_ORDER: Final = get_args(Kind)


def method_text(method: ManifestMethod) -> str:
    """A method on one line, with all that callers and the runtime know of it."""
    prefix = {"async": "async ", "plain": "", "stream": "stream "}[method.kind]
    marks = [f"routed by {method.routed_by}"] if method.routed_by else []
    marks += ["idempotent"] if method.idempotent else []
    return f"{prefix}{method.name}{method.signature}" + (f"  [{', '.join(marks)}]" if marks else "")


def _mappings(
    kind: Kind, old: Mapping[str, str | Setting], new: Mapping[str, str | Setting]
) -> Iterator[Change]:
    """The differences of two mappings from names to texts."""
    for name in sorted({*old, *new}):
        if name not in old:
            yield Change(kind, "added", name, after=str(new[name]))
        elif name not in new:
            yield Change(kind, "removed", name, before=str(old[name]))
        elif old[name] != new[name]:
            yield Change(kind, "changed", name, str(old[name]), str(new[name]))


def _coming_and_going(
    kind: Kind, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[Change]:
    """As `_mappings`, without what both have: how that has changed is told more closely."""
    return (change for change in _mappings(kind, old, new) if change.what != "changed")


def _runtime(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    before, after = old.manifest.weaver, new.manifest.weaver
    changed = len(list(_mappings("file", _weavers(old), _weavers(new))))
    if before != after or changed:
        files = f" ({changed} {'file differs' if changed == 1 else 'files differ'})"
        yield Change("weaver", "changed", "weaver", before, after + (files if changed else ""))
    if old.manifest.python != new.manifest.python:
        yield Change("python", "changed", "Python", old.manifest.python, new.manifest.python)


def _components(old: Manifest, new: Manifest) -> Iterator[Change]:
    yield from _coming_and_going("component", _sizes(old), _sizes(new))


def _sizes(manifest: Manifest) -> dict[str, str]:
    return {c.name: _count(len(c.methods), "method") for c in manifest.components}


def _methods(old: Manifest, new: Manifest) -> Iterator[Change]:
    for one, other in _pairs(old, new):
        yield from _mappings("method", _signatures(one), _signatures(other))


def _signatures(component: ManifestComponent) -> dict[str, str]:
    return {f"{component.name}.{m.name}": method_text(m) for m in component.methods}


def _calls(old: Manifest, new: Manifest) -> Iterator[Change]:
    for one, other in _pairs(old, new):
        yield from _mappings("call", _edges(one), _edges(other))


def _edges(component: ManifestComponent) -> dict[str, str]:
    return {f"{component.name} -> {target}": "" for target in component.references}


def _pairs(old: Manifest, new: Manifest) -> Iterator[tuple[ManifestComponent, ManifestComponent]]:
    """The components that both have."""
    known = {c.name: c for c in old.components}
    return ((known[c.name], c) for c in new.components if c.name in known)


def _configured(old: Manifest, new: Manifest) -> Iterator[Change]:
    """Listeners, groups, and all other keys of weaver.toml."""
    names: tuple[tuple[Kind, str, Callable[[Manifest], dict[str, str]]], ...] = (
        ("listener", "listeners", _listeners),
        ("group", "groups", _groups),
    )
    before, after = settings_of(old), settings_of(new)
    for kind, table, named in names:
        one, other = named(old), named(new)
        yield from _coming_and_going(kind, one, other)
        both = tuple(f"{table}.{name}." for name in one if name in other)
        for change in _mappings(kind, _under(both, before), _under(both, after)):
            yield msgspec.structs.replace(change, name=change.name.partition(".")[2])
    keys = [{k: v for k, v in s.items() if not _is_told(k)} for s in (before, after)]
    yield from _mappings("config", *keys)


def _is_told(key: str) -> bool:
    return key.partition(".")[0] in OWN_KINDS


def _under(prefixes: tuple[str, ...], settings: Mapping[str, Setting]) -> dict[str, Setting]:
    return {key: text for key, text in settings.items() if key.startswith(prefixes)}


def _listeners(manifest: Manifest) -> dict[str, str]:
    settings = settings_of(manifest)
    return {
        name: str(settings.get(f"listeners.{name}.address", "")).strip('"')
        for name in manifest.listeners
    }


def _groups(manifest: Manifest) -> dict[str, str]:
    shorts = {c.name: c.short_name for c in manifest.components}
    return {
        name: ", ".join(shorts.get(component, component) for component in components)
        for name, components in manifest.groups.items()
    }


def _dependencies(version: Snapshot) -> dict[str, str]:
    """Distribution to version, by the names of its wheels."""
    parts = [wheel.split("-") for wheel in version.wheels]
    return {normal(words[0]): words[1] for words in parts if len(words) > 1}


def _files(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    for change in _mappings("file", _own(old), _own(new)):
        yield Change(change.kind, change.what, change.name)


def _own(version: Snapshot) -> dict[str, str]:
    return {k: v for k, v in version.files.items() if not k.startswith("weaver/")}


def _weavers(version: Snapshot) -> dict[str, str]:
    return {k: v for k, v in version.files.items() if k.startswith("weaver/")}


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
