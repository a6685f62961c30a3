"""From a built PEX to what a manager is told to run."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from weaver.config.configuration import Config
from weaver.config.load import load
from weaver.config.words import ManagerLost
from weaver.control.certificates import Signer
from weaver.control.messages import Application
from weaver.control.restarts import Heartbeats
from weaver.deployers.multiprocess import HOST
from weaver.errors import ConfigError, Problem
from weaver.manager.hosts import HostSpec, selectors, shortage
from weaver.manager.placement import Group, anywhere, place
from weaver.manager.state import Spec, Waits
from weaver.packaging.manifest import Manifest


def config_of(manifest: Manifest, hosts: Mapping[str, HostSpec] | None = None) -> Config:
    """The configuration in a PEX, with values of the environment. Raises ConfigError.

    `hosts` are those to deploy to, where groups may choose among them.
    """
    config = load(manifest.config, source=manifest.source, environ=os.environ)
    config.check_names(
        {c.name: c.short_name for c in manifest.components},
        [name for c in manifest.components for name in c.listeners],
        None if hosts is None else selectors(hosts),
    )
    return config


def spec_of(
    manifest: Manifest,
    build_id: str,
    *,
    foreground: bool,
    strict_copies: bool = False,
    hosts: Mapping[str, HostSpec] | None = None,
) -> Spec:
    """What to run on these hosts, by name; on this machine, if none are given.

    The application's modules come from the PEX alone: no folder of sources is importable. Raises
    ConfigError for names that do not exist and for replicas that the hosts have no room for.
    """
    config = config_of(manifest, hosts)
    groups = place(config, manifest.components, entry_name(manifest))
    deployment = secrets.token_hex(4)
    policy = ("end" if foreground else "continue", 0.0)
    if hosts is None:
        groups = anywhere(groups)
    else:
        _check(groups, hosts)
        policy = policy if foreground else _policy(config.ssh.on_manager_lost)
    equipped, signer = _equipped(hosts, deployment, always=config.app.tls == "always")
    return Spec(
        application=Application(
            app=manifest.app,
            version=build_id,
            deployment=deployment,
            target=manifest.entry,
            config=manifest.config,
            source=manifest.source,
            strict_copies=strict_copies,
        ),
        groups=groups,
        hosts=equipped,
        heartbeats=Heartbeats.hung_after(float(config.app.hung_after)),
        stop_timeout=float(config.app.stop_timeout),
        on_manager_lost=policy[0],
        stop_after=policy[1],
        foreground=foreground,
        secret=secrets.token_bytes(32),
        variables=_of_users(os.environ),
        signer=signer,
        waits=_waits(config, here=hosts is None),
    )


def _waits(config: Config, *, here: bool) -> Waits:
    seconds = float(config.app.start_timeout)
    moved = Waits().moved if here else float(config.ssh.host_grace)
    return Waits(start=seconds, deploy=2 * seconds, moved=moved)


def _of_users(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that say how users reach versions, which is for their manager to know."""
    prefixes = ("WEAVER__ROLLOUT__", "WEAVER__LISTENERS__")
    return {name: value for name, value in environ.items() if name.upper().startswith(prefixes)}


def _policy(written: ManagerLost) -> tuple[str, float]:
    after = written.stop_after
    return ("continue", 0.0) if after is None else ("stop", float(after))


def _check(groups: Mapping[str, Group], hosts: Mapping[str, HostSpec]) -> None:
    """Refuse what could not run, before anything is started. Raises ConfigError."""
    fault = shortage(groups, hosts, {name: group.replicas for name, group in groups.items()})
    problems: list[Problem] = []
    if fault is not None:
        problems.append(Problem(fault.what, where=fault.where, why=fault.why, fix=fault.fix))
    if len(hosts) > 1:
        problems += undialled(hosts)
    if problems:
        raise ConfigError(problems)


def undialled(hosts: Mapping[str, HostSpec]) -> list[Problem]:
    """The hosts that others cannot dial."""
    return [
        Problem(
            f'host {name} has no address that other hosts can dial: "{host.address}"',
            fix="write its IP address behind it in the hosts file: address=...",
        )
        for name, host in hosts.items()
        if host.address in {"", "0.0.0.0", "::"}  # noqa: S104 # refused
    ]


def _equipped(
    hosts: Mapping[str, HostSpec] | None, deployment: str, *, always: bool
) -> tuple[dict[str, HostSpec], Signer | None]:
    """The hosts with what they show each other, and what signs the same for those that join later.

    One alone is dialled by nobody, and needs it only if connections within it are to be encrypted.
    Its replicas listen for no other host: none can join it.
    """
    hosts = hosts or {HOST: HostSpec()}
    alone = len(hosts) == 1
    if alone and not always:
        found = {name: msgspec.structs.replace(host, address="") for name, host in hosts.items()}
        return found, None
    from weaver.deployers.certificates import create_authority

    authority = create_authority(deployment)
    equipped: dict[str, HostSpec] = {}
    for name, host in hosts.items():
        certificates = authority.certificates(name, always=always)
        address = "" if alone else host.address
        equipped[name] = msgspec.structs.replace(host, address=address, certificates=certificates)
    signer = None if alone else Signer(authority.certificate, authority.key, always)
    return equipped, signer


def entry_name(manifest: Manifest) -> str:
    """The full name of the entry component."""
    module, _, attribute = manifest.entry.partition(":")
    names = {c.name for c in manifest.components}
    candidates = (f"{module}.{attribute}", f"{module}.{attribute.replace('.', '_')}")
    return next((name for name in candidates if name in names), "")


def envelope_command(python: Path) -> list[str]:
    """How the envelope is started from an installed PEX: isolated from the user's Python paths."""
    return [str(python), "-I", "-m", "weaver.application.main", "envelope"]
