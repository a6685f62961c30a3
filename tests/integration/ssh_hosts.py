"""Hosts to deploy to: real sshd processes of this user on loopback, each with a home of its own.

A host differs from the machine by its address, home, environment, login shell and keys, and not
by its processes and file system. `Operator` is the side that connects: its key and configuration.
The fixture `ssh_hosts` in conftest.py starts three.
"""

import contextlib
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from host_processes import descendants, is_running, name_of, send
from seasoned_homes import harvest, season
from ssh_keygen import fingerprint, make_key
from waiting import wait_until

from weaver.deployers.ssh.client_config import CONFIG_FILE
from weaver.deployers.ssh.inventory import Host, parse_inline

PATIENCE = 30.0  # seconds for anything here to happen
NAMES = ("alpha", "beta", "gamma", "delta")
MARK = "WEAVER_TEST_HOST"  # in the environment of whatever runs on a host
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"  # what sshd gives to those who do not log in


@dataclass(frozen=True)
class Kind:
    """How a host differs from a plain one."""

    sshd: tuple[str, ...] = ()
    """Lines of sshd_config; they win over those of the fixture."""
    bashrc: str = ""
    home: str = "home"
    umask: str = "022"
    shell: str = "/bin/bash"
    path: str = f"{DEFAULT_PATH}:{sys.base_prefix}/bin"  # with the Python that builds here
    environment: dict[str, str] = field(default_factory=dict[str, str])
    seasoned: bool = False
    """Whether it knows the bytecode of modules already, as a host with releases does."""


SEASONED = Kind(seasoned=True)


@dataclass
class SshHost:
    """One host; `folder` has its home, its runtime directory and its sshd's files."""

    name: str
    address: str
    folder: Path
    kind: Kind
    port: int = 0
    prefix: tuple[str, ...] = ()
    """What sshd is started through, such as `ip netns exec`."""
    _sshd: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        return self.folder / self.kind.home

    @property
    def runtime(self) -> Path:
        """Its XDG_RUNTIME_DIR."""
        return self.folder / "run"

    @property
    def log(self) -> str:
        """What sshd has logged."""
        return (self.folder / "sshd.log").read_text(errors="replace")

    @property
    def public_key(self) -> str:
        """Type and base64 of its host key."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.folder / "host_key.pub")

    @property
    def listed(self) -> Host:
        """The host as a hosts.txt lists it."""
        return parse_inline(self.name)[0]

    def start(self) -> None:
        """Start sshd, on the port that it had before, and wait until it answers."""
        for _ in range(10):
            self.launch()
            if self.answers():
                return
        pytest.fail(f"sshd of {self.name} does not start:\n{self.log}", pytrace=False)

    def launch(self) -> None:
        """Start sshd without waiting for it."""
        if not self.port:
            shared = self.address.startswith("127.")
            self.port = free_port(self.address) if shared else 22
        (self.folder / "sshd_config").write_text(sshd_config(self))
        command = [*self.prefix, sshd_path(), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (self.folder / "sshd.log").open("ab") as log:
            self._sshd = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": DEFAULT_PATH},
            )

    def answers(self) -> bool:
        """Wait until sshd answers; False, with another port to try, if it has ended instead."""
        assert self._sshd is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._sshd.poll() is not None:
                self.port = 0  # someone else has it
                return False
            with contextlib.suppress(OSError), socket.create_connection(self.at, 1) as probe:
                if probe.recv(64).startswith(b"SSH-"):
                    return True
            time.sleep(0.01)
        return False

    @property
    def at(self) -> tuple[str, int]:
        return self.address, self.port

    def sessions(self) -> list[int]:
        """The processes of sshd for connections, without what runs in them."""
        if self._sshd is None:
            return []
        pids = descendants(self._sshd.pid)
        return [pid for pid in pids if name_of(pid).startswith("sshd")]

    def wait_for_sessions(self, count: int) -> None:
        """Wait until sshd has so many connections: it notices their end a little later."""
        eventually(lambda: len(self.sessions()) == count)

    def processes(self) -> dict[int, str]:
        """What runs on the host: process ids and command lines."""
        mark = f"{MARK}={self.folder}".encode()
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(entry.name)] = line.strip()
        return found

    def named(self, name: str) -> list[int]:
        """The processes on the host that call themselves so."""
        return [pid for pid in self.processes() if name_of(pid) == name[:15]]

    def cut(self) -> None:
        """End every connection at once, as a network does; what it has started may go on."""
        send(signal.SIGKILL, self.sessions())

    def freeze(self) -> None:
        """Stop the host's processes without ending them; connections are accepted still."""
        send(signal.SIGSTOP, [*self.sessions(), *self.processes()])

    def freeze_sshd(self) -> None:
        """Stop what accepts connections; the system still takes them for it."""
        assert self._sshd is not None
        send(signal.SIGSTOP, [self._sshd.pid])

    def thaw(self) -> None:
        sshd = [self._sshd.pid] if self._sshd is not None else []
        send(signal.SIGCONT, [*sshd, *self.sessions(), *self.processes()])

    def stop(self) -> None:
        """End sshd and its connections; what it has started may go on."""
        if self._sshd is None:
            return
        sessions = self.sessions()
        self._sshd.terminate()
        self._sshd.wait(PATIENCE)
        self._sshd = None
        send(signal.SIGKILL, [pid for pid in sessions if name_of(pid).startswith("sshd")])
        eventually(lambda: not [pid for pid in sessions if is_running(pid)])

    def clear(self) -> None:
        """End sshd and everything that runs on the host."""
        self.stop()
        if self.kind.seasoned:
            harvest(self.home)
        while processes := self.processes():
            send(signal.SIGKILL, processes)
            time.sleep(0.01)


@dataclass
class Operator:
    """Who connects: `environ` is for `Client` and for commands, the fixture sets it as well."""

    folder: Path
    hosts: list[SshHost]

    @property
    def key(self) -> Path:
        return self.folder / "id"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def hosts_txt(self) -> Path:
        return self.folder / "hosts.txt"

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": DEFAULT_PATH, CONFIG_FILE: str(self.config)}

    def __getitem__(self, name: str) -> SshHost:
        return next(host for host in self.hosts if host.name == name)

    def write(self, more: Sequence[str] = ()) -> None:
        """Write configuration, known host keys and hosts.txt; `more` precedes in the first."""
        lines = list(more)
        for host in self.hosts:
            lines += [f"Host {host.name}", f"  HostName {host.address}", f"  Port {host.port}"]
        lines += ["Host *", f"  IdentityFile {self.key}", "  IdentityAgent none"]
        lines += [f"  User {user_name()}", f"  UserKnownHostsFile {self.known_hosts}"]
        lines += ["  GlobalKnownHostsFile none", ""]
        self.config.write_text("\n".join(lines))
        self.know(*self.hosts)
        entries = [f"{host.name} address={host.address}\n" for host in self.hosts]
        self.hosts_txt.write_text("".join(entries))

    def know(self, *hosts: SshHost) -> None:
        """Make these hosts the known ones."""
        names = {host.name: known_name(host) for host in hosts}
        lines = [f"{names[host.name]} {host.public_key}\n" for host in hosts]
        self.known_hosts.write_text("".join(lines))


class Network(Protocol):
    """Where hosts are, if not on loopback."""

    def address(self, number: int) -> str:
        """The IP address of a host, counted from 1."""
        ...

    def prefix(self, number: int) -> tuple[str, ...]:
        """What a command is started through to run there."""
        ...


@contextlib.contextmanager
def running_hosts(*kinds: Kind, network: Network | None = None) -> Generator[Operator, None, None]:
    """Hosts of these kinds, by the names of NAMES; skips the test where there is no sshd."""
    if not sys.platform.startswith("linux") or not Path(sshd_path()).exists():
        pytest.skip("needs Linux and OpenSSH's sshd: apt-get install openssh-server")
    if os.getuid() == 0:  # sshd as root wants it; a service makes it otherwise
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    # Not tmp_path: sockets have short paths.
    with tempfile.TemporaryDirectory(prefix="wssh-", dir="/tmp") as folder:
        operator = Operator(Path(folder) / "operator", [])
        operator.folder.mkdir(mode=0o700)
        make_key(operator.key)
        for number, (name, kind) in enumerate(zip(NAMES, kinds, strict=False), 1):
            address = network.address(number) if network else f"127.0.0.{number}"
            prefix = network.prefix(number) if network else ()
            host = SshHost(name, address, Path(folder) / name, kind, prefix=prefix)
            operator.hosts.append(host)
            furnish(host, operator)
        with contextlib.ExitStack() as stack:
            for host in operator.hosts:
                stack.callback(host.clear)
                host.launch()
            for host in operator.hosts:
                if not host.answers():
                    host.start()
            operator.write()
            yield operator


def furnish(host: SshHost, operator: Operator) -> None:
    """Make a host's folders, keys and login shell."""
    host.folder.mkdir(mode=0o755)
    host.home.mkdir(mode=0o755)
    host.runtime.mkdir(mode=0o700)
    (host.home / ".ssh").mkdir(mode=0o700)
    shutil.copy(f"{operator.key}.pub", host.home / ".ssh" / "authorized_keys")
    (host.home / ".bashrc").write_text(host.kind.bashrc)
    if host.kind.seasoned:
        season(host.home)
    make_key(host.folder / "host_key")
    shell = shlex.quote(host.kind.shell)
    login = host.folder / "login"
    # What sshd does for the user of a host; the user of this machine has another home and shell.
    # SHLVL makes bash take this shell, and not sshd's, for the one that reads .bashrc.
    login.write_text(
        '#!/bin/sh\ncd "$HOME"\n'
        f"umask {host.kind.umask}\n"
        f"export SHELL={shell} SHLVL=0\n"
        f'[ -n "${{SSH_ORIGINAL_COMMAND+x}}" ] || exec {shell} -l\n'
        "command=$SSH_ORIGINAL_COMMAND\nunset SSH_ORIGINAL_COMMAND\n"
        f'exec {shell} -c "$command"\n'
    )
    login.chmod(0o755)


def sshd_config(host: SshHost) -> str:
    environment = {
        "HOME": str(host.home),
        "PATH": host.kind.path,
        "SHLVL": "1",
        "XDG_RUNTIME_DIR": str(host.runtime),
        MARK: str(host.folder),
    } | host.kind.environment
    return "\n".join(
        (
            *host.kind.sshd,
            f"ListenAddress {host.address}:{host.port}",
            f"HostKey {host.folder}/host_key",
            f'AuthorizedKeysFile "{host.home}/.ssh/authorized_keys"',
            "SetEnv " + " ".join(f'"{name}={value}"' for name, value in environment.items()),
            f"ForceCommand {host.folder}/login",
            "PidFile none",
            "StrictModes no",
            f"UsePAM {'yes' if is_locked() else 'no'}",
            "UseDNS no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "PrintMotd no",
            "LogLevel VERBOSE",
            "",
        )
    )


def sshd_path() -> str:
    return shutil.which("sshd") or "/usr/sbin/sshd"


def user_name() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def is_locked() -> bool:
    """Whether sshd would not let this user in by itself: the account has no password at all."""
    try:
        lines = Path("/etc/shadow").read_text().splitlines()
    except OSError:  # then sshd, which is this user too, cannot know either
        return False
    return any(line.startswith(f"{user_name()}:!") for line in lines)


def known_name(host: SshHost) -> str:
    return host.address if host.port == 22 else f"[{host.address}]:{host.port}"


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until something holds, or fail."""
    wait_until(holds, patience)
