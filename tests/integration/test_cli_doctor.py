"""`weaver doctor`: over real sshd and for this machine; what it prints, and its exit code."""

import json
import socket
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ssh_hosts import Kind, Operator, running_hosts

from weaver.cli.failed_hosts import remember
from weaver.cli.main import execute
from weaver.packaging.suits import this_interpreter

# Found by no search, but named in hosts.txt: what an application needs is decided by the tests.
PYTHON = f"python={sys.executable}"


def write_pex(path: Path, wheel: str, python: str = "", address: str = "127.0.0.1:0") -> Path:
    """A file with all that is read of a PEX, and nothing that could be run."""
    told = {
        "weaver": "0.1.0",
        "app": "shop",
        "entry": "shop:Web",
        "python": python or this_interpreter().minor,
        "listeners": ["http"],
        "components": [{"name": "shop.Web", "short_name": "Web", "listeners": ["http"]}],
        "config": f'[app]\nentry = "shop:Web"\n[listeners.http]\naddress = "{address}"\n',
    }
    with zipfile.ZipFile(path, "w") as pex:
        pex.writestr("PEX-INFO", json.dumps({"distributions": {wheel: "0"}}))
        pex.writestr("weaver_manifest.json", json.dumps(told))
    return path


@pytest.fixture
def pex(tmp_path: Path) -> Path:
    return write_pex(tmp_path / "shop.pex", "click-8-py3-none-any.whl")


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and findings that are not ok by host and check, as their levels."""
    code = execute(["doctor", "--json", *arguments])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, found


def faults(found: dict[str, Any]) -> dict[str, list[str]]:
    return {
        host["host"]: [f["check"] for f in host["findings"] if f["level"] == "fail"]
        for host in found["hosts"]
    }


def list_hosts(operator: Operator, *, named: str = PYTHON) -> str:
    lines = [f"{host.name} address={host.address} {named}\n" for host in operator.hosts]
    operator.hosts_txt.write_text("".join(lines))
    return str(operator.hosts_txt)


def contents(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name not in {".ssh", ".bashrc"})


def test_only_the_hosts_that_a_deploy_has_failed_on(
    ssh_hosts: Operator,
    pex: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    remember("shop", ["alpha", "beta", "gamma"], ["beta"])
    listed = ("--ssh", list_hosts(ssh_hosts), "--limit", "@failed")
    _, found = run_json(capsys, str(pex), *listed)
    assert [host["host"] for host in found["hosts"]] == ["beta"]
    monkeypatch.chdir(tmp_path)
    assert execute(["doctor", *listed]) == 2
    assert "name its weaver.toml or PEX" in capsys.readouterr().err


def test_three_good_hosts(
    ssh_hosts: Operator, pex: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [contents(host.home) for host in ssh_hosts.hosts]
    code, found = run_json(capsys, str(pex), "--ssh", list_hosts(ssh_hosts))
    assert faults(found) == {"alpha": [], "beta": [], "gamma": []}
    assert code == 0
    for host, listed in zip(ssh_hosts.hosts, found["hosts"], strict=True):
        assert listed["facts"]["home"] == str(host.home)
        assert listed["python"]
        assert "peers" in {f["check"] for f in listed["findings"]}
    assert [contents(host.home) for host in ssh_hosts.hosts] == before


def test_each_host_is_asked_once(ssh_hosts: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = list_hosts(ssh_hosts)
    assert run_json(capsys, "--ssh", hosts, "--limit", "alpha")[0] == 0
    assert ssh_hosts["alpha"].log.count("Starting session") == 1
    assert "Starting session" not in ssh_hosts["beta"].log


def test_one_bad_host_does_not_hide_the_others(
    ssh_hosts: Operator, pex: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = list_hosts(ssh_hosts)
    ssh_hosts.know(ssh_hosts["alpha"], ssh_hosts["gamma"])
    code = execute(["doctor", str(pex), "--ssh", hosts])
    printed = capsys.readouterr()
    assert code == 1
    rows = {line.split()[0]: line.split()[1] for line in printed.out.splitlines()[1:4]}
    assert rows == {"alpha": "ok", "beta": "FAIL", "gamma": "ok"}
    assert "1 problem, no warnings" in printed.out
    assert "error: beta: " in printed.err
    assert ssh_hosts["beta"].fingerprint in printed.err


def test_a_new_host_key_is_accepted_when_asked_for(
    ssh_hosts: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = list_hosts(ssh_hosts)
    ssh_hosts.know()
    code, _ = run_json(capsys, "--ssh", hosts, "--accept-new")
    assert code == 0
    assert len(ssh_hosts.known_hosts.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    "kind",
    [
        Kind(bashrc="echo WELCOME; echo noise >&2\n"),
        Kind(home="a home of 'mine'", umask="077"),
        Kind(sshd=("MaxSessions 1", "AllowStreamLocalForwarding no")),
    ],
    ids=["noisy", "spaces", "one session"],
)
def test_a_host_that_is_not_plain(kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    with running_hosts(kind) as operator:
        code, found = run_json_at(operator, capsys)
        assert (code, faults(found)) == (0, {"alpha": []})
        assert found["hosts"][0]["facts"]["home"] == str(operator["alpha"].home)


def test_a_login_shell_that_knows_no_syntax(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = tmp_path / "wordshell"
    program = "import os, sys; words = sys.argv[2].split(); os.execvp(words[0], words)"
    shell.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c \'{program}\' "$@"\n')
    shell.chmod(0o755)
    with running_hosts(Kind(shell=str(shell))) as operator:
        code, found = run_json_at(operator, capsys)
    assert (code, faults(found)) == (0, {"alpha": []})


def test_a_host_that_allows_no_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with running_hosts(Kind(bashrc="echo files only\nexit 1\n")) as operator:
        code, found = run_json_at(operator, capsys)
    assert (code, faults(found)) == (1, {"alpha": ["connect"]})
    assert "files only" in found["hosts"][0]["findings"][0]["why"]


def run_json_at(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEAVER_SSH_CONFIG", str(operator.config))
        return run_json(capsys, "--ssh", list_hosts(operator))


def test_wheels_of_another_architecture(
    ssh_hosts: Operator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    minor = this_interpreter().minor.replace(".", "")
    wheel = f"msgspec-1-cp{minor}-cp{minor}-manylinux_2_17_s390x.whl"
    path = write_pex(tmp_path / "shop.pex", wheel)
    code, found = run_json(capsys, str(path), "--ssh", list_hosts(ssh_hosts), "--limit", "beta")
    assert (code, faults(found)) == (1, {"beta": ["system"]})


def test_a_python_that_the_pex_is_not_for(
    ssh_hosts: Operator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_pex(tmp_path / "shop.pex", "click-8-py3-none-any.whl", python="3.99")
    code, found = run_json(capsys, str(path), "--ssh", list_hosts(ssh_hosts), "--limit", "beta")
    assert (code, faults(found)) == (1, {"beta": ["python"]})


def test_a_listener_that_somebody_else_has(
    ssh_hosts: Operator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        path = write_pex(tmp_path / "shop.pex", "click-8-py3-none-any.whl", address=address)
        hosts = list_hosts(ssh_hosts)
        code, found = run_json(capsys, str(path), "--ssh", hosts, "--limit", "gamma")
    assert (code, faults(found)) == (1, {"gamma": ["ports"]})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a weaver.toml, and directories of its own for weaver."""
    for name in ("CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_this_machine_without_an_application(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = run_json(capsys)
    assert (code, faults(found), found["problems"]) == (0, {"this machine": []}, [])
    assert found["hosts"][0]["python"] == sys.executable


def test_this_machine_and_a_pex_for_another_python(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_pex(here / "shop.pex", "click-8-py3-none-any.whl", python="3.99")
    assert execute(["doctor", str(path)]) == 1
    printed = capsys.readouterr()
    assert "this machine: this Python cannot run the application" in printed.err
    assert "run weaver with Python 3.99" in printed.err


def test_this_machine_and_a_directory_that_cannot_be_made(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    obstacle = here / "file"
    obstacle.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(obstacle))
    code, found = run_json(capsys)
    assert (code, faults(found)) == (1, {"this machine": ["directory"]})


def test_an_application_that_cannot_be_built_hides_no_host(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "weaver.toml").write_text('[app]\nentry = "shop:Web"\n[grups.x]\n')
    code, found = run_json(capsys)
    assert code == 1
    assert "grups" in found["problems"][0]["what"]
    assert found["hosts"][0]["ok"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ssh", "nowhere/hosts.txt"], "there is no file nowhere/hosts.txt"),
        (["--ssh", "web1:99999"], "no port"),
        (["--ssh", "web1,web2", "--limit", "web3"], 'no host or group "web3"'),
        (["--accept-new"], "--limit and --accept-new are about hosts"),
    ],
)
def test_wrong_usage(
    arguments: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["doctor", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_host_that_is_down_is_told_as_such(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        code = execute(["doctor", "--ssh", f"127.0.0.1:{unused.getsockname()[1]}"])
    printed = capsys.readouterr()
    assert code == 1
    assert "nothing listens" in printed.err
    assert "1 problem" in printed.out
