"""Many hosts side by side: each within its own time, and whoever fails hides nobody."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
from preflight_hosts import ShellHost

from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.preflight import peers
from weaver.deployers.ssh.preflight.judge import Examined
from weaver.deployers.ssh.preflight.needs import Needs
from weaver.deployers.ssh.preflight.peers import Peer, meetings
from weaver.deployers.ssh.preflight.run import Preflight, run_preflight
from weaver.deployers.ssh.remote import Remote
from weaver.errors import Unreachable, WeaverError

FEW = {"PATH": "/usr/bin:/bin"}


class Site:
    """Hosts by name, each with its home; those of `refusing` cannot be connected to."""

    def __init__(self, folder: Path, *names: str, refusing: str = "") -> None:
        self.refusing = refusing
        self.hosts = [
            Host(name=name, host=name, address="127.0.0.1", python=sys.executable) for name in names
        ]
        self.remotes = {name: ShellHost(name, folder / name, environ=FEW) for name in names}
        for remote in self.remotes.values():
            remote.home.mkdir()

    def connect(self, host: Host) -> Remote:
        if host.name == self.refusing:
            raise WeaverError("the host key has changed", why="somebody else?", fix="compare it")
        return self.remotes[host.name]


def levels(examined: Examined) -> dict[str, str]:
    return {found.check: found.level for found in examined.findings}


def by_name(preflight: Preflight) -> dict[str, Examined]:
    return {each.host: each for each in preflight.hosts}


def test_hosts_are_good_and_reach_each_other(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b", "c")
    seen: list[str] = []
    found = run_preflight(
        site.hosts, site.connect, Needs(), told=lambda each: seen.append(each.host)
    )
    assert [each.host for each in found.hosts] == ["a", "b", "c"]
    assert sorted(seen) == ["a", "b", "c"]
    assert found.failed == ()
    assert {levels(each)["peers"] for each in found.hosts} == {"ok"}
    assert {remote.trips for remote in site.remotes.values()} == {1}


def test_one_host_alone_is_asked_once(tmp_path: Path) -> None:
    site = Site(tmp_path, "a")
    (found,) = run_preflight(site.hosts, site.connect, Needs()).hosts
    assert "peers" not in levels(found)
    assert site.remotes["a"].trips == 1


def test_a_host_that_cannot_be_connected_hides_nobody(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b", "c", refusing="b")
    found = by_name(run_preflight(site.hosts, site.connect, Needs()))
    assert levels(found["b"]) == {"connect": "fail"}
    assert found["b"].findings[0].what == "the host key has changed"
    assert levels(found["a"])["peers"] == levels(found["c"])["peers"] == "ok"


def test_a_host_that_never_answers_hides_nobody(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b")
    site.remotes["b"].silent = True
    found = by_name(run_preflight(site.hosts, site.connect, Needs(), patience=1))
    assert "peers" not in levels(found["a"])
    assert levels(found["b"]) == {"connect": "fail"}
    assert not found["a"].failed


def test_a_host_without_a_python_takes_no_part_in_reaching(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b")
    site.hosts[1] = msgspec.structs.replace(site.hosts[1], python="/nowhere/python3")
    found = by_name(run_preflight(site.hosts, site.connect, Needs()))
    assert levels(found["b"])["python"] == "fail"
    assert "peers" not in levels(found["a"])


def test_two_names_of_one_host_are_told_apart_from_two_hosts(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b")
    site.remotes["b"].home = site.remotes["a"].home
    found = run_preflight(site.hosts, site.connect, Needs())
    assert [each.host for each in found.failed] == ["b"]


def test_no_more_than_16_are_asked_at_once(tmp_path: Path) -> None:
    hosts = [Host(name=f"h{n}", host=f"h{n}") for n in range(40)]
    lock = threading.Lock()
    now, most = 0, 0
    crowd = threading.Barrier(16)

    def connect(host: Host) -> Remote:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        if int(host.name[1:]) < 16:
            crowd.wait(timeout=50)
        with lock:
            now -= 1
        raise Unreachable("down", where=host.name)

    found = run_preflight(hosts, connect, Needs())
    assert most == 16
    assert len(found.failed) == 40


def test_a_peer_at_a_wrong_address_is_named(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b")
    site.hosts[1] = msgspec.structs.replace(site.hosts[1], address="no-such-host.invalid")
    found = run_preflight(site.hosts, site.connect, Needs(), patience=3)
    first, second = (each.findings[-1] for each in found.hosts)
    assert (first.host, first.check, first.level) == ("a", "peers", "fail")
    assert "b at no-such-host.invalid" in first.why
    assert (second.check, second.level) == ("peers", "ok")


def _meeting_beside_a_stranger() -> tuple[dict[str, dict[str, object]], socket.socket]:
    """What two hosts are asked, and a socket at the first port of one: others may have it."""
    for _ in range(100):
        asked = meetings([Peer("a", "127.0.0.1"), Peer("b", "127.0.0.1")])
        ports = msgspec.convert(asked["a"]["ports"], list[int])
        with contextlib.suppress(OSError):
            return asked, socket.create_server(("127.0.0.1", ports[0]))
    raise AssertionError("every port was in use")


def test_a_silent_stranger_at_the_port_of_a_peer_is_passed_over() -> None:
    asked, stranger = _meeting_beside_a_stranger()
    program = Path(peers.__file__).with_name("peer_program.py")
    with stranger:
        running = [
            subprocess.Popen(
                [sys.executable, "-I", "-S", str(program), json.dumps(question)],
                stdout=subprocess.PIPE,
            )
            for question in asked.values()
        ]
        told = [json.loads(process.communicate(timeout=30)[0]) for process in running]
    assert told == [{"b": ""}, {"a": ""}]


def test_a_host_where_the_peers_cannot_be_asked_is_a_warning(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b")
    python = tmp_path / "python3"
    python.write_text(f"""#!/bin/sh
case "$*" in *def\\ meet*) echo no threads >&2; exit 1 ;; esac
exec {sys.executable} "$@"
""")
    python.chmod(0o755)
    site.hosts[1] = msgspec.structs.replace(site.hosts[1], python=str(python))
    found = run_preflight(site.hosts, site.connect, Needs(), patience=3)
    first, second = (each.findings[-1] for each in found.hosts)
    assert [first.level, second.level] == ["fail", "warn"]
    assert (second.what, second.why) == ("its peers are not examined", "no threads")
    assert levels(found.hosts[1])["python"] == "ok"
