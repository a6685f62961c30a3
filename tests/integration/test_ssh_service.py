"""`--service`: a unit of systemd for each envelope. systemd itself is a script on PATH here."""

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_hosts import LocalHosts, Watched
from multi_run_shop import until

from weaver.control.messages import Attach, End
from weaver.control.stream import encode
from weaver.deployers.ssh.preparation import Preparation
from weaver.deployers.ssh.service import unit_name, unit_text
from weaver.deployers.ssh.site import Site

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >>"$HOME/systemctl.log"
case "$*" in *{failing}*) echo "it fails" >&2; exit 1;; esac
"""
NAME = "weaver-shop-d1.service"


def fake(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


def enabled(hosts: LocalHosts) -> tuple[dict[str, Site], dict[str, str]]:
    sites = {
        host.name: Site(host=host, python=f"/w {host.name}/releases/r/venv/bin/python")
        for host in hosts.listed
    }
    with Preparation("shop", hosts.listed, hosts.client, Watched()) as work:
        work.examine_briefly()
        return work.enable_units("shop", "d1", sites)


def test_a_unit_is_enabled_where_systemd_manages_the_users_and_else_told(tmp_path: Path) -> None:
    hosts = LocalHosts(tmp_path, "good", "nolinger", "none", "failing")
    for name, failing in (("good", "nothing"), ("nolinger", "nothing"), ("failing", "enable")):
        connection = hosts.connections[name]
        fake(connection.home / "bin", "systemctl", SYSTEMCTL.format(failing=failing))
        code = 0 if name == "good" else 1
        fake(connection.home / "bin", "loginctl", f"#!/bin/sh\nexit {code}\n")
        connection.prelude = "PATH=$HOME/bin:$PATH; export PATH\n"
    fake(hosts.connections["none"].home / "bin", "systemctl", "#!/bin/sh\nexit 1\n")
    hosts.connections["none"].prelude = "PATH=$HOME/bin:$PATH; export PATH\n"

    sites, why = enabled(hosts)

    assert {name: site.unit for name, site in sites.items()} == {
        "good": NAME,
        "nolinger": NAME,
        "none": "",
        "failing": "",
    }
    assert "lingering" in why["nolinger"]
    assert why["none"] == "systemd manages no units of the user"
    assert why["failing"] == "it fails"
    assert "good" not in why
    units = {name: c.home / ".config/systemd/user" / NAME for name, c in hosts.connections.items()}
    assert [name for name, path in units.items() if path.exists()] == ["good", "nolinger"]
    assert units["good"].stat().st_mode & 0o077 == 0
    text = units["good"].read_text()
    assert f'"--unit" "{NAME}"' in text
    assert "\nWorkingDirectory=/w good\n" in text
    log = (hosts.connections["good"].home / "systemctl.log").read_text()
    assert f"--user daemon-reload\n--user enable {NAME}\n" in log

    with Preparation("shop", hosts.listed, hosts.client, Watched()) as work:
        work.examine_briefly()
        work.remove_units(sites)
    assert not any(path.exists() for path in units.values())


def test_words_of_a_unit_are_as_systemd_reads_them() -> None:
    text = unit_text("a%n", ['/a b/"p"', "$HOME", "50%", "\\"], "/w/%h")
    assert r'ExecStart="/a b/\"p\"" "$$HOME" "50%%" "\\"' in text
    assert "WorkingDirectory=/w/%%h\n" in text
    assert "Description=weaver: replicas of a%%n\n" in text
    assert unit_name("my/app", "d1") == "weaver-my_app-d1.service"


def test_an_envelope_is_started_by_its_unit_or_else_without(tmp_path: Path) -> None:
    site = Site(host=LocalHosts(tmp_path, "a").listed[0], python="/w/releases/r/venv/bin/python")
    assert "systemctl" not in site.start("d1")
    assert "--unit" not in site.command("d1")
    with_unit = Site(host=site.host, python=site.python, unit=NAME).start("d1")
    *_, first, second = with_unit.splitlines()
    assert first == f"systemctl --user start {NAME} </dev/null && exit 0"
    assert shlex.split(second.removesuffix(" </dev/null"))[-2:] == ["--unit", NAME]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="wsv-", dir="/tmp") as name:
        yield Path(name)


def test_an_envelope_of_a_unit_waits_without_orders_and_removes_the_unit_at_its_end(
    folder: Path,
) -> None:
    path = folder / "run" / "e.sock"
    units = folder / "systemd" / "user"
    (units / "default.target.wants").mkdir(parents=True)
    (units / NAME).touch()
    (units / "default.target.wants" / NAME).symlink_to(units / NAME)
    command = [sys.executable, "-m", "weaver.envelope.main", "--socket", str(path)]
    command += ["--host", "a", "--unit", NAME, "--ended", str(folder / "ended")]
    environ = os.environ | {"XDG_CONFIG_HOME": str(folder)}
    with subprocess.Popen(command, env=environ) as envelope:
        try:
            until(path.exists)
            with connected(path) as first:  # a manager that goes before it has ordered anything
                first.sendall(encode(Attach("d1", 1)))
                assert re.search(b"Attached", first.recv(65536))
            with connected(path) as second:
                second.settimeout(20)
                second.sendall(encode(Attach("d1", 2)))
                heartbeats = b""
                while heartbeats.count(b"Heartbeat") < 4:  # longer than LOST_GRACE
                    heartbeats += second.recv(65536)
                assert (units / NAME).exists()
                second.sendall(encode(End()))
                with contextlib.suppress(ConnectionError):
                    while second.recv(65536):
                        pass
            assert envelope.wait(20) == 0
        finally:
            envelope.kill()
    assert not (units / NAME).exists()
    assert not (units / "default.target.wants" / NAME).is_symlink()


def connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(path))
    return connection
