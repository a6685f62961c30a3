"""A manager of two hosts, behind a proxy that stays: each host knows the replicas of the other."""

import asyncio
import os
import signal
import tempfile
from pathlib import Path

import psutil
import pytest
from moving_parts import DEADLINE, Client
from test_ingress_beyond import asked
from test_two_hosts import Hosts, host_of
from versions_side_by_side import CODE

from weaver.control.messages import Application
from weaver.deployers.certificates import create_authority
from weaver.deployers.estate import Estate
from weaver.deployers.rollout_loop import RolloutLoop
from weaver.deployers.session import Session
from weaver.deployers.versions import Versions
from weaver.manager.placement import Group
from weaver.manager.state import Desired, Spec

CONFIG = """
[app]
name = "two"
entry = "twosided:Web"
[listeners.http]
ingress = "proxy"
workers = 1
"""


class OwnHosts(Hosts):
    """Two envelopes that a session owns, and that can be paused."""

    async def aclose(self, seconds: float = 15.0) -> None:
        del seconds

    def signal(self, host: str, number: signal.Signals) -> None:
        self._processes[host].send_signal(number)


def estate_in(folder: Path) -> Estate:
    """A version with a replica on each of two hosts."""
    (folder / "twosided.py").write_text(CODE)
    source, authority = str(folder / "weaver.toml"), create_authority("d1")
    web = Group(
        components=("twosided.Web",),
        entry="twosided.Web",
        replicas=2,
        listeners={"http": "127.0.0.1:0"},
    )
    spec = Spec(
        application=Application(
            "two", "v1", "d1", "twosided:Web", CONFIG, source, project=str(folder)
        ),
        groups={"web": web},
        hosts={name: host_of(authority, name) for name in ("h1", "h2")},
        stop_timeout=2.0,
        on_manager_lost="continue",
    )
    return Estate(spec=spec, desired=Desired(), epoch=0)


async def test_a_host_that_has_lost_its_replica_is_served_by_that_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="wv-", dir="/tmp") as folder:  # short, for sockets
        monkeypatch.setenv("XDG_STATE_HOME", folder)
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        hosts = OwnHosts(Path(folder))
        session = Session(estate_in(tmp_path), lambda _: hosts)
        rolling = RolloutLoop([session])
        versions = Versions([session], rolling)
        running = asyncio.ensure_future(versions.run())
        try:
            async with asyncio.timeout(DEADLINE):
                with rolling.changes.follow() as changes:
                    while not _all_know_another(session, rolling):
                        await changes.take()
            await _is_served_all_the_same(session, hosts)
        finally:
            await versions.stop(at_once=True)
            await asyncio.wait((running,), timeout=DEADLINE)
            hosts.kill()
            await hosts.wait_ended()
        assert running.result()


def _all_know_another(session: Session, rolling: RolloutLoop) -> bool:
    """Whether each ingress serves, and goes by a table with a replica of the other host."""
    found = 0
    for host, traffic in session.loop.state.desired.traffic.items():
        order = traffic.ingress.get("http")
        report = rolling.state.ingress.get(("d1", host, "http"))
        if order is not None and report is not None and report.serving:
            told = report.counts.number >= order.table.number
            found += told and any(share.beyond for share in order.table.shares)
    return found == 2


async def _is_served_all_the_same(session: Session, hosts: OwnHosts) -> None:
    """Its envelope is paused, so that no other replica is started, and no table follows."""
    state = session.loop.state
    pids = {replica.host: replica.pid for replica in state.replicas.values()}
    client = await Client.open(int(state.envelopes["h1"].listeners["http"].rpartition(":")[2]))
    assert (await asked(client)).pid == pids["h1"]
    hosts.signal("h1", signal.SIGSTOP)
    try:
        os.kill(pids["h1"], signal.SIGKILL)
        async with asyncio.timeout(DEADLINE):
            while psutil.Process(pids["h1"]).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.01)
        assert {(await asked(client)).pid for _ in range(10)} == {pids["h2"]}
    finally:
        hosts.signal("h1", signal.SIGCONT)
    client.close()
