"""What `weaver prune` removes on each host, and how it tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weaver.cli.host_table import HostTable

if TYPE_CHECKING:
    from weaver.deployers.local_releases import Pruned as PrunedHere
    from weaver.deployers.ssh.inventory import Host
    from weaver.deployers.ssh.releases import Pruned
    from weaver.errors import WeaverError


@dataclass
class Found:
    """What was removed, or would be, by host and application; and what went wrong by host."""

    plan_only: bool
    pruned: "Mapping[str, Mapping[str, Pruned | PrunedHere]]" = field(
        default_factory=dict[str, Any]
    )
    faults: "dict[str, WeaverError]" = field(default_factory=dict[str, Any])

    def plain(self) -> dict[str, Any]:
        """For --json."""
        import msgspec

        return {
            "hosts": {
                host: {app: msgspec.to_builtins(each) for app, each in found.items()}
                for host, found in self.pruned.items()
            },
            "faults": {host: error.what for host, error in self.faults.items()},
        }

    def lines(self) -> list[str]:
        """For a person."""
        verb = "would remove" if self.plan_only else "removed"
        lines: list[str] = []
        for host, found in self.pruned.items():
            for app, each in found.items():
                gone = ", ".join(build[:12] for build in each.removed) or "nothing"
                lines.append(f"{host}: {app}: {verb} {gone} ({each.freed / 1e6:.1f} MB)")
            if not found:
                lines.append(f"{host}: no releases")
        lines += [f"{host}: failed: {error.what}" for host, error in self.faults.items()]
        return lines


def prune(
    app: str | None, hosts: "Sequence[Host]", *, accept_new: bool, keep: int, plan_only: bool
) -> Found:
    """Prune all hosts side by side; one that fails hides nothing of the others."""
    from weaver.cli.hosts import passphrases_of
    from weaver.deployers.ssh.client import Client
    from weaver.deployers.ssh.preparation import Preparation

    ask, _ = passphrases_of()
    client = Client(accept_new=accept_new, ask=ask)
    table = HostTable([host.name for host in hosts], quiet=True)
    with Preparation(app or "", hosts, client, table) as work:
        work.examine_briefly()
        pruned = work.prune(app, keep=keep, only_tell=plan_only)
        return Found(plan_only, pruned, dict(work.faults))
