"""Ctrl-C while a deploy is at work on hosts: locks are given back, and nobody is waited for."""

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from local_hosts import LocalConnection, LocalHosts, Watched
from waiting import wait_until

from weaver.cli.host_table import HostTable
from weaver.cli.ssh_interrupt import leave
from weaver.deployers.ssh import preparation
from weaver.deployers.ssh.preparation import Preparation
from weaver.deployers.ssh.remote import Completed
from weaver.deployers.ssh.upload import Parcel
from weaver.errors import Unreachable, WeaverError

PATIENCE = 60.0


class Hanging(LocalConnection):
    """A host that, once it `hangs`, does nothing until its connection ends."""

    hangs = False

    def __init__(self, home: Path, name: str) -> None:
        super().__init__(home, name)
        self.began = threading.Event()
        self.closed = threading.Event()

    def run(
        self, command: str, *, stdin: bytes | Iterable[bytes] = b"", timeout: float
    ) -> Completed:
        if not self.hangs:
            return super().run(command, stdin=stdin, timeout=timeout)
        self.began.set()
        assert self.closed.wait(PATIENCE)
        raise Unreachable(f"{self.name} does not answer")

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def hosts(tmp_path: Path) -> LocalHosts:
    found = LocalHosts(tmp_path, "a", "b")
    found.connections["b"] = Hanging(tmp_path / "b", "b")
    return found


def is_locked(hosts: LocalHosts, name: str) -> bool:
    return (hosts.connections[name].home / ".weaver" / "apps" / "shop" / "lock").exists()


def ended() -> bool:
    return not [t for t in threading.enumerate() if t.name.startswith("weaver-")]


def test_every_lock_is_given_back(
    hosts: LocalHosts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preparation, "LEAVING", PATIENCE)
    table = HostTable(["a", "b"], quiet=True)
    with Preparation("shop", hosts.listed, hosts.client, table) as work:
        work.examine_briefly()
        work.lock("mine")
        assert is_locked(hosts, "a")
        leave("shop", work, table, starts=False)
    assert not is_locked(hosts, "a")
    assert not is_locked(hosts, "b")
    assert capsys.readouterr().err == "interrupted: nothing was started\n"
    wait_until(ended, PATIENCE)


def test_a_host_that_hangs_is_not_waited_for_and_what_it_has_is_said(
    hosts: LocalHosts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(preparation, "LEAVING", 0.1)
    hanging = hosts.connections["b"]
    assert isinstance(hanging, Hanging)
    (tmp_path / "a.pex").write_bytes(b"no PEX")
    table = HostTable(["a", "b"], quiet=True)
    with Preparation("shop", hosts.listed, hosts.client, table) as work:
        work.examine_briefly()
        work.lock("mine")
        hanging.hangs = True
        parcel = Parcel("shop", tmp_path / "a.pex")
        uploading = threading.Thread(target=_upload, args=(work, parcel))
        uploading.start()
        assert hanging.began.wait(PATIENCE)
        table.step("b", "installing")
        leave("shop", work, table, starts=False)
    said = capsys.readouterr().err
    assert "what b got is not sent again" in said
    assert "b: the installation ends by itself" in said
    assert "b: the lock could not be given back in time" in said
    uploading.join(PATIENCE)
    wait_until(ended, PATIENCE)


def _upload(work: Preparation, parcel: Parcel) -> None:
    with pytest.raises(WeaverError):  # of one host or the other
        work.upload(parcel)


def test_what_was_started_goes_on(hosts: LocalHosts, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        Preparation("shop", hosts.listed, hosts.client, Watched()) as work,
    ):
        leave("shop", work, HostTable([], quiet=True), starts=True)
        raise KeyboardInterrupt
    assert "shop goes on without this command" in capsys.readouterr().err
