"""Bring a build to a host: ask what is absent, then send and install that, in two round trips.

Decides the order, and that nothing is sent twice or without need. Chunks are packed once for all
hosts, from whichever thread needs them first.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from weaver.deployers.ssh.chunks import DIGEST_SIZE, split
from weaver.deployers.ssh.host.receive import END, HEADER
from weaver.deployers.ssh.host_call import TIMEOUT, Call, HostError, RemotePython, call

UPLOAD_TIMEOUT: Final = 600.0  # seconds
INSTALL_TIMEOUT: Final = 300.0

Progress = Callable[[str, int, int], None]
"""Takes the name of a host, the bytes sent so far, and all that are to be sent."""


class Parcel:
    """A build, cut for sending. Safe to use from several threads."""

    def __init__(self, app: str, path: Path) -> None:
        data = path.read_bytes()
        self.app = app
        self.build_id = hashlib.sha256(data).hexdigest()
        self.size = len(data)
        self._parts = split(data)
        self._packed: dict[int, bytes] = {}

    def announcement(self, *, announce: bool, token: str = "") -> Call:
        """Ask what is absent; with `announce`, tell also that it will be sent."""
        parcel = {
            "size": self.size,
            "chunks": b"".join(chunk.digest for chunk in self._parts.chunks).hex(),
            "width": 2 * DIGEST_SIZE,
            "offsets": self._parts.offsets,
        }
        arguments = {
            "app": self.app,
            "build_id": self.build_id,
            "parcel": parcel,
            "announce": announce,
            "token": token,
        }
        return Call("missing", "missing", arguments)

    def packed(self, number: int) -> bytes:
        """One chunk as it is sent."""
        found = self._packed.get(number)
        if found is None:
            small = zlib.compress(self._parts.chunks[number].data, 9)
            found = self._packed[number] = HEADER.pack(number, len(small)) + small
        return found


class Needs(msgspec.Struct, frozen=True):
    """What a host lacks of a build: the numbers of chunks, the whole file, its installation.

    `python` is that of the installed release, now or later.
    """

    missing: tuple[int, ...]
    complete: bool
    installed: bool
    python: str


class Plan(NamedTuple):
    """What an upload would do: bytes to send, of chunks alone; whether it would install."""

    bytes_to_send: int
    install: bool


class Uploaded(NamedTuple):
    """What an upload has done. `python` is that of the installed release."""

    python: str
    sent: int
    installed: bool


def plan(host: RemotePython, parcel: Parcel) -> Plan:
    """What `upload` would do; nothing changes on the host. Raises HostError and Unreachable."""
    needs = _needs(host, parcel, announce=False)
    return Plan(sum(len(parcel.packed(n)) for n in needs.missing), not needs.installed)


def upload(
    host: RemotePython, parcel: Parcel, progress: Progress | None = None, *, token: str = ""
) -> Uploaded:
    """Have a build on a host, installed; what is there already costs one round trip.

    `token` is of the deploy lock. Raises HostError and Unreachable; called again, it goes on from
    where it was interrupted.
    """
    needs = _needs(host, parcel, announce=True, token=token)
    if needs.complete and needs.installed:
        return Uploaded(needs.python, 0, installed=False)
    if needs.complete:
        [found] = call(host, [_install(parcel, token)], timeout=INSTALL_TIMEOUT + TIMEOUT)
        return Uploaded(needs.python, 0, found["done"])
    return _send(host, parcel, needs, progress, token)


def _needs(host: RemotePython, parcel: Parcel, *, announce: bool, token: str = "") -> Needs:
    [found] = call(host, [parcel.announcement(announce=announce, token=token)])
    return msgspec.convert(found, Needs)


def _send(
    host: RemotePython, parcel: Parcel, needs: Needs, progress: Progress | None, token: str
) -> Uploaded:
    """Send chunks, and once more those that turn out to be damaged there; then install."""
    receive = {"app": parcel.app, "build_id": parcel.build_id, "token": token}
    calls = [Call("receive", "receive", receive), _install(parcel, token)]
    timeout = UPLOAD_TIMEOUT + INSTALL_TIMEOUT
    sent, missing = 0, needs.missing
    for _ in range(2):
        data = _Data(host.remote.name, parcel, missing, progress)
        received, *installed = call(host, calls, data=data, timeout=timeout)
        sent += data.total
        if installed:
            return Uploaded(needs.python, sent, installed[0]["done"])
        missing = tuple(received["missing"])
    raise HostError(
        "the host does not keep what is written",
        host=host.remote.name,
        kind="altered",
        why=f"{len(missing)} chunks were sent twice and are not there as they were sent",
        fix="check the disk of the host",
    )


def _install(parcel: Parcel, token: str) -> Call:
    arguments = {
        "app": parcel.app,
        "build_id": parcel.build_id,
        "patience": INSTALL_TIMEOUT,
        "token": token,
    }
    return Call("install", "install", arguments)


class _Data:
    """The chunks of an upload, as they go out."""

    def __init__(
        self, name: str, parcel: Parcel, numbers: tuple[int, ...], progress: Progress | None
    ) -> None:
        self.name = name
        self.parcel = parcel
        self.numbers = numbers
        self.progress = progress
        self.total = sum(len(parcel.packed(n)) for n in numbers)

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        for number in self.numbers:
            data = self.parcel.packed(number)
            yield data
            sent += len(data)
            if self.progress is not None:
                self.progress(self.name, sent, self.total)
        yield HEADER.pack(END, 0)
