"""The deploy lock and the audit log of a host. The program really runs."""

import json
import threading
import time
from pathlib import Path

import pytest
from ssh_fakes import host_at, local, write_pex

from weaver.deployers.ssh.deploy_lock import audit, holder, lock, new_token, record, renew, unlock
from weaver.deployers.ssh.host_call import HostError, RemotePython
from weaver.deployers.ssh.releases import make_current
from weaver.deployers.ssh.upload import Parcel, upload


@pytest.fixture
def host(tmp_path: Path) -> RemotePython:
    return host_at(tmp_path / "home")


def age_lock(host: RemotePython, seconds: float) -> None:
    """As if the lock had been taken, and its holder had been silent, for so long."""
    path = local(host).home / ".weaver" / "apps" / "shop" / "lock"
    found = json.loads(path.read_bytes())
    for key in ("time", "heartbeat"):
        found[key] -= seconds
    path.write_text(json.dumps(found))


def test_a_lock_says_who_holds_it(host: RemotePython) -> None:
    assert holder(host, "shop") is None
    lock(host, "shop", "ours", "release of the week")
    age_lock(host, 300)

    found = holder(host, "shop")

    assert found is not None
    assert found.message == "release of the week"
    assert found.owner
    assert found.host
    assert found.pid.isdigit()
    assert 300 <= found.age < 360
    assert 300 <= found.silent < 360


def test_a_held_lock_is_refused_with_its_owner_and_ages(host: RemotePython) -> None:
    lock(host, "shop", "theirs", "release of the week")
    age_lock(host, 600)

    with pytest.raises(HostError) as caught:
        lock(host, "shop", "ours", "mine")

    assert caught.value.kind == "locked"
    assert "shop is being deployed by" in caught.value.what
    assert "held the lock for 10 min, its last sign of life was 10 min ago" in caught.value.why
    assert "release of the week" in caught.value.why
    assert "--steal" in caught.value.fix
    assert "theirs" not in str(caught.value)  # the token is only its holder's
    lock(host, "other", "ours", "another application")


def test_a_lock_is_given_back_only_by_its_holder(host: RemotePython) -> None:
    assert not unlock(host, "shop", "ours")
    lock(host, "shop", "theirs", "")
    assert not unlock(host, "shop", "ours")
    assert holder(host, "shop") is not None
    assert unlock(host, "shop", "theirs")
    assert holder(host, "shop") is None
    lock(host, "shop", "ours", "")


def test_a_heartbeat_ends_the_silence_and_keeps_the_age(host: RemotePython) -> None:
    lock(host, "shop", "ours", "")
    age_lock(host, 500)

    renew(host, "shop", "ours")

    found = holder(host, "shop")
    assert found is not None
    assert found.silent < 60
    assert found.age >= 500


def test_a_lock_is_taken_again_by_its_holder(host: RemotePython) -> None:
    lock(host, "shop", "ours", "first")
    assert lock(host, "shop", "ours", "second") is None
    found = holder(host, "shop")
    assert found is not None
    assert found.message == "second"


def test_whose_lock_was_stolen_can_do_nothing_more(host: RemotePython, tmp_path: Path) -> None:
    parcel = Parcel("shop", write_pex(tmp_path / "a.pex"))
    lock(host, "shop", "theirs", "the first")
    upload(host, parcel, token="theirs")

    stolen = lock(host, "shop", "ours", "the second", steal=True)

    assert stolen is not None
    assert stolen.message == "the first"
    for action in (
        lambda: renew(host, "shop", "theirs"),
        lambda: make_current(host, "shop", parcel.build_id, good=True, token="theirs"),
        lambda: upload(host, Parcel("shop", tmp_path / "a.pex"), token="theirs"),
    ):
        with pytest.raises(HostError) as caught:
            action()
        assert caught.value.kind == "lock lost"
    assert not unlock(host, "shop", "theirs")
    make_current(host, "shop", parcel.build_id, good=True, token="ours")


def test_one_of_many_gets_the_lock(host: RemotePython) -> None:
    results: list[str] = []

    def attempt() -> None:
        try:
            lock(host_at(local(host).home), "shop", new_token(), "")
            results.append("held")
        except HostError as error:
            results.append(error.kind)

    threads = [threading.Thread(target=attempt) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert sorted(results) == ["held", *["locked"] * 4]


def test_the_audit_log_says_who_did_what_when_with_which_result(host: RemotePython) -> None:
    assert audit(host, "shop") == ()
    before = time.time()
    record(host, "shop", "deploy", build_id="a" * 64, result="good")
    record(host, "shop", "stop", result="failed: a replica\ndid not end")

    first, second = audit(host, "shop")

    assert (first.what, first.build_id, first.result) == ("deploy", "a" * 64, "good")
    assert "@" in first.who
    assert before <= first.time <= second.time <= time.time()
    assert second.result == "failed: a replica\ndid not end"
    assert audit(host, "shop", most=1) == (second,)
    lines = (local(host).home / ".weaver/apps/shop/audit.jsonl").read_text().splitlines()
    assert len(lines) == 2


def test_the_audit_log_does_not_grow_for_ever(host: RemotePython) -> None:
    record(host, "shop", "deploy", result="x" * 600_000)
    record(host, "shop", "deploy", result="y" * 600_000)
    record(host, "shop", "stop", result="z")

    assert [entry.result[0] for entry in audit(host, "shop")] == ["x", "y", "z"]
    sizes = [path.stat().st_size for path in (local(host).home / ".weaver/apps/shop").iterdir()]
    assert max(sizes) < 1_048_576
