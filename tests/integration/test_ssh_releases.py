"""Releases on a host: current, good, list, prune. The program really runs."""

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ssh_fakes import host_at, local, write_pex

from weaver.deployers.ssh.deploy_lock import lock
from weaver.deployers.ssh.host.running import idle, is_running
from weaver.deployers.ssh.host_call import HostError, RemotePython
from weaver.deployers.ssh.releases import make_current, prune, releases
from weaver.deployers.ssh.upload import Parcel, plan, upload


@pytest.fixture
def host(tmp_path: Path) -> RemotePython:
    return host_at(tmp_path / "home")


def deployed(host: RemotePython, name: str, *, good: bool = True, app: str = "shop") -> Parcel:
    """Upload a build that differs from the others by `name`, and make it current if it is good."""
    path = local(host).home.parent / f"{app}-{name}.pex"
    parcel = Parcel(app, write_pex(path, part30=f"{app}{name}"))
    upload(host, parcel)
    if good:
        make_current(host, app, parcel.build_id, good=True)
    return parcel


def folder(host: RemotePython, parcel: Parcel) -> Path:
    return local(host).home / ".weaver" / "releases" / parcel.build_id


def hold(release: Path) -> int:
    """As an envelope does."""
    descriptor = os.open(release / "running", os.O_RDONLY | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


@pytest.fixture
def held(host: RemotePython) -> Iterator[list[int]]:
    descriptors: list[int] = []
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_nothing_is_known_of_a_new_host(host: RemotePython) -> None:
    assert releases(host) == ()
    assert prune(host, "shop").removed == ()
    assert not (local(host).home / ".weaver").exists()


def test_releases_are_listed_with_what_is_known_of_them(host: RemotePython) -> None:
    first, second = deployed(host, "1"), deployed(host, "2", good=False)
    deployed(host, "1", app="other")

    newer, older = releases(host, "shop")

    assert (newer.build_id, older.build_id) == (second.build_id, first.build_id)
    assert (newer.current, newer.good, newer.installed, newer.complete) == (False, 0.0, True, True)
    assert (older.current, older.good > 0, older.running) == (True, True, False)
    assert newer.time >= older.time > 1e9
    assert newer.size > second.size
    assert {release.app for release in releases(host)} == {"shop", "other"}


def test_current_is_a_link_that_moves_at_once(host: RemotePython) -> None:
    first = deployed(host, "1")
    link = local(host).home / ".weaver" / "apps" / "shop" / "current"
    assert link.resolve() == folder(host, first)
    second = deployed(host, "2", good=False)
    assert link.resolve() == folder(host, first)

    before = make_current(host, "shop", second.build_id, good=False)

    assert before == first.build_id
    assert link.resolve() == folder(host, second)
    assert not releases(host, "shop")[0].good


def test_only_an_installed_release_of_the_application_can_be_current(host: RemotePython) -> None:
    other = deployed(host, "1", app="other")
    with pytest.raises(HostError) as caught:
        make_current(host, "shop", other.build_id, good=True)
    assert caught.value.kind == "not installed"
    with pytest.raises(HostError) as caught:
        make_current(host, "shop", "0" * 64, good=True)
    assert caught.value.kind == "unknown"


def test_prune_keeps_good_releases_and_removes_what_only_the_others_needed(
    host: RemotePython,
) -> None:
    old = [deployed(host, str(n)) for n in range(4)]
    failed = deployed(host, "failed", good=False)
    last = deployed(host, "last")
    blobs = local(host).home / ".weaver" / "blobs"
    before = {blob.name for blob in blobs.iterdir()}

    done = prune(host, "shop", keep=2)

    assert set(done.removed) == {old[0].build_id, old[1].build_id, old[2].build_id, failed.build_id}
    assert done.kept == {last.build_id: "current", old[3].build_id: "previous"}
    assert done.freed > 4 * last.size
    assert {release.build_id for release in releases(host)} == set(done.kept)
    assert {blob.name for blob in blobs.iterdir()} < before
    assert plan(host, last) == (0, False)
    assert 0 < plan(host, old[0]).bytes_to_send < 6_000  # the chunks that others share are there
    assert sorted(path.name for path in folder(host, last).parent.iterdir()) == sorted(done.kept)


def test_prune_never_removes_the_current_and_the_previous_good_one(host: RemotePython) -> None:
    first, second, third = deployed(host, "1"), deployed(host, "2"), deployed(host, "3")
    make_current(host, "shop", first.build_id, good=True)  # back to the first

    done = prune(host, "shop", keep=0)

    assert done.kept == {first.build_id: "current", third.build_id: "previous"}
    assert done.removed == (second.build_id,)


def test_prune_does_not_count_a_release_that_was_never_good(host: RemotePython) -> None:
    good = deployed(host, "1")
    for n in range(3):
        deployed(host, f"failed{n}", good=False)
    make_current(host, "shop", deployed(host, "4", good=False).build_id, good=False)

    done = prune(host, "shop", keep=1)

    assert done.kept[good.build_id] == "previous"
    assert sorted(done.kept.values()) == ["current", "previous"]


def test_prune_never_removes_a_release_that_runs(host: RemotePython, held: list[int]) -> None:
    running, other = deployed(host, "1", good=False), deployed(host, "2", good=False)
    deployed(host, "3")
    held.append(hold(folder(host, running)))
    assert [r.build_id for r in releases(host) if r.running] == [running.build_id]

    done = prune(host, "shop", keep=1)

    assert done.kept[running.build_id] == "running"
    assert done.removed == (other.build_id,)
    os.close(held.pop())
    assert prune(host, "shop", keep=1).removed == (running.build_id,)


def test_who_looks_whether_a_release_runs_disturbs_nobody(
    host: RemotePython, held: list[int]
) -> None:
    release = folder(host, deployed(host, "1"))
    assert not is_running(release)
    held.extend([hold(release), hold(release)])
    assert is_running(release)
    os.close(held.pop())
    assert is_running(release)
    os.close(held.pop())
    assert not is_running(release)


def test_nothing_starts_from_a_release_that_is_being_removed(host: RemotePython) -> None:
    release = folder(host, deployed(host, "1"))
    with idle(release) as nothing_runs:
        assert nothing_runs
        descriptor = os.open(release / "running", os.O_RDONLY)
        with pytest.raises(BlockingIOError), os.fdopen(descriptor) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_chunks_of_another_application_stay(host: RemotePython) -> None:
    shop, other = deployed(host, "1"), deployed(host, "1", app="other")
    deployed(host, "2")
    deployed(host, "3")

    done = prune(host, "shop", keep=1)

    assert shop.build_id in done.removed
    assert plan(host, other) == (0, False)
    (folder(host, other) / "app.pex").unlink()
    assert plan(host, other).bytes_to_send == 0


def test_a_dry_run_removes_nothing(host: RemotePython) -> None:
    old = deployed(host, "1")
    deployed(host, "2")
    deployed(host, "3")

    told = prune(host, "shop", keep=1, only_tell=True)

    assert told.removed == (old.build_id,)
    assert told.freed == 0
    assert len(releases(host)) == 3
    assert prune(host, "shop", keep=1).removed == told.removed


def test_prune_waits_for_the_deploy_of_somebody_else(host: RemotePython) -> None:
    deployed(host, "1")
    lock(host, "shop", "theirs", "a deploy")
    with pytest.raises(HostError) as caught:
        prune(host, "shop")
    assert caught.value.kind == "locked"
    assert prune(host, "shop", token="theirs").removed == ()


def test_what_a_killed_prune_has_left_is_removed(host: RemotePython) -> None:
    parcel = deployed(host, "1")
    aside = folder(host, parcel).parent / f".removed-{'0' * 64}"
    aside.mkdir()
    (aside / "app.pex").write_text("half of it")
    part = local(host).home / ".weaver" / "blobs" / ".half.1234"
    part.write_text("half of it")

    assert [release.build_id for release in releases(host)] == [parcel.build_id]
    prune(host, "shop")

    assert not aside.exists()
    assert not part.exists()


def test_what_a_killed_envelope_has_left_is_removed(host: RemotePython) -> None:
    deployed(host, "a")
    run = local(host).home / ".weaver" / "run"
    for name in ("killed", "starting", "listening"):
        (run / name).mkdir(parents=True)
        (run / name / "shop-1-0123abcd.sock").touch()
    with socket.socket(socket.AF_UNIX) as envelope:
        envelope.bind(str(run / "listening" / "e.sock"))
        envelope.listen()
        for name in ("killed", "listening"):
            os.utime(run / name, (1e9, 1e9))
        prune(host, "shop")
    assert {path.name for path in run.iterdir()} == {"starting", "listening"}


def test_bytecode_that_no_release_has_is_removed(host: RemotePython) -> None:
    parcel = deployed(host, "1")
    cache = local(host).home / ".weaver" / "compiled" / "cpython-311"
    cache.mkdir(parents=True)
    (cache / "used").write_text("bytecode")
    (cache / "unused").write_text("bytecode")
    (folder(host, parcel) / "used.pyc").hardlink_to(cache / "used")

    prune(host, "shop")

    assert [path.name for path in cache.iterdir()] == ["used"]


def test_the_cache_of_pex_keeps_what_remaining_releases_have(host: RemotePython) -> None:
    deployed(host, "1")
    cache = local(host).home / ".weaver" / "pex"
    unused = cache / "installed_wheels" / "3" / ("a" * 64)
    unused.mkdir(parents=True)
    (cache / "interpreters" / "2" / ("b" * 40)).mkdir(parents=True)

    prune(host, "shop")

    assert not unused.exists()
    assert (cache / "interpreters" / "2" / ("b" * 40)).is_dir()
