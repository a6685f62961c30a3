"""A stop that some hosts do not hear of: the deployment is not forgotten, and ended there later."""

import asyncio
import json
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from manager_fakes import FakeDeployer, FakeLink

from weaver.cli import succession
from weaver.cli.main import execute
from weaver.control.messages import Application
from weaver.control.operator import StopDeployment
from weaver.deployers import manager_client, registry
from weaver.deployers.control_loop import ControlLoop, Outcome
from weaver.deployers.journal import Journal
from weaver.deployers.registry import Record
from weaver.errors import UsageError, WeaverError
from weaver.manager.hosts import HostSpec
from weaver.manager.placement import Group
from weaver.manager.state import Spec, Waits

SPEC = Spec(
    application=Application("shop", "build-1", "dep-1", "shop:Web"),
    groups={"front": Group(components=("shop.Web",), replicas=2, entry="shop.Web")},
    hosts={"a": HostSpec(), "b": HostSpec()},
    waits=Waits(retry=0.01, retry_most=0.05),
)


class Hosts(FakeDeployer):
    """Envelopes on hosts; those in `down` cannot be reached, those in `over` refuse to begin."""

    def __init__(self) -> None:
        super().__init__()
        self.down: set[str] = set()
        self.over: set[str] = set()

    async def start_envelope(self, host: str) -> None:
        if host in self.over:
            raise WeaverError("this deployment has been ended", where=host)
        await super().start_envelope(host)

    async def connect(self, host: str) -> FakeLink | None:
        if host in self.down:
            raise OSError("no route to host")
        return await super().connect(host)

    def control_path(self, host: str) -> str:
        return f"/run/{host}.sock"

    async def has_ended(self, host: str) -> bool:
        return host not in self.down and await super().has_ended(host)

    def cut(self, host: str) -> None:
        self.down.add(host)
        link = self.envelopes[host].link
        assert link is not None
        link.end()


async def stopped(folder: Path, hosts: Hosts, *, cut: str = "") -> Outcome:
    """Manage until live, lose a host, and stop; how that ended."""
    with Journal(folder) as journal:
        loop = ControlLoop(SPEC, journal, hosts)
        running = asyncio.ensure_future(loop.run())
        async with asyncio.timeout(30):
            await loop.wait_live()
            if cut:
                hosts.cut(cut)
            asyncio.get_running_loop().call_soon(loop.request_stop)  # after the loop has begun
            return await running


async def test_a_host_that_is_not_told_may_still_run_it(tmp_path: Path) -> None:
    hosts = Hosts()
    assert await stopped(tmp_path, hosts, cut="b") == Outcome("stopped", None, ("b",))
    assert hosts.envelopes["a"].ended
    assert not hosts.envelopes["b"].ended


async def test_the_next_manager_ends_the_rest_and_begins_nothing_anew(tmp_path: Path) -> None:
    hosts = Hosts()
    await stopped(tmp_path, hosts, cut="b")
    hosts.down, hosts.over = set(), {"a"}
    started = hosts.started
    assert await stopped(tmp_path, hosts) == Outcome("stopped", None)
    assert hosts.envelopes["b"].ended
    assert hosts.started == started


# --- what the command line makes of it ---


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = Record(
        app="shop",
        deployment="dep-1",
        version="v",
        pid=0,
        socket=str(tmp_path / "no.sock"),
        started=time.time(),
        hosts=("a", "b"),
    )
    registry.write(found)
    return found


def test_a_record_is_current_until_the_last_host_has_ended(record: Record) -> None:
    registry.ended(record, "stopped", unended=("b",))
    assert registry.current("shop").unended == ("b",)
    assert registry.latest(record).result == "stopped"
    registry.ended(registry.current("shop"), "stopped")
    assert registry.latest(record).unended == ()
    with pytest.raises(UsageError):
        registry.current("shop")


def _is_managed(_record: Record) -> bool:
    return True


@pytest.mark.parametrize("as_json", [False, True])
def test_stop_names_the_hosts_and_how_to_end_it_there(
    record: Record,
    as_json: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def ask(asked: Record, request: StopDeployment, *, timeout: float | None) -> Generator[None]:
        assert isinstance(request, StopDeployment)
        assert timeout is None
        registry.ended(asked, "stopped", unended=("b",))
        yield from ()

    monkeypatch.setattr(succession, "ask", ask)
    monkeypatch.setattr(manager_client, "is_managed", _is_managed)
    assert execute(["stop", "shop", *(["--json"] if as_json else [])]) == 1
    out = capsys.readouterr().out
    if as_json:
        assert json.loads(out)["unended"] == ["b"]
    else:
        assert "stopped, but not on b: it may still run there" in out
        assert "weaver stop shop --ssh HOSTS" in out
    assert registry.current("shop").deployment == record.deployment
