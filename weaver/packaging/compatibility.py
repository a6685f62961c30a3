"""Whether a version can follow another one while users are served: what both share, and differs.

Versions are wholly separate, so calls never cross. They share the sockets of listeners, for a time
the keys of routed methods, and what the environment says to components. Decides what of that is
refused and what is warned of; it must not know how a rollout is done.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from weaver.packaging.manifest import Manifest, ManifestComponent, ManifestMethod
from weaver.packaging.settings import settings_of, tables_of


class Conflict(msgspec.Struct, frozen=True):
    """One thing that both versions share and see differently.

    "refuse": users would notice; "warn": they may, which somebody has to judge.
    """

    severity: Literal["refuse", "warn"]
    what: str
    where: str = ""
    why: str = ""
    fix: str = ""


def conflicts(old: Manifest, new: Manifest) -> tuple[Conflict, ...]:
    """What stands against a rollout from `old` to `new`, the worst first."""
    found = [*_listeners(old, new), *_routing(old, new), *_sections(old, new)]
    return tuple(sorted(found, key=lambda conflict: conflict.severity))


# --- listeners ---


def _listeners(old: Manifest, new: Manifest) -> Iterator[Conflict]:
    before, after = addresses_of(old), addresses_of(new)
    where = f"[listeners] of {new.source}"
    for name, address in before.items():
        follower = next((n for n, a in after.items() if a == address and n not in before), "")
        if name in after:
            yield from _moved(name, address, after[name], where)
            yield from _encrypted(name, old, new)
        elif follower:
            yield Conflict(
                "refuse",
                f'listener "{name}" at {address} is called "{follower}" in the new version',
                where,
                "sockets pass from one version to the next by the name of their listener",
                f'call it "{name}"; or give "{follower}" an address of its own and keep both '
                "for one version",
            )
        else:
            yield Conflict(
                "refuse",
                f'the new version has no listener "{name}"',
                where,
                f"whoever uses {address} would be refused as soon as the old version ends",
                f'keep "{name}" until nobody uses it any more',
            )


def _moved(name: str, before: str, after: str, where: str) -> Iterator[Conflict]:
    if before != after:
        yield Conflict(
            "refuse",
            f'listener "{name}" moves from {before} to {after}',
            where,
            "users of the old address cannot be shifted to the new one, and are refused as soon "
            "as the old version ends",
            f"keep {before}, and add a second listener at {after} first",
        )


def _encrypted(name: str, old: Manifest, new: Manifest) -> Iterator[Conflict]:
    before, after = (bool(_listener(m, name).get("tls")) for m in (old, new))
    if before != after:
        spoken, wanted = ("https", "http") if before else ("http", "https")
        yield Conflict(
            "refuse",
            f'listener "{name}" changes from {spoken} to {wanted}',
            f"[listeners.{name}] of {new.source}",
            f"users who speak {spoken} would fail as of the first step",
            f"serve {wanted} at a second listener, and remove this one later",
        )


def addresses_of(manifest: Manifest) -> dict[str, str]:
    """The listeners of a version, and their addresses as weaver.toml has them."""
    return {
        name: str(_listener(manifest, name).get("address", "127.0.0.1:0"))
        for name in manifest.listeners
    }


def _listener(manifest: Manifest, name: str) -> dict[str, Any]:
    found: dict[str, Any] = tables_of(manifest).get("listeners", {}).get(name, {})
    return found


# --- routed methods ---


def _routing(old: Manifest, new: Manifest) -> Iterator[Conflict]:
    followers = {c.name: c for c in new.components}
    for component in old.components:
        follower = followers.get(component.name)
        routed = [m for m in component.methods if m.routed_by]
        if follower is None:
            if routed:
                yield _gone(component)
            continue
        methods = {m.name: m for m in follower.methods}
        for method in routed:
            if method.name in methods:
                yield from _rerouted(follower, method, methods[method.name])


def _gone(component: ManifestComponent) -> Conflict:
    return Conflict(
        "warn",
        f"the new version has no component {component.short_name}, whose methods are routed",
        component.where,
        "what its replicas keep in memory for their keys ends with the old version",
    )


def _rerouted(
    component: ManifestComponent, before: ManifestMethod, after: ManifestMethod
) -> Iterator[Conflict]:
    name = f"{component.short_name}.{before.name}"
    why = (
        "during the rollout each version has an owner of its own for every key, and the new one "
        "finds what is stored by key only if it asks for the same keys"
    )
    if after.routed_by is None:
        what = f"{name} is no longer routed (by {before.routed_by})"
    elif after.routed_by != before.routed_by:
        what = f"{name} is routed by {after.routed_by} rather than by {before.routed_by}"
    elif before.key_type and after.key_type and before.key_type != after.key_type:
        what = (
            f"the key {before.routed_by} of {name} is {after.key_type} rather than "
            f"{before.key_type}"
        )
    else:
        return
    yield Conflict(
        "warn", what, component.where, why, "if state depends on it, migrate it in [rollout] before"
    )


# --- sections of components ---


def _sections(old: Manifest, new: Manifest) -> Iterator[Conflict]:
    followers = {c.name: c for c in new.components}
    before, after = settings_of(old), settings_of(new)
    for component in old.components:
        follower = followers.get(component.name)
        if follower is None:
            continue
        one, other = (
            _section(component, {k: str(v) for k, v in each.items()}) for each in (before, after)
        )
        for key in sorted({*one, *other}):
            is_secret = key in {*(component.secrets or ()), *(follower.secrets or ())}
            if is_secret:
                yield from _secret(follower, key, one.get(key, ""), other.get(key, ""), new.source)
            elif key not in other:
                yield _unset(follower, key, one[key], new.source)
        if component.secrets is not None and follower.secrets is not None:
            for name in sorted({*follower.secrets} - {*component.secrets} - {*other}):
                yield _unwritten(follower, name, new.source)


def _section(component: ManifestComponent, settings: dict[str, str]) -> dict[str, str]:
    """What is written for a component, by the rest of the key."""
    found: dict[str, str] = {}
    for head in (f"components.{component.short_name}.", f'components."{component.name}".'):
        found |= {k.removeprefix(head): v for k, v in settings.items() if k.startswith(head)}
    return found


def _secret(
    component: ManifestComponent, key: str, before: str, after: str, source: str
) -> Iterator[Conflict]:
    if before == after:
        return
    name, place = f"{component.short_name}.{key}", f"[components.{component.short_name}]"
    what = f"secret {name} comes from {after or 'nowhere'}, before from {before or 'nowhere'}"
    why = "a rollback needs the old source as well; what one version has signed or encrypted, the "
    why += "other one must be able to read while both serve"
    fix = f"keep {before} until the rollout is done" if before else ""
    yield Conflict("warn", what, f"{place} of {source}", why, fix)


def _unset(component: ManifestComponent, key: str, value: str, source: str) -> Conflict:
    name = f"{component.short_name}.{key}"
    known = component.settings is None or key.partition(".")[0] in {
        setting.name for setting in component.settings
    }
    why = f"it was {value}; " + (
        "now its default holds, if it has one" if known else "its config type has no such field"
    )
    where = f"[components.{component.short_name}] of {source}"
    fix = "write it again, if the default is not meant" if known else ""
    return Conflict("warn", f"{name} is no longer set", where, why, fix)


def _unwritten(component: ManifestComponent, name: str, source: str) -> Conflict:
    place = f"[components.{component.short_name}] of {source}"
    return Conflict(
        "warn",
        f"secret {component.short_name}.{name} is new, and {source} does not say where it is",
        place,
        "a process without it does not start",
        f"set WEAVER__COMPONENTS__{component.short_name.upper()}__{name.upper()} where the "
        "application is deployed from",
    )
