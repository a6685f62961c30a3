"""From a built PEX to what a manager is told to run."""

import os
import secrets
from pathlib import Path

from weaver.config.configuration import Config
from weaver.config.load import load
from weaver.control.certificates import Certificates
from weaver.control.messages import Application
from weaver.deployers.multiprocess import HOST
from weaver.manager.hosts import HostSpec
from weaver.manager.placement import place
from weaver.manager.state import Spec
from weaver.packaging.manifest import Manifest


def config_of(manifest: Manifest) -> Config:
    """The configuration in a PEX, with values of the environment. Raises ConfigError."""
    config = load(manifest.config, source=manifest.source, environ=os.environ)
    config.check_names(
        {c.name: c.short_name for c in manifest.components},
        [name for c in manifest.components for name in c.listeners],
    )
    return config


def spec_of(
    manifest: Manifest, build_id: str, *, foreground: bool, strict_copies: bool = False
) -> Spec:
    """What to run on this machine. Raises ConfigError for names that do not exist.

    The application's modules come from the PEX alone: no folder of sources is importable.
    """
    config = config_of(manifest)
    deployment = secrets.token_hex(4)
    return Spec(
        application=Application(
            app=manifest.app,
            version=build_id,
            deployment=deployment,
            target=manifest.entry,
            config=manifest.config,
            source=manifest.source,
            strict_copies=strict_copies,
            certificates=_certificates(deployment) if config.app.tls == "always" else None,
        ),
        groups=place(config, manifest.components, entry_name(manifest)),
        hosts={HOST: HostSpec()},
        stop_timeout=float(config.app.stop_timeout),
        on_manager_lost="end" if foreground else "continue",
        foreground=foreground,
    )


def _certificates(deployment: str) -> Certificates:
    """What every replica of this machine shows; the CA that signed it is forgotten at once."""
    from weaver.deployers.certificates import create_authority

    identity = create_authority(deployment).issue(HOST, always=True)
    return Certificates(identity.name, identity.ca, identity.certificate, identity.key, always=True)


def entry_name(manifest: Manifest) -> str:
    """The full name of the entry component."""
    module, _, attribute = manifest.entry.partition(":")
    names = {c.name for c in manifest.components}
    candidates = (f"{module}.{attribute}", f"{module}.{attribute.replace('.', '_')}")
    return next((name for name in candidates if name in names), "")


def envelope_command(python: Path) -> list[str]:
    """How the envelope is started from an installed PEX: isolated from the user's Python paths."""
    return [str(python), "-I", "-m", "weaver.application.main", "envelope"]
