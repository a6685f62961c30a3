"""One of several replicas ends: its idle connections go on with another one, without a failure."""

import asyncio
from pathlib import Path

import pytest
from moving_parts import Client
from versions_side_by_side import Version, version

from weaver.control.messages import (
    ListenerHeld,
    RegisterReplica,
    ReplicaExited,
    ReplicaStarted,
    Restart,
)
from weaver.control.traffic import Traffic

CLIENTS = 12


def leave(one: Version, replica: str, how: str) -> None:
    """Have a replica end: it is replaced, or not wanted any more."""
    if how == "replaced":
        one.manager.send(Restart(replica, 1))
    else:
        one.order("127.0.0.1:0", Traffic(), replicas=1)


@pytest.mark.parametrize("how", ["replaced", "not wanted"])
async def test_idle_connections_of_a_replica_that_leaves_go_on(tmp_path: Path, how: str) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic(), replicas=2)
        await one.manager.until(lambda: len(one.manager.said(RegisterReplica)) == 2, 30)
        port = int(one.manager.all(ListenerHeld)[-1].address.rpartition(":")[2])
        pids = {m.replica: m.pid for m in one.manager.all(ReplicaStarted)}
        clients: list[Client] = []
        asked: set[int] = set()
        async with asyncio.timeout(30):
            while pids["one-1"] not in asked:  # whoever wakes up first accepts
                more = await asyncio.gather(*(Client.open(port) for _ in range(CLIENTS)))
                asked |= {a.pid for a in await asyncio.gather(*(c.ask() for c in more))}
                clients += more
        leave(one, "one-1", how)
        await one.manager.until(lambda: bool(one.manager.all(ReplicaExited)), 30)
        for client in clients:
            assert (await client.ask()).pid != pids["one-1"]
            client.close()
