"""Connections to real sshd processes: commands, their input and output, and how they end."""

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from ssh_hosts import PATIENCE, Kind, Operator, eventually, running_hosts

from weaver.deployers.ssh.client import Client, connect
from weaver.deployers.ssh.connection import Connection
from weaver.deployers.ssh.faults import NoSession
from weaver.errors import Unreachable, WeaverError


@pytest.fixture
def alpha(ssh_hosts: Operator) -> Iterator[Connection]:
    with connect(ssh_hosts["alpha"].listed) as connection:
        yield connection


def test_a_command_runs_in_the_home_of_its_host(ssh_hosts: Operator) -> None:
    for host in ssh_hosts.hosts:
        with connect(host.listed) as connection:
            done = connection.run('pwd; echo "$HOME" >&2; exit 3', timeout=30)
        assert done.exit_code == 3
        assert done.stdout.decode().strip() == str(host.home)
        assert done.stderr.decode().strip() == str(host.home)


def test_input_of_many_chunks_arrives_whole(alpha: Connection) -> None:
    sent = [bytes([n % 251]) * 300_000 for n in range(20)]
    done = alpha.run("sha256sum", stdin=iter(sent), timeout=30)
    assert done.stdout.split()[0].decode() == hashlib.sha256(b"".join(sent)).hexdigest()


def test_both_outputs_are_read_while_input_is_sent(alpha: Connection) -> None:
    data = bytes(range(256)) * 20_000
    done = alpha.run("tee /dev/stderr", stdin=data, timeout=30)
    assert (done.exit_code, done.stdout, done.stderr) == (0, data, data)


def test_a_command_need_not_read_its_input(alpha: Connection) -> None:
    done = alpha.run("echo enough; exit 4", stdin=bytes(8_000_000), timeout=30)
    assert (done.exit_code, done.stdout) == (4, b"enough\n")


def test_a_command_without_input_sees_its_end(alpha: Connection) -> None:
    assert alpha.run("cat; echo end", timeout=30).stdout == b"end\n"


def test_what_the_input_raises_reaches_the_caller(alpha: Connection) -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise LookupError("the rest is gone")

    with pytest.raises(LookupError, match="the rest is gone"):
        alpha.run("cat", stdin=broken(), timeout=30)
    assert alpha.run("echo on", timeout=30).stdout == b"on\n"


def test_a_signal_is_a_negative_exit_code(alpha: Connection) -> None:
    assert alpha.run("kill -9 $$", timeout=30).exit_code < 0
    assert alpha.alive


def test_a_command_that_takes_too_long_is_given_up(alpha: Connection) -> None:
    with pytest.raises(Unreachable, match=r"alpha did not answer within 0\.2 s"):
        alpha.run("sleep 30", timeout=0.2)
    assert alpha.run("echo on", timeout=30).stdout == b"on\n"


def test_a_cut_connection_is_unreachable(ssh_hosts: Operator, alpha: Connection) -> None:
    host = ssh_hosts["alpha"]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(alpha.run, "echo; sleep 30", timeout=30)
        eventually(lambda: any("sleep 30" in line for line in host.processes().values()))
        host.cut()
        with pytest.raises(Unreachable, match="the connection to alpha was lost"):
            running.result(PATIENCE)
    assert not alpha.alive
    with pytest.raises(Unreachable, match="the connection to alpha was lost"):
        alpha.run("echo", timeout=30)
    with connect(host.listed) as again:
        assert again.run("echo back", timeout=30).stdout == b"back\n"


def test_a_frozen_host_is_given_up_in_time(ssh_hosts: Operator, alpha: Connection) -> None:
    ssh_hosts["alpha"].freeze()
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"alpha did not answer within 0\.5 s"):
        alpha.run("echo", timeout=0.5)
    assert time.monotonic() - began < PATIENCE
    ssh_hosts["alpha"].thaw()


def test_closing_leaves_no_session(ssh_hosts: Operator) -> None:
    host = ssh_hosts["alpha"]
    with connect(host.listed):
        assert host.sessions()
    eventually(lambda: not host.sessions())
    assert host.processes() == {}


def test_commands_share_a_connection_whose_host_allows_few() -> None:
    kind = Kind(sshd=("MaxSessions 2",))
    with running_hosts(kind) as operator, dial(operator) as connection:
        pool = ThreadPoolExecutor(12)
        with pool:
            runs = [pool.submit(connection.run, f"echo {n}", timeout=50) for n in range(12)]
            assert [run.result().stdout for run in runs] == [b"%d\n" % n for n in range(12)]


def test_commands_do_not_wait_for_sessions_that_others_keep() -> None:
    kind = Kind(sshd=("MaxSessions 2",))
    with running_hosts(kind) as operator, dial(operator) as connection, ThreadPoolExecutor(4) as p:
        kept = [connection.open_command("cat", PATIENCE) for _ in range(2)]
        runs = [p.submit(connection.run, "echo", timeout=300) for _ in range(4)]
        errors = [run.exception(PATIENCE) for run in runs]
        assert [type(error) for error in errors] == [NoSession] * 4
        kept[0].close()
        assert connection.run("echo on", timeout=PATIENCE).stdout == b"on\n"
        kept[1].close()


def test_a_host_without_sessions_says_so() -> None:
    kind = Kind(sshd=("MaxSessions 0",))
    refused = pytest.raises(WeaverError, match="refuses to run a command")
    with running_hosts(kind) as operator, dial(operator) as connection, refused as caught:
        connection.run("echo", timeout=30)
    assert "MaxSessions" in caught.value.fix


def test_many_at_once_are_let_in_by_a_host_that_drops_some() -> None:
    kind = Kind(sshd=("MaxStartups 2:50:5",))
    with running_hosts(kind) as operator, ThreadPoolExecutor(16) as pool:
        client = Client(environ=operator.environ)
        host = operator.hosts[0].listed
        connections = list(pool.map(client.connect, [host] * 16))
        try:
            assert all(c.run("true", timeout=50).exit_code == 0 for c in connections)
        finally:
            for connection in connections:
                connection.close()


def test_a_noisy_profile_and_a_home_with_spaces_do_no_harm() -> None:
    kind = Kind(bashrc="echo WELCOME\n", home="my home", umask="077")
    with running_hosts(kind) as operator, dial(operator) as connection:
        done = connection.run("pwd; umask", timeout=30)
    assert done.stdout.decode().splitlines() == ["WELCOME", str(operator.hosts[0].home), "0077"]


def test_no_agent_is_forwarded_and_no_thread_stays(ssh_hosts: Operator) -> None:
    before = set(threading.enumerate())
    with connect(ssh_hosts["alpha"].listed) as connection:
        assert connection.run("echo [$SSH_AUTH_SOCK]", timeout=30).stdout == b"[]\n"
    assert set(threading.enumerate()) <= before


def dial(operator: Operator) -> Connection:
    return Client(environ=operator.environ).connect(operator.hosts[0].listed)
