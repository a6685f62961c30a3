"""Who is let in, and whom we believe: keys of hosts and users against real sshd processes."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ssh_hosts import Kind, Operator, eventually, known_name, running_hosts
from ssh_keygen import make_key

from weaver.deployers.ssh import handshake
from weaver.deployers.ssh.client import Client, connect
from weaver.deployers.ssh.inventory import Host, parse_inline
from weaver.errors import Unreachable, WeaverError


@pytest.fixture
def operator() -> Iterator[Operator]:
    with running_hosts(Kind()) as operator:
        yield operator


def says_hello(client: Client, host: Host) -> bool:
    with client.connect(host) as connection:
        return connection.run("echo hello", timeout=30).stdout == b"hello\n"


def alpha(operator: Operator) -> Host:
    return operator["alpha"].listed


# --- keys of hosts ---


def test_an_unknown_host_key_is_refused_with_the_line_that_helps(operator: Operator) -> None:
    operator.know()
    with pytest.raises(WeaverError, match="the host key of alpha is not known") as caught:
        Client(environ=operator.environ).connect(alpha(operator))
    assert operator["alpha"].fingerprint in caught.value.what
    assert operator.known_hosts.read_text() == ""
    operator.known_hosts.write_text(caught.value.fix.splitlines()[-1].strip() + "\n")
    assert says_hello(Client(environ=operator.environ), alpha(operator))


def test_a_changed_host_key_is_refused_whatever_is_asked_for(operator: Operator) -> None:
    old = operator["alpha"].fingerprint
    before = operator.known_hosts.read_text()
    host_key = operator["alpha"].folder / "host_key"
    host_key.unlink()
    make_key(host_key)
    operator["alpha"].stop()
    operator["alpha"].start()
    for accept_new in (False, True):
        with pytest.raises(WeaverError, match="the host key of alpha has changed") as caught:
            Client(environ=operator.environ, accept_new=accept_new).connect(alpha(operator))
        assert operator["alpha"].fingerprint in caught.value.what
        assert old in caught.value.why
        assert f"{operator.known_hosts}:1" in caught.value.why
    assert operator.known_hosts.read_text() == before


def test_a_new_host_key_is_learned_once(operator: Operator) -> None:
    operator.known_hosts.write_text("# mine\n@cert-authority *.example.com ssh-rsa AAAA\n")
    client = Client(environ=operator.environ, accept_new=True)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(says_hello, [client] * 4, [alpha(operator)] * 4))
    lines = operator.known_hosts.read_text().splitlines()
    name = known_name(operator["alpha"])
    assert lines[:2] == ["# mine", "@cert-authority *.example.com ssh-rsa AAAA"]
    assert lines[2:] == [f"{name} {operator['alpha'].public_key}"]


def test_a_new_host_key_is_told(operator: Operator) -> None:
    operator.know()
    client = Client(environ=operator.environ, accept_new=True)
    with client.connect(alpha(operator)) as connection:
        assert connection.learned == f"ssh-ed25519 {operator['alpha'].fingerprint}"
    with client.connect(alpha(operator)) as connection:
        assert connection.learned == ""


def test_a_host_shows_the_key_that_is_known_of_it() -> None:
    with running_hosts(Kind()) as operator:
        host = operator.hosts[0]
        make_key(host.folder / "rsa_key", kind="rsa")
        host.stop()
        host.kind = Kind(sshd=(f"HostKey {host.folder}/rsa_key",))
        host.start()
        public = (host.folder / "rsa_key.pub").read_text()
        for known in (public, host.public_key):
            key = " ".join(known.split()[:2])
            operator.known_hosts.write_text(f"{known_name(host)} {key}\n")
            assert says_hello(Client(environ=operator.environ), host.listed)


def test_hashed_names_are_known(operator: Operator) -> None:
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(operator.known_hosts)], check=True)
    assert operator["alpha"].address not in operator.known_hosts.read_text()
    assert says_hello(Client(environ=operator.environ), alpha(operator))


# --- keys of the user ---


def test_a_wrong_user_is_told_with_the_keys_that_were_offered(operator: Operator) -> None:
    host = parse_inline("nobody-there@alpha")[0]
    with pytest.raises(WeaverError, match="alpha does not let nobody-there in") as caught:
        Client(environ=operator.environ).connect(host)
    assert str(operator.key) in caught.value.why
    assert "ssh-copy-id" in caught.value.fix
    assert not isinstance(caught.value, Unreachable)


def test_a_key_that_is_not_let_in(operator: Operator) -> None:
    (operator["alpha"].home / ".ssh" / "authorized_keys").write_text("")
    with pytest.raises(WeaverError, match="alpha does not let"):
        Client(environ=operator.environ).connect(alpha(operator))


def test_no_key_at_all(operator: Operator) -> None:
    operator.key.unlink()
    with pytest.raises(WeaverError, match="alpha does not let") as caught:
        Client(environ=operator.environ).connect(alpha(operator))
    assert "there is no key to offer" in caught.value.why
    assert str(operator.key) in caught.value.why


def test_a_passphrase_is_asked_for_once(operator: Operator) -> None:
    lock(operator, "open sesame")
    asked: list[Path] = []

    def ask(file: Path) -> str:
        asked.append(file)
        return "open sesame"

    client = Client(environ=operator.environ, ask=ask)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(says_hello, [client] * 4, [alpha(operator)] * 4))
    assert asked == [operator.key]


def test_a_wrong_passphrase_is_told(operator: Operator) -> None:
    lock(operator, "open sesame")
    client = Client(environ=operator.environ, ask=lambda _: "barley")
    with pytest.raises(WeaverError, match="alpha does not let") as caught:
        client.connect(alpha(operator))
    assert f"the passphrase of {operator.key} is wrong" in caught.value.why


@pytest.mark.parametrize("asks", [False, True])
def test_a_passphrase_that_nobody_gives_is_told(operator: Operator, asks: bool) -> None:
    def nothing(_: Path) -> None:
        return None

    ask = nothing if asks else None
    lock(operator, "open sesame")
    with pytest.raises(WeaverError, match="alpha does not let") as caught:
        Client(environ=operator.environ, ask=ask).connect(alpha(operator))
    assert "has a passphrase" in caught.value.why
    assert f"ssh-add {operator.key}" in caught.value.fix


def test_the_agent_holds_the_key_of_a_locked_file(operator: Operator) -> None:
    with agent(operator) as environ:
        lock(operator, "open sesame")
        assert says_hello(Client(environ=environ), alpha(operator))


def test_too_many_keys_are_told_and_the_named_one_comes_first(operator: Operator) -> None:
    with agent(operator, more=7) as environ:
        assert says_hello(Client(environ=environ), alpha(operator))
        operator.key.with_suffix(".pub").unlink()  # now nothing tells which one it is
        with pytest.raises(WeaverError, match="alpha does not let") as caught:
            Client(environ=environ).connect(alpha(operator))
        assert "too many keys" in caught.value.why
        assert "IdentitiesOnly" in caught.value.fix


def test_an_agent_that_is_gone_does_no_harm(operator: Operator) -> None:
    operator.config.write_text(operator.config.read_text().replace("IdentityAgent none", ""))
    environ = operator.environ | {"SSH_AUTH_SOCK": str(operator.folder / "gone")}
    assert says_hello(Client(environ=environ), alpha(operator))


def test_a_host_for_passwords_only() -> None:
    kind = Kind(sshd=("PubkeyAuthentication no", "PasswordAuthentication yes"))
    refused = pytest.raises(WeaverError, match=r"alpha does not let \w+ in by a key")
    with running_hosts(kind) as operator, refused as caught:
        Client(environ=operator.environ).connect(operator.hosts[0].listed)
    assert "password" in caught.value.why


def test_a_broken_key_is_named(operator: Operator) -> None:
    operator.key.write_text("not a key\n")
    with pytest.raises(WeaverError, match="alpha does not let") as caught:
        Client(environ=operator.environ).connect(alpha(operator))
    assert f"the private key {operator.key} cannot be used" in caught.value.why


def test_a_key_that_is_of_no_use_does_not_hide_the_next(operator: Operator) -> None:
    (operator.folder / "broken").write_text("not a key\n")
    operator.write(["Host alpha", f"  IdentityFile {operator.folder}/broken"])
    assert says_hello(Client(environ=operator.environ), alpha(operator))


@pytest.mark.parametrize(("kind", "form"), [("rsa", "RFC4716"), ("rsa", "PEM"), ("ecdsa", "PKCS8")])
def test_keys_of_every_form(operator: Operator, kind: str, form: str) -> None:
    operator.key.unlink()
    operator.key.with_suffix(".pub").unlink()
    make_key(operator.key, kind=kind)
    public = operator.key.with_suffix(".pub").read_text()
    (operator["alpha"].home / ".ssh" / "authorized_keys").write_text(public)
    lock(operator, "öffne dich", form)
    client = Client(environ=operator.environ, ask=lambda _: "öffne dich")
    assert says_hello(client, alpha(operator))


def test_nothing_of_paramiko_is_printed(
    operator: Operator, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WeaverError):
        Client(environ=operator.environ).connect(parse_inline("nobody-there@alpha")[0])
    operator["alpha"].stop()
    with pytest.raises(WeaverError):
        Client(environ=operator.environ).connect(alpha(operator))
    assert capfd.readouterr() == ("", "")


# --- ways to a host ---


def test_a_port_where_nobody_listens(operator: Operator) -> None:
    operator["alpha"].stop()
    with pytest.raises(Unreachable, match="nothing listens at 127") as caught:
        Client(environ=operator.environ).connect(alpha(operator))
    assert "alpha (--ssh)" in caught.value.where


def test_a_host_that_hangs_is_given_up(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "BANNER", 0.5)
    operator["alpha"].freeze_sshd()
    try:
        with pytest.raises(Unreachable, match="accepts connections and does not answer"):
            Client(environ=operator.environ).connect(alpha(operator))
    finally:
        operator["alpha"].thaw()


def test_a_name_that_does_not_exist(operator: Operator) -> None:
    with pytest.raises(Unreachable, match="cannot be resolved"):
        Client(environ=operator.environ).connect(parse_inline("no-such-host.invalid")[0])


def test_another_protocol_at_the_port(operator: Operator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stop = threading.Event()

        def serve() -> None:
            server.settimeout(0.1)
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection, contextlib.suppress(ConnectionResetError):
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 200)
                    connection.settimeout(5)
                    while connection.recv(65536):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with pytest.raises(WeaverError, match="is no SSH server"):
                Client(environ=operator.environ).connect(parse_inline(f"127.0.0.1:{port}")[0])
        finally:
            stop.set()
            thread.join()


def test_hosts_behind_a_gateway_share_one_connection(ssh_hosts: Operator) -> None:
    gateway = ssh_hosts["alpha"]
    ssh_hosts.write(["Host beta gamma", "  ProxyJump alpha"])
    client = Client()
    with (
        client.connect(ssh_hosts["beta"].listed) as beta,
        client.connect(ssh_hosts["gamma"].listed) as gamma,
    ):
        for connection, name in ((beta, "beta"), (gamma, "gamma")):
            done = connection.run("pwd", timeout=30)
            assert done.stdout.decode().strip() == str(ssh_hosts[name].home)
        assert gateway.log.count("Accepted publickey") == 1
        beta.close()
        assert gamma.run("echo on", timeout=30).stdout == b"on\n"
    gateway.wait_for_sessions(0)
    assert says_hello(client, ssh_hosts["beta"].listed)


def test_a_chain_of_gateways(ssh_hosts: Operator) -> None:
    hosts = parse_inline("gamma")
    host = Host(name="gamma", host=hosts[0].host, jump="alpha,beta", where="hosts.txt:1")
    with connect(host) as connection:
        assert connection.run("echo $HOME", timeout=30).stdout.decode().strip() == str(
            ssh_hosts["gamma"].home
        )
        assert ssh_hosts["alpha"].sessions()
        assert ssh_hosts["beta"].sessions()


def test_a_gateway_that_fails_is_told_to_all(ssh_hosts: Operator) -> None:
    ssh_hosts["alpha"].stop()
    ssh_hosts.write(["Host beta gamma", "  ProxyJump alpha"])
    client = Client()
    for name in ("beta", "gamma"):
        with pytest.raises(Unreachable, match="nothing listens") as caught:
            client.connect(ssh_hosts[name].listed)
        assert f"jump of {name}" in caught.value.where
    ssh_hosts["alpha"].start()
    assert says_hello(client, ssh_hosts["beta"].listed)


def test_a_gateway_that_comes_back_is_used_again(ssh_hosts: Operator) -> None:
    ssh_hosts.write(["Host beta gamma", "  ProxyJump alpha"])
    client = Client()
    with client.connect(ssh_hosts["beta"].listed) as forgotten:
        ssh_hosts["alpha"].stop()
        with pytest.raises(Unreachable):
            client.connect(ssh_hosts["gamma"].listed)
        ssh_hosts["alpha"].start()
        assert says_hello(client, ssh_hosts["gamma"].listed)
        eventually(lambda: not forgotten.alive)


def test_a_host_that_its_gateway_does_not_reach(ssh_hosts: Operator) -> None:
    ssh_hosts["beta"].stop()
    ssh_hosts.write(["Host beta", "  ProxyJump alpha"])
    with pytest.raises(Unreachable, match="alpha cannot connect to"):
        connect(ssh_hosts["beta"].listed)


def test_gateways_in_a_circle(ssh_hosts: Operator) -> None:
    ssh_hosts.write(["Host alpha", "  ProxyJump beta", "Host beta", "  ProxyJump alpha"])
    with pytest.raises(WeaverError, match="the way to alpha has no end"):
        connect(ssh_hosts["alpha"].listed)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs the ssh command")
def test_a_proxy_command(ssh_hosts: Operator) -> None:
    command = f"ssh -F {ssh_hosts.config} -W %h:%p alpha"
    ssh_hosts.write(["Host beta", f"  ProxyCommand {command}"])
    assert says_hello(Client(), ssh_hosts["beta"].listed)


# --- parts ---


def lock(operator: Operator, passphrase: str, form: str = "RFC4716") -> None:
    """Give the key a passphrase, in one of ssh-keygen's forms; RFC4716 is OpenSSH's own."""
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-m", form]
    command += ["-f", str(operator.key)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=30)


class agent:
    """A real ssh-agent with the operator's key, after `more` others."""

    def __init__(self, operator: Operator, more: int = 0) -> None:
        self._operator = operator
        self._more = more
        self._socket = operator.folder / "agent"

    def __enter__(self) -> dict[str, str]:
        command = ["ssh-agent", "-D", "-a", str(self._socket)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        environ = self._operator.environ | {"SSH_AUTH_SOCK": str(self._socket)}
        eventually(self._answers)
        keys = [self._operator.folder / f"other{n}" for n in range(self._more)]
        for key in keys:
            make_key(key)
        command = ["ssh-add", "-q", *map(str, keys), str(self._operator.key)]
        subprocess.run(command, check=True, timeout=30, env=os.environ | environ)
        config = self._operator.config
        config.write_text(config.read_text().replace("IdentityAgent none", ""))
        return environ

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:  # its file is there earlier
            return probe.connect_ex(str(self._socket)) == 0

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
