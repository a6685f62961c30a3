"""Hosts as they are: umasks, shells, old Pythons, spaces, full disks."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from ssh_fakes import host_at, local, members, tree_of, write_pex

from weaver.deployers.ssh.host_call import Call, HostError, RemotePython, call
from weaver.deployers.ssh.upload import Parcel, upload


@pytest.fixture
def host(tmp_path: Path) -> RemotePython:
    return host_at(tmp_path / "home")


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    return Parcel("shop", write_pex(tmp_path / "a.pex"))


def refused(host: RemotePython, parcel: Parcel) -> HostError:
    with pytest.raises(HostError) as caught:
        upload(host, parcel)
    return caught.value


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o022])
def test_only_the_owner_can_read_what_is_on_the_host(
    tmp_path: Path, parcel: Parcel, umask: int
) -> None:
    host = host_at(tmp_path / f"home {umask:o}")
    local(host).prelude = f"umask {umask:03o}; "

    done = upload(host, parcel)

    modes = tree_of(local(host).home)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
    assert modes[".weaver"] == 0o700
    assert stat.S_IMODE(Path(done.python).parents[2].stat().st_mode) == 0o700


def test_a_directory_that_others_can_read_is_closed(tmp_path: Path, parcel: Parcel) -> None:
    host = host_at(tmp_path / "home")
    (local(host).home / ".weaver").mkdir(mode=0o755)
    upload(host, parcel)
    assert tree_of(local(host).home)[".weaver"] == 0o700


@pytest.mark.parametrize("directory", ["~/other place", "other place"])
def test_the_directory_can_be_chosen(tmp_path: Path, parcel: Parcel, directory: str) -> None:
    host = host_at(tmp_path / "home")._replace(directory=directory)
    done = upload(host, parcel)
    assert done.python.startswith(str(tmp_path / "home" / "other place" / "releases"))


@pytest.mark.parametrize(
    "prelude",
    [
        "echo WELCOME; ",
        "printf 'no newline at the end'; ",
        "echo oops >&2; ",
        "printf '\\377\\n'; ",
    ],
)
def test_a_noisy_login_shell_does_not_matter(
    host: RemotePython, parcel: Parcel, prelude: str
) -> None:
    local(host).prelude = prelude
    assert upload(host, parcel).installed


@pytest.mark.parametrize("shell", ["bash", "dash", "fish", "tcsh", "zsh", "ksh"])
def test_the_command_is_the_same_for_every_shell(
    tmp_path: Path, parcel: Parcel, shell: str
) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"there is no {shell} here")
    assert upload(host_at(tmp_path / "home", shell=found), parcel).installed


def other_pythons() -> list[str]:
    found = [shutil.which(f"python3.{minor}") for minor in range(8, 16)]
    home = pwd.getpwuid(os.getuid()).pw_dir  # HOME is that of the tests
    installed = Path(home, ".pyenv", "versions").glob("3.*/bin/python3")
    usable = [str(path) for path in installed if int(path.parts[-3].split(".")[1]) >= 8]
    return sorted({*usable, *(path for path in found if path)})


@pytest.mark.parametrize("python", other_pythons())
def test_any_python_since_38_runs_the_program(tmp_path: Path, parcel: Parcel, python: str) -> None:
    host = host_at(tmp_path / "home")._replace(python=python)
    try:
        done = upload(host, parcel)
    except HostError as error:  # a shim of pyenv whose version is not chosen
        assert "pyenv" in error.why  # noqa: PT017
        return
    assert done.installed


@pytest.mark.parametrize("python", ["/bin/cat", "/nowhere/python3"])
def test_what_is_no_python_is_said_so(host: RemotePython, parcel: Parcel, python: str) -> None:
    error = refused(host._replace(python=python), parcel)
    assert error.kind == "no answer"
    assert python in error.where
    assert "exit code" in error.why


class Disk(NamedTuple):
    """A home that is a small file system; `seen` lists what is on it after a command."""

    host: RemotePython
    seen: Path

    def mounted(self, options: str, *, fill: str = "true") -> RemotePython:
        """The host, whose file system is made anew for each command, and filled first."""
        script = (
            f'mount -t tmpfs -o {options} x "$HOME" && cd "$HOME" && {fill} || exit 9\n'
            f'"$@"; find . > "{self.seen}"'
        )
        local(self.host).prefix = (*NAMESPACE, "sh", "-c", script, "sh")
        return self.host


NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    host = host_at(tmp_path / "home")
    mount = [*NAMESPACE, "mount", "-t", "tmpfs", "x", str(tmp_path / "home")]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file systems cannot be mounted here")
    return Disk(host, tmp_path / "seen")


def test_a_full_disk_is_said_before_anything_is_written(disk: Disk, parcel: Parcel) -> None:
    error = refused(disk.mounted("size=1m"), parcel)
    assert error.kind == "full"
    assert "MB are free" in error.why
    assert "weaver prune" in error.fix
    assert disk.seen.read_text() == ".\n"


def test_too_few_inodes_are_said_before_anything_is_written(disk: Disk, parcel: Parcel) -> None:
    error = refused(disk.mounted("size=100m,nr_inodes=100"), parcel)
    assert error.kind == "full"
    assert "inodes" in error.what
    assert disk.seen.read_text() == ".\n"


@pytest.mark.parametrize(
    ("options", "what"), [("size=300k", "disk is full"), ("nr_inodes=30", "no inodes left")]
)
def test_a_disk_that_fills_up_leaves_nothing_half_made(
    disk: Disk, parcel: Parcel, tmp_path: Path, options: str, what: str
) -> None:
    announced = host_at(tmp_path / "announced")
    [needs] = call(announced, [parcel.announcement(parcel.plain, announce=True)])
    host = disk.mounted(options, fill=f'cp -r "{tmp_path}/announced/.weaver" .')
    arguments = {"app": "shop", "build_id": parcel.build_id}

    with pytest.raises(HostError) as caught:
        call(
            host,
            [Call("receive", "receive", arguments)],
            data=[parcel.plain.message(number) for number in needs["missing"]],
        )

    assert caught.value.kind == "full"
    assert what in caught.value.what
    names = [Path(line).name for line in disk.seen.read_text().splitlines()]
    assert "release.json" in names
    assert [name for name in names if name.startswith(("app.pex", "."))] == [".weaver"]


def test_a_disk_that_fills_up_during_installation_is_said_so(
    host: RemotePython, tmp_path: Path
) -> None:
    failing = b"raise OSError(28, 'No space left on device')"
    content = [(n, failing if n == "__main__.py" else data) for n, data in members()]
    error = refused(host, Parcel("shop", write_pex(tmp_path / "b.pex", content=content)))
    assert error.kind == "full"
    assert "weaver prune" in error.fix
