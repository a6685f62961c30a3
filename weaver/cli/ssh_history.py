"""What `weaver history --ssh` shows: the audit logs of hosts, which tell who did what there."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weaver.cli.host_table import HostTable

if TYPE_CHECKING:
    from weaver.deployers.ssh.deploy_lock import Entry
    from weaver.deployers.ssh.inventory import Host
    from weaver.errors import WeaverError

MOST = 100
"""Entries of each host that are shown, the newest ones."""


@dataclass(frozen=True)
class Audits:
    """The entries by host, and what went wrong by host."""

    entries: "dict[str, tuple[Entry, ...]]"
    faults: "dict[str, WeaverError]"

    def plain(self) -> dict[str, Any]:
        """For --json; times in seconds since the epoch."""
        import msgspec

        return {
            "hosts": {host: msgspec.to_builtins(found) for host, found in self.entries.items()},
            "faults": {host: error.what for host, error in self.faults.items()},
        }

    def lines(self) -> list[str]:
        """For a person, oldest first."""
        known = [(entry, host) for host, found in self.entries.items() for entry in found]
        known.sort(key=lambda each: each[0].time)
        width = max((len(host) for host in self.entries), default=0)
        wide = max((len(entry.who) for entry, _ in known), default=0)
        lines = [
            f"{'TIME':<19}  {'HOST':<{width}}  {'WHO':<{wide}}  WHAT     {'BUILD':<12}  RESULT"
        ]
        for entry, host in known:
            clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time))
            lines.append(
                f"{clock}  {host:<{width}}  {entry.who:<{wide}}  {entry.what:<7}  "
                f"{entry.build_id[:12]:<12}  {entry.result}"
            )
        return lines if known else ["nothing was done to it on these hosts"]


def audits(app: str, hosts: "Sequence[Host]", *, accept_new: bool) -> Audits:
    """The audit log of every host, side by side; one that fails hides nothing of the others."""
    from weaver.cli.hosts import passphrases_of
    from weaver.deployers.ssh.client import Client
    from weaver.deployers.ssh.preparation import Preparation

    ask, _ = passphrases_of()
    client = Client(accept_new=accept_new, ask=ask)
    table = HostTable([host.name for host in hosts], quiet=True)
    with Preparation(app, hosts, client, table) as work:
        work.examine_briefly()
        return Audits(work.audits(app, MOST), dict(work.faults))
