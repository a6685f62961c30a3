"""The probe's program really run: by every sh that is here, in homes that are not simple."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from ordinary_rights import ORDINARY
from preflight_hosts import ShellHost

from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.preflight.facts import Facts
from weaver.deployers.ssh.preflight.judge import judge
from weaver.deployers.ssh.preflight.needs import Needs
from weaver.deployers.ssh.preflight.probe import Listener, probe, program_for
from weaver.errors import Unreachable, WeaverError
from weaver.packaging.suits import this_interpreter

SHELLS = [("dash",), ("bash", "--posix"), ("bash",), ("busybox", "sh"), ("ksh",), ("zsh",)]
HERE = [shell for shell in SHELLS if shutil.which(shell[0])] or [("sh",)]
FEW = {"PATH": "/usr/bin:/bin"}  # fewer Pythons to ask: quicker
NAMED = Host(name="h", host="h", python=sys.executable)
PORT = Listener("http", "127.0.0.1", 0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found = tmp_path / "a home of 'mine'"
    found.mkdir()
    return found


def ask(remote: ShellHost, host: Host = NAMED, *listeners: Listener) -> Facts:
    return probe(remote, host, listeners, timeout=30)


@pytest.mark.parametrize("shell", HERE, ids="-".join)
def test_a_host_is_described_in_one_round_trip(shell: tuple[str, ...], home: Path) -> None:
    program = shutil.which(shell[0]) or shell[0]
    remote = ShellHost("h", home, (program, *shell[1:]), FEW, noise=b"WELCOME\nhi\n", umask=0o077)
    found = ask(remote, NAMED, PORT)
    assert remote.trips == 1
    here, uname = this_interpreter(), os.uname()
    assert (found["system"], found["machine"]) == (uname.sysname, uname.machine)
    assert (found["hostname"], found["home"]) == (uname.nodename, str(home))
    assert found["directory"] == f"{home}/.weaver"
    assert (found["existing"], found["writable"], found["obstacle"]) == (str(home), "yes", "")
    assert found["umask"].lstrip("0") == "77"
    assert found["files"].split()[0].isdigit()
    assert found.free_bytes
    first = found.interpreters[0]
    assert (first.version, first.machine, first.libc) == (here.version, here.machine, here.libc)
    assert found.skew is not None
    assert found.skew.least <= 0 <= found.skew.most
    assert [(bind.name, bind.fault) for bind in found.binds] == [("http", "")]
    assert not (home / ".weaver").exists()


def test_the_mount_is_found(home: Path) -> None:
    if not Path("/proc/mounts").is_file():
        pytest.skip("only Linux tells")
    assert {"rw", "ro"} & set(ask(ShellHost("h", home, environ=FEW))["mount"].split()[1].split(","))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_mount_without_blocks_is_found_and_may_not_be_noexec(home: Path) -> None:
    place = msgspec.structs.replace(NAMED, directory="/proc/weaver")
    found = ask(ShellHost("h", home, environ=FEW), place)
    rows = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    (*_, mount) = [row for row in rows if row[1] == "/proc"]
    assert (found["existing"], found["mount"]) == ("/proc", f"{mount[2]} {mount[3]}")
    (verdict,) = [f for f in judge("h", found, Needs()).findings if f.check == "directory"]
    assert ("noexec" in verdict.what) == ("noexec" in mount[3].split(","))


def python_at(path: Path) -> Path:
    """An interpreter that lies where another tool would have installed it."""
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nexec "{os.path.realpath(sys.executable)}" "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "place",
    [
        ".pyenv/versions/3.11.7/bin/python3.11",
        ".local/share/uv/python/cpython-3.11-linux/bin/python3",
        ".local/bin/python3.11",
        ".local/share/mise/installs/python/3.11/bin/python3",
    ],
)
def test_pythons_are_found_where_tools_install_them(place: str, home: Path) -> None:
    python_at(home / place)
    remote = ShellHost("h", home, environ={"PATH": "/usr/bin:/bin"})
    found = ask(remote, Host(name="h", host="h"))
    assert this_interpreter().version in {python.version for python in found.interpreters}


def test_a_python_is_named_from_the_home_directory(home: Path) -> None:
    python_at(home / "my pythons" / "python3")
    host = Host(name="h", host="h", python="~/my pythons/python3")
    found = ask(ShellHost("h", home, environ=FEW), host)
    assert found["given"] == f"{home}/my pythons/python3"
    assert found.interpreters[0].version == this_interpreter().version
    assert found["given-broken"] == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no such program"),
        ("#!/bin/sh\necho 4\n", "it is no Python, and says 4"),
        ("#!/bin/sh\necho broken >&2; exit 3\n", "broken"),
    ],
)
def test_a_named_python_that_cannot_run(text: str | None, reason: str, home: Path) -> None:
    path = home / "python3"
    if text is not None:
        path.write_text(text)
        path.chmod(0o755)
    found = ask(ShellHost("h", home, environ=FEW), Host(name="h", host="h", python=str(path)))
    assert reason in found["given-broken"]


def test_a_module_in_the_home_directory_deceives_nobody(home: Path) -> None:
    for name in ("os", "struct", "json", "socket"):
        (home / f"{name}.py").write_text("raise SystemExit('mine')\n")
    found = ask(ShellHost("h", home, environ=FEW), NAMED, PORT)
    assert found.interpreters
    assert found.binds


def test_a_directory_of_another_place(home: Path) -> None:
    (home / "data" / "releases" / ("a" * 64)).mkdir(parents=True)
    (home / "data" / "apps" / "shop").mkdir(parents=True)
    host = Host(name="h", host="h", directory="~/data", python=sys.executable)
    found = ask(ShellHost("h", home, environ=FEW), host)
    assert (found["directory"], found["existing"]) == (f"{home}/data", f"{home}/data")
    assert found.kept == ("a" * 64,)
    assert found.apps == ("shop",)
    assert found["owner"].split()[2] == found["uid"] == str(os.getuid())


def test_a_file_where_the_directory_should_be(home: Path) -> None:
    (home / ".weaver").write_text("")
    found = ask(ShellHost("h", home, environ=FEW))
    assert found["obstacle"] == f"{home}/.weaver"


def test_a_directory_that_is_read_only(home: Path) -> None:
    home.chmod(0o500)
    assert ask(ShellHost("h", home, (*ORDINARY, "sh"), FEW))["writable"] == "no"


def test_a_port_in_use_and_who_has_it(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        remote = ShellHost("h", home, environ=FEW)
        (bind,) = ask(remote, NAMED, Listener("http", "127.0.0.1", port)).binds
    assert "in use" in bind.fault
    if sys.platform == "linux":
        assert bind.holder[1:] == tuple(argument[:200] for argument in own_command()[1:])


def own_command() -> list[str]:
    return Path("/proc/self/cmdline").read_bytes().decode().rstrip("\0").split("\0")


def test_an_address_that_is_not_the_hosts(home: Path) -> None:
    remote = ShellHost("h", home, environ=FEW)
    (bind,) = ask(remote, NAMED, Listener("http", "192.0.2.1", 0)).binds
    assert bind.fault
    assert bind.holder == ()


@pytest.fixture
def envelope() -> Iterator[int]:
    """A process that is called as an envelope is."""
    program = "import sys; sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "weaver.application.main", "envelope"],
        stdin=subprocess.PIPE,
    )
    yield process.pid
    process.communicate(timeout=50)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_envelopes_that_run_are_found(envelope: int, home: Path) -> None:
    assert f"envelope {envelope}" in ask(ShellHost("h", home, environ=FEW)).running


def test_a_program_that_did_not_arrive_whole_does_nothing(home: Path) -> None:
    text = program_for(NAMED, ())
    cut = text[: text.rindex("main")]
    done = subprocess.run(["sh", "-s"], input=cut.encode(), capture_output=True, check=False)
    assert done.stdout == b""


def test_a_host_that_runs_something_else(home: Path) -> None:
    remote = ShellHost("h", home, ("sh", "-c", "echo no logins >&2; exit 7"))
    with pytest.raises(WeaverError, match="does not run commands with sh") as caught:
        ask(remote)
    assert caught.value.why == "it answered nothing (exit code 7) no logins"


def test_a_host_that_never_answers(home: Path) -> None:
    with pytest.raises(Unreachable):
        probe(ShellHost("h", home, ("sh", "-c", "sleep 20")), NAMED, (), timeout=0.2)
