"""What a deploy to hosts over SSH costs: bytes sent, time beyond installing, round trips of doctor.

Three sshd processes of this user on loopback, each with a directory of its own. The application is
the boutique; the change is one line of it. The budgets: at most 20 KB for each host, 1.2 times the
time of installing alone, nothing sent for an unchanged deploy, one round trip for each host.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from pathlib import Path

from weaver.deployers.ssh.client import Client
from weaver.deployers.ssh.client_config import CONFIG_FILE
from weaver.deployers.ssh.connection import Connection
from weaver.deployers.ssh.host_call import RemotePython
from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.preflight.needs import Needs
from weaver.deployers.ssh.preflight.run import run_preflight
from weaver.deployers.ssh.preflight.side_by_side import side_by_side
from weaver.deployers.ssh.remote import Completed
from weaver.deployers.ssh.upload import Parcel, Uploaded, upload
from weaver.packaging.build import build

HOSTS = 3
EXAMINED = 20
BOUTIQUE = Path(__file__).parents[1] / "examples" / "boutique"


@contextmanager
def hosts_in(folder: Path) -> Generator[list[Host]]:
    """Start an sshd for each host; the user's SSH configuration knows them all."""
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]
    subprocess.run([*keygen, str(folder / "user")], check=True)
    subprocess.run([*keygen, str(folder / "host")], check=True)
    key = " ".join((folder / "host.pub").read_text().split()[:2])
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "known").write_text(f"bench {key}\n")
    (folder / "ssh_config").write_text(
        f"Host *\n IdentityFile {folder}/user\n IdentitiesOnly yes\n HostKeyAlias bench\n"
        f" UserKnownHostsFile {folder}/known\n"
    )
    os.environ[CONFIG_FILE] = str(folder / "ssh_config")
    found: list[Host] = []
    with ExitStack() as stack:
        for number in range(HOSTS):
            port = free_port()
            config = folder / f"sshd{number}"
            config.write_text(
                f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
                f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
                "PermitRootLogin yes\nMaxStartups 100\n"
            )
            sshd = shutil.which("sshd") or "/usr/sbin/sshd"
            process = subprocess.Popen(
                [sshd, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            wait_for(port)
            found.append(
                Host(
                    name=f"host{number}",
                    host="127.0.0.1",
                    port=port,
                    python=sys.executable,
                    directory=str(folder / f"weaver{number}"),
                )
            )
        yield found


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Return when somebody listens there."""
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError(f"no sshd listens at port {port}")


class Counted:
    """A connection that counts round trips."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.name = name
        self.trips = 0
        self._connection = connection

    def run(
        self, command: str, *, stdin: bytes | Iterable[bytes] = b"", timeout: float
    ) -> Completed:
        """Run a command there."""
        self.trips += 1
        return self._connection.run(command, stdin=stdin, timeout=timeout)


def bring(pythons: list[RemotePython], parcel: Parcel) -> tuple[float, list[Uploaded]]:
    """Have a build on all hosts, side by side; the seconds."""
    begin = time.perf_counter()
    done = side_by_side(lambda host: upload(host, parcel), pythons, at_once=HOSTS)
    return time.perf_counter() - begin, list(done)


def deploys(hosts: list[Host], folder: Path) -> None:
    """The first deploy, an unchanged one, and a changed one beside installing alone."""
    project = folder / "boutique"
    shutil.copytree(BOUTIQUE, project)
    with ExitStack() as stack:
        client = Client()
        pythons = [
            RemotePython(stack.enter_context(client.connect(h)), sys.executable, h.directory)
            for h in hosts
        ]
        for what in ("first", "unchanged", "one line"):
            if what == "one line":
                changed = next(project.rglob("web.py"))
                changed.write_text(changed.read_text() + "\nCHANGED = True\n")
            parcel = Parcel("boutique", build(project / "weaver.toml").path)
            seconds, done = bring(pythons, parcel)
            sent = max(each.sent for each in done)
            installs = sum(each.installed for each in done)
            print(f"{what:10} {sent:9d} bytes a host, {installs} installs, {seconds:6.2f} s")
            if what == "one line":
                for host in hosts:
                    link = Path(done_release(host, parcel)) / "venv"
                    shutil.rmtree(link.resolve())
                    link.unlink()
                again, _ = bring(pythons, parcel)
                print(f"installing alone {again:.2f} s: ratio {seconds / again:.2f} (budget 1.2)")


def done_release(host: Host, parcel: Parcel) -> str:
    """The folder of a release on a host."""
    (found,) = Path(host.directory).glob(f"releases/*{parcel.build_id[:12]}*")
    return str(found)


def doctor(hosts: list[Host]) -> None:
    """Round trips of an examination of many hosts, which are a few sshd in truth."""
    many = [hosts[number % HOSTS] for number in range(EXAMINED)]
    named = [
        Host(name=f"h{n}", host=h.host, port=h.port, python=h.python, directory=h.directory)
        for n, h in enumerate(many)
    ]
    counted: list[Counted] = []
    with ExitStack() as stack:
        client = Client()

        def connect(host: Host) -> Counted:
            counted.append(Counted(stack.enter_context(client.connect(host)), host.name))
            return counted[-1]

        begin = time.perf_counter()
        run_preflight(named, connect, Needs())
        seconds = time.perf_counter() - begin
    trips = sorted({each.trips for each in counted})
    print(f"doctor, {EXAMINED} hosts: {trips} round trips each, {seconds:.2f} s")


def main() -> None:
    """Measure all."""
    with tempfile.TemporaryDirectory(prefix="wbench-", dir="/tmp") as name:
        folder = Path(name)
        with hosts_in(folder) as hosts:
            doctor(hosts)
            deploys(hosts, folder)


if __name__ == "__main__":
    main()
