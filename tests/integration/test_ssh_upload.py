"""Upload and installation of a release: the program really runs, in homes of its own."""

from pathlib import Path

from ssh_fakes import host_at, local, write_pex

from weaver.deployers.ssh.upload import Parcel, plan, upload


def test_a_build_is_uploaded_and_installed_in_two_round_trips(tmp_path: Path) -> None:
    host = host_at(tmp_path / "home")
    path = write_pex(tmp_path / "a.pex")
    parcel = Parcel("shop", path)
    steps: list[tuple[str, int, int]] = []

    done = upload(host, parcel, lambda *step: steps.append(step))

    assert local(host).runs == 2
    release = tmp_path / "home" / ".weaver" / "releases" / parcel.build_id
    assert (release / "app.pex").read_bytes() == path.read_bytes()
    assert done.installed
    assert done.python == str(release / "venv" / "bin" / "python")
    assert Path(done.python).exists()
    assert steps[-1] == ("web1", done.sent, done.sent)


def test_an_unchanged_build_costs_one_round_trip_and_no_byte(tmp_path: Path) -> None:
    host = host_at(tmp_path / "home")
    parcel = Parcel("shop", write_pex(tmp_path / "a.pex"))
    first = upload(host, parcel)
    local(host).runs = 0

    again = upload(host, parcel)

    assert (again.sent, again.installed, again.python) == (0, False, first.python)
    assert local(host).runs == 1
    assert plan(host, parcel) == (0, False)
