"""Units of systemd for the envelopes of a deployment: `weaver deploy --service`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from weaver.control.messages import Application
    from weaver.deployers.ssh.preparation import Preparation
    from weaver.deployers.ssh.site import Site


def enable(
    work: "Preparation", application: "Application", sites: "Mapping[str, Site]"
) -> "dict[str, Site]":
    """The hosts with the units that start envelopes there; where one cannot be, it is shown."""
    from weaver.deployers.ssh.service import unit_name

    app, deployment = application.app, application.deployment
    enabled, why = work.enable_units(app, deployment, sites)
    for host, reason in why.items():
        click.echo(f"warning: {host}: no full --service: {reason}", err=True)
        if not enabled[host].unit:
            name = unit_name(app, deployment)
            click.echo(f"what would start it there, as ~/.config/systemd/user/{name}:", err=True)
            click.echo(work.unit_of(app, deployment, sites[host]), err=True)
            click.echo(f"then: systemctl --user enable {name}; loginctl enable-linger", err=True)
    return enabled
