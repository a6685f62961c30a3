"""What runs of an application here, for a manager that takes it over.

Decides what can be taken over. What becomes of several versions, their rollout decides.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from weaver.deployers import registry
from weaver.deployers.lost_versions import close_lost
from weaver.deployers.manager_client import is_managed
from weaver.errors import Unreachable, UsageError
from weaver.packaging.compatibility import addresses_of

if TYPE_CHECKING:
    from weaver.control.succession import Memo
    from weaver.deployers.manager_process import Former
    from weaver.deployers.registry import Record
    from weaver.packaging.manifest import Manifest


def running(app: str) -> "list[Record]":
    """The deployments of an application that have not ended, the newest first."""
    return [record for record in reversed(registry.records(app)) if not record.ended]


def formers_here(app: str, *, close: bool = False) -> "tuple[Former, ...]":
    """What runs of an application on this machine, the newest first, as its envelopes recall it.

    Deployments of which nothing runs any more are closed if others do, and with `close` always.
    Raises UsageError for what cannot be taken over.
    """
    from weaver.deployers.estate import decode_estate
    from weaver.deployers.manager_process import Former

    found: list[Former] = []
    lost: list[Record] = []
    for record in running(app):
        _refuse(record)
        memo = asyncio.run(recall_here(record))
        if memo is not None and memo.memo:
            found.append(Former(decode_estate(memo.memo), hands_over=memo.hands_over))
        elif not is_managed(record):
            lost.append(record)
        else:
            raise Unreachable(
                f"{app} runs here, but what its manager has left cannot be had",
                where=f"deployment {record.deployment}, process {record.pid}",
                fix="wait until it is live, and deploy again",
            )
    if found or close:
        for record in lost:
            close_lost(record)
    return tuple(found)


def refuse_keeping(formers: "Iterable[Former]") -> None:
    """Refuse to deploy beside a version that keeps its listeners to itself. Raises UsageError."""
    for former in formers:
        spec = former.estate.spec
        names = sorted({name for group in spec.groups.values() for name in group.listeners})
        if names and not former.hands_over:
            app, version = spec.application.app, spec.application.version[:12]
            raise UsageError(
                f"{app} {version} cannot hand its listeners over to another version",
                where=f"deployment {spec.application.deployment}, {', '.join(names)}",
                why="it runs on an older weaver, which did not do so",
                fix=f"stop it first, and users are not served meanwhile: weaver stop {app}; then: "
                "weaver deploy",
            )


def refuse_moved(formers: "Iterable[Former]", manifest: "Manifest") -> None:
    """Refuse a version that does not serve what runs at the same addresses. Raises UsageError.

    Replicas take connections from all of their listeners or from none, and sockets pass on by name
    and address: users of one that is gone would wait for ever while traffic shifts.
    """
    after = addresses_of(manifest)
    for former in formers:
        spec = former.estate.spec
        before = {n: at for group in spec.groups.values() for n, at in group.listeners.items()}
        for name, address in before.items():
            if after.get(name) != address:
                now = f"is at {after[name]} there" if name in after else "is not in it"
                raise UsageError(
                    f'listener "{name}" at {address} cannot pass to the new version: it {now}',
                    where=f"[listeners] of {manifest.source}",
                    why="whoever uses it would not be served while traffic shifts",
                    fix="keep it as it is; or stop the version that runs first, and users are not "
                    f"served meanwhile: weaver stop {manifest.app}; then: weaver deploy",
                )


def _refuse(record: "Record") -> None:
    if record.foreground and is_managed(record):
        raise UsageError(
            f"{record.app} runs already, as version {record.version[:12]}",
            where=f"process {record.pid}, in the foreground",
            fix="end it first: Ctrl-C where it runs",
        )
    if record.hosts:
        raise UsageError(
            f"{record.app} runs on other hosts already, as version {record.version[:12]}",
            where=", ".join(record.hosts),
            fix=f"deploy it there: --ssh HOSTS; or end it first: weaver stop {record.app}",
        )


async def recall_here(record: "Record") -> "Memo | None":
    """What the last manager has left with the envelope of this machine; None if none runs."""
    from pathlib import Path

    from weaver.deployers.deployer import connect_unix
    from weaver.deployers.multiprocess import HOST
    from weaver.deployers.recall import recall

    link = await connect_unix(Path(record.socket).with_name(f"{HOST}.sock"))
    return await recall(link, HOST) if link is not None else None
