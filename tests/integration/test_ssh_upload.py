"""Upload and installation of a release: the program really runs, in homes of its own."""

import json
import signal
import subprocess
import threading
import zlib
from pathlib import Path

import pytest
from ssh_fakes import host_at, local, members, write_pex

from weaver.deployers.ssh.host.receive import HEADER
from weaver.deployers.ssh.host_call import Call, HostError, RemotePython, call
from weaver.deployers.ssh.host_program import command, packed, program
from weaver.deployers.ssh.upload import Parcel, Uploaded, plan, upload
from weaver.errors import Unreachable


@pytest.fixture
def host(tmp_path: Path) -> RemotePython:
    return host_at(tmp_path / "home")


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    return Parcel("shop", write_pex(tmp_path / "a.pex"))


def release_of(host: RemotePython, parcel: Parcel) -> Path:
    return local(host).home / ".weaver" / "releases" / parcel.build_id


def installations(host: RemotePython) -> int:
    return len((local(host).home / ".weaver" / "pex.log").read_text().splitlines())


def refused(host: RemotePython, parcel: Parcel) -> HostError:
    with pytest.raises(HostError) as caught:
        upload(host, parcel)
    return caught.value


def test_a_build_is_uploaded_and_installed_in_two_round_trips(
    host: RemotePython, parcel: Parcel, tmp_path: Path
) -> None:
    steps: list[tuple[str, int, int]] = []

    def step(name: str, sent: int, total: int) -> None:
        steps.append((name, sent, total))

    done = upload(host, parcel, step)

    assert local(host).runs == 2
    release = release_of(host, parcel)
    assert (release / "app.pex").read_bytes() == (tmp_path / "a.pex").read_bytes()
    assert done.installed
    assert done.python == str(release / "venv" / "bin" / "python")
    assert Path(done.python).exists()
    assert steps[-1] == ("web1", done.sent, done.sent)
    assert [sent for _, sent, _ in steps] == sorted(sent for _, sent, _ in steps)


def test_an_unchanged_build_costs_one_round_trip_and_no_byte(
    host: RemotePython, parcel: Parcel
) -> None:
    first = upload(host, parcel)
    local(host).runs = 0

    again = upload(host, parcel)

    assert again == Uploaded(first.python, 0, installed=False)
    assert local(host).runs == 1
    assert plan(host, parcel) == (0, False)


def test_a_plan_tells_what_would_be_sent_and_changes_nothing(
    host: RemotePython, parcel: Parcel
) -> None:
    planned = plan(host, parcel)
    assert not (local(host).home / ".weaver").exists()

    done = upload(host, parcel)

    assert planned == (done.sent, True)


def test_an_edit_of_one_module_sends_little(
    host: RemotePython, parcel: Parcel, tmp_path: Path
) -> None:
    upload(host, parcel)
    changed = Parcel("shop", write_pex(tmp_path / "b.pex", part30="edited"))
    local(host).sent = 0

    done = upload(host, changed)

    assert 0 < done.sent < 6_000
    assert local(host).sent < 20_000  # with the programs and the digests of all chunks
    assert (release_of(host, changed) / "app.pex").read_bytes() == (tmp_path / "b.pex").read_bytes()


def test_an_interrupted_upload_goes_on_where_it_ended(host: RemotePython, parcel: Parcel) -> None:
    whole = plan(host, parcel).bytes_to_send
    local(host).break_after = local(host).sent + whole // 2

    with pytest.raises(Unreachable):
        upload(host, parcel)
    assert not (release_of(host, parcel) / "app.pex").exists()
    rest = upload(host, parcel).sent

    assert 0 < rest < whole * 0.9
    assert installations(host) == 1


def test_a_chunk_altered_on_its_way_is_refused(
    host: RemotePython, parcel: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = parcel.plain.message(4)[HEADER.size :]  # whole, but not the one that was asked for
    monkeypatch.setitem(parcel.plain.packed, 3, HEADER.pack(3, len(another)) + another)

    error = refused(host, parcel)

    assert error.kind == "altered"
    assert error.host == "web1"
    assert "chunk 3 does not have its digest" in error.why
    assert not (release_of(host, parcel) / "app.pex").exists()
    assert not (release_of(host, parcel) / "venv").exists()


def test_bytes_that_are_no_chunk_are_refused(
    host: RemotePython, parcel: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        parcel.plain.packed,
        0,
        parcel.plain.message(0)[:8] + bytes(len(parcel.plain.message(0)) - 8),
    )
    assert refused(host, parcel).kind == "altered"


def test_chunks_that_do_not_make_the_build_are_refused(
    host: RemotePython, parcel: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcel, "build_id", "f" * 64)

    error = refused(host, parcel)

    assert error.kind == "altered"
    assert "SHA-256" in error.why
    assert [path.name for path in release_of(host, parcel).glob("app*")] == []


def test_a_file_altered_on_the_host_is_never_installed(host: RemotePython, parcel: Parcel) -> None:
    upload(host, parcel)
    release = release_of(host, parcel)
    (release / "venv").unlink()
    with (release / "app.pex").open("r+b") as file:
        file.seek(5000)
        file.write(b"altered")

    assert refused(host, parcel).kind == "altered"
    assert upload(host, parcel).installed  # made again, from the chunks that are there


def test_a_damaged_chunk_on_the_host_is_sent_again(
    host: RemotePython, parcel: Parcel, tmp_path: Path
) -> None:
    upload(host, parcel)
    blobs = sorted((local(host).home / ".weaver" / "blobs").iterdir())
    for blob in blobs:
        blob.write_bytes(blob.read_bytes() + b"!")
    changed = Parcel("shop", write_pex(tmp_path / "b.pex", part30="edited"))

    done = upload(host, changed)

    assert done.installed
    assert done.sent == plan(host_at(tmp_path / "other"), changed).bytes_to_send


def test_a_host_with_another_zlib_gets_the_file_as_it_is(
    host: RemotePython, parcel: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zlib, "ZLIB_RUNTIME_VERSION", "1.3.1.zlib-ng")
    planned = plan(host, parcel)
    local(host).runs = 0

    done = upload(host, parcel)

    assert planned.bytes_to_send == done.sent
    assert parcel.as_it_is.packed
    assert not parcel.plain.packed
    assert local(host).runs == 3
    assert done.installed


def test_a_zlib_that_is_another_one_silently_is_noticed(host: RemotePython, parcel: Parcel) -> None:
    """As if members were packed there in another way: the file does not have its SHA-256."""
    restoring = parcel.plain.parts.restoring
    assert restoring is not None
    parcel.plain.parts = parcel.plain.parts._replace(restoring=(restoring[0], restoring[1] + 1))

    done = upload(host, parcel)

    assert done.installed
    assert done.sent > plan(host_at(local(host).home / "other"), parcel).bytes_to_send
    assert sorted(path.name for path in release_of(host, parcel).glob("*.p*")) == ["app.pex"]


def test_many_deploys_at_once_install_once(host: RemotePython, parcel: Parcel) -> None:
    results: list[Uploaded] = []
    threads = [
        threading.Thread(target=lambda: results.append(upload(host_at(local(host).home), parcel)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)

    assert [result.installed for result in results].count(True) == 1
    assert len({result.python for result in results}) == 1
    assert len(results) == 4
    assert installations(host) == 1


def test_an_installation_that_was_killed_is_made_anew(host: RemotePython, parcel: Parcel) -> None:
    upload(host, parcel)
    release = release_of(host, parcel)
    (release / "venv").rename(release / "venv.part")
    (release / "tree" / "half").write_text("")

    assert upload(host, parcel).installed
    assert not (release / "tree" / "half").exists()
    assert not (release / "venv.part").is_symlink()


def test_a_failed_installation_says_why_and_leaves_nothing(
    host: RemotePython, tmp_path: Path
) -> None:
    content = [
        (name, b"import os, sys\nos.makedirs(sys.argv[3])\nsys.exit('no wheel for this Python')")
        if name == "__main__.py"
        else (name, data)
        for name, data in members()
    ]
    parcel = Parcel("shop", write_pex(tmp_path / "bad.pex", content=content))

    error = refused(host, parcel)

    assert error.kind == "install"
    assert "no wheel for this Python" in error.why
    assert not (release_of(host, parcel) / "tree").exists()
    assert not (release_of(host, parcel) / "venv").exists()


def test_a_release_for_another_python_is_refused(host: RemotePython, tmp_path: Path) -> None:
    content = [*list(members())[:-1], ("weaver_manifest.json", b'{"python": "3.99"}')]
    parcel = Parcel("shop", write_pex(tmp_path / "bad.pex", content=content))

    error = refused(host, parcel)

    assert error.kind == "python"
    assert "built for Python 3.99" in error.why


def test_an_unknown_release_is_not_received(host: RemotePython) -> None:
    arguments = {"app": "shop", "build_id": "0" * 64}
    with pytest.raises(HostError) as caught:
        call(host, [Call("receive", "receive", arguments)])
    assert caught.value.kind == "unknown"


@pytest.mark.parametrize("name", ["../other", "", ".hidden", "a/b", "a\n"])
def test_no_application_is_outside_of_its_folder(host: RemotePython, name: str) -> None:
    with pytest.raises(HostError) as caught:
        call(
            host,
            [Call("releases", "make_current", {"app": name, "build_id": "0" * 64, "good": False})],
        )
    assert caught.value.kind == "usage"


def test_a_defect_of_the_program_is_reported_with_its_line(host: RemotePython) -> None:
    with pytest.raises(HostError) as caught:
        call(host, [Call("missing", "missing", {})])
    assert caught.value.kind == "defect"
    assert "TypeError" in caught.value.why


def test_a_program_whose_caller_has_gone_silent_ends_itself(
    host: RemotePython, parcel: Parcel
) -> None:
    """A connection that is cut without a word leaves it waiting for bytes, with its locks."""
    call(host, [parcel.announcement(parcel.plain, announce=True)])
    arguments = {"app": "shop", "build_id": parcel.build_id}
    request = json.dumps(["", [["receive", "receive", arguments]], 1]).encode()
    process = subprocess.Popen(
        ["/bin/sh", "-c", command(host.python)],
        env={"HOME": str(local(host).home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(program(frozenset(["receive"])) + packed(request))
        process.stdin.flush()
        assert process.wait(30) == -signal.SIGALRM
