"""Network namespaces as hosts, joined by a bridge here: for links that go down. Linux, as root."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Final

from ssh_hosts import PATIENCE

_NETWORK: Final = 0x40000000  # CLONE_NEWNET


class Namespaces:
    """So many hosts at 10.77.X.N, each with a link of its own; `remove` them in the end."""

    def __init__(self, count: int) -> None:
        self._tag = f"wv{os.getpid()}"
        self._subnet = f"10.77.{os.getpid() % 250 + 1}"
        self._count = count

    def address(self, number: int) -> str:
        """The IP address of a host, counted from 1."""
        return f"{self._subnet}.{number}"

    def prefix(self, number: int) -> tuple[str, ...]:
        """What a command is started through to run there."""
        return ("ip", "netns", "exec", self._name(number))

    def set_link(self, number: int, state: str) -> None:
        """Take the link of a host "down" or "up"."""
        ip("link", "set", self._name(number), state)

    def enter(self, number: int) -> None:
        """Have what this thread connects to from now on be seen from a host."""
        with Path("/run/netns", self._name(number)).open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _NETWORK):
                raise OSError(ctypes.get_errno(), "setns")

    @contextlib.contextmanager
    def without_link(self, number: int) -> Generator[None]:
        """Meanwhile, the link of a host is down."""
        self.set_link(number, "down")
        try:
            yield
        finally:
            self.set_link(number, "up")

    def add(self) -> None:
        """Make them all."""
        bridge = f"{self._tag}b"
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", f"{self._subnet}.254/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number in range(1, self._count + 1):
            name = self._name(number)
            ip("netns", "add", name)
            ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", name, "master", bridge, "up")
            ip("-n", name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """Remove what `add` has made of them."""
        for number in range(1, self._count + 1):
            # The link by itself: with its namespace it goes some time later, and keeps the name.
            for kind in ("link", "netns"):
                with contextlib.suppress(subprocess.CalledProcessError):
                    ip(kind, "del", self._name(number))
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "del", f"{self._tag}b")

    def _name(self, number: int) -> str:
        return f"{self._tag}n{number}"


@contextlib.contextmanager
def namespaces(count: int) -> Generator[Namespaces | None]:
    """So many hosts, or None where this user may not make any."""
    made = Namespaces(count)
    if not sys.platform.startswith("linux") or os.getuid() or not shutil.which("ip"):
        yield None
        return
    try:
        try:
            made.add()
        except subprocess.CalledProcessError:  # in a container without the right to
            yield None
            return
        yield made
    finally:
        made.remove()


def ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, timeout=PATIENCE)
