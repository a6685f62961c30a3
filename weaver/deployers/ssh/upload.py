"""Bring a build to a host: ask what is absent, then send and install that, in two round trips.

Decides the order, and that nothing is sent twice or without need. Chunks are packed once for all
hosts, from whichever thread needs them first.
"""

import functools
import hashlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from weaver.deployers.ssh.chunks import DIGEST_SIZE, Split, split
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
        self.path = path
        self.plain = Cut(split(data))

    @functools.cached_property
    def as_it_is(self) -> "Cut":
        """For a host whose zlib packs in another way than ours."""
        return Cut(split(self.path.read_bytes(), inflate=False))

    def announcement(self, cut: "Cut", *, announce: bool, token: str = "") -> Call:
        """Ask what is absent; with `announce`, tell also that it will be sent."""
        parcel = {
            "size": self.size,
            "chunks": b"".join(chunk.digest for chunk in cut.parts.chunks).hex(),
            "width": 2 * DIGEST_SIZE,
            "restoring": cut.parts.restoring,
            "inflated": cut.parts.inflated,
        }
        arguments = {
            "app": self.app,
            "build_id": self.build_id,
            "parcel": parcel,
            "announce": announce,
            "token": token,
        }
        return Call("missing", "missing", arguments)


class Cut:
    """The chunks of one form of a build, packed when they are first needed."""

    def __init__(self, parts: Split) -> None:
        self.parts = parts
        self.packed: dict[int, bytes] = {}

    def message(self, number: int) -> bytes:
        """One chunk as it is sent."""
        found = self.packed.get(number)
        if found is None:
            small = zlib.compress(self.parts.chunks[number].data, 9)
            found = self.packed[number] = HEADER.pack(number, len(small)) + small
        return found

    def bytes_of(self, numbers: tuple[int, ...]) -> int:
        """How much is sent for these chunks."""
        return sum(len(self.message(number)) for number in numbers)


class Needs(msgspec.Struct, frozen=True):
    """What a host lacks of a build: the numbers of chunks, the whole file, its installation.

    `python` is that of the installed release, now or later. `zlib` is the version of zlib there.
    """

    missing: tuple[int, ...]
    complete: bool
    installed: bool
    python: str
    zlib: str


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
    cut, needs = _needs(host, parcel, announce=False)
    return Plan(cut.bytes_of(needs.missing), not needs.installed)


def upload(
    host: RemotePython, parcel: Parcel, progress: Progress | None = None, *, token: str = ""
) -> Uploaded:
    """Have a build on a host, installed; what is there already costs one round trip.

    `token` is of the deploy lock. Raises HostError and Unreachable; called again, it goes on from
    where it was interrupted.
    """
    cut, needs = _needs(host, parcel, announce=True, token=token)
    if needs.complete and needs.installed:
        return Uploaded(needs.python, 0, installed=False)
    if needs.complete:
        [found] = call(host, [_install(parcel, token)], timeout=INSTALL_TIMEOUT + TIMEOUT)
        return Uploaded(needs.python, 0, found["done"])
    sending = _Sending(host, parcel, progress, token)
    done = sending.send(cut, needs.missing)
    if done is None:  # zlib packs differently there, and does not say so
        [found] = call(host, [parcel.announcement(parcel.as_it_is, announce=True, token=token)])
        done = sending.send(parcel.as_it_is, msgspec.convert(found, Needs).missing)
    if done is None:
        raise HostError(
            "the host does not keep what is written",
            host=host.remote.name,
            kind="altered",
            why="chunks were sent twice and are not there as they were sent",
            fix="check the disk of the host",
        )
    return Uploaded(needs.python, sending.sent, done)


def _needs(
    host: RemotePython, parcel: Parcel, *, announce: bool, token: str = ""
) -> tuple[Cut, Needs]:
    """What is absent, of the form that the host can restore."""
    cut = parcel.plain
    [found] = call(host, [parcel.announcement(cut, announce=announce, token=token)])
    needs = msgspec.convert(found, Needs)
    if not needs.complete and cut.parts.inflated and not _packs_alike(needs.zlib):
        cut = parcel.as_it_is
        [found] = call(host, [parcel.announcement(cut, announce=announce, token=token)])
        needs = msgspec.convert(found, Needs)
    return cut, needs


def _packs_alike(version: str) -> bool:
    """All versions of zlib itself pack alike; zlib-ng, which says so in its version, does not."""
    return ("ng" in version) == ("ng" in zlib.ZLIB_RUNTIME_VERSION)


class _Sending:
    """Sends chunks of a build to a host, and has it installed; `sent` counts bytes."""

    def __init__(
        self, host: RemotePython, parcel: Parcel, progress: Progress | None, token: str
    ) -> None:
        self._host = host
        self._progress = progress
        receive = {"app": parcel.app, "build_id": parcel.build_id, "token": token}
        self._calls = [Call("receive", "receive", receive), _install(parcel, token)]
        self.sent = 0

    def send(self, cut: Cut, missing: tuple[int, ...]) -> bool | None:
        """Send chunks, and once more those that turn out to be damaged there.

        Returns whether it was installed now; None if what is there does not make the file.
        """
        for _ in range(2):
            timeout = UPLOAD_TIMEOUT + INSTALL_TIMEOUT
            data = self._messages(cut, missing)
            received, *installed = call(self._host, self._calls, data=data, timeout=timeout)
            if installed:
                done: bool = installed[0]["done"]
                return done
            if not received["restored"]:
                return None
            missing = tuple(received["missing"])
        return None

    def _messages(self, cut: Cut, numbers: tuple[int, ...]) -> Iterator[bytes]:
        sent, total = 0, cut.bytes_of(numbers)
        for number in numbers:
            message = cut.message(number)
            yield message
            sent += len(message)
            self.sent += len(message)
            if self._progress is not None:
                self._progress(self._host.remote.name, sent, total)
        yield HEADER.pack(END, 0)


def _install(parcel: Parcel, token: str) -> Call:
    arguments = {
        "app": parcel.app,
        "build_id": parcel.build_id,
        "patience": INSTALL_TIMEOUT,
        "token": token,
    }
    return Call("install", "install", arguments)
