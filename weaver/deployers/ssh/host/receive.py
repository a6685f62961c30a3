"""Chunks of a release as they arrive, and the file that they make together.

Decides that nothing is believed: each chunk is held to its digest, and the file to the SHA-256
that is its build id. What has arrived stays, so an interrupted upload goes on where it ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from weaver.deployers.ssh.host.deploy_token import check
from weaver.deployers.ssh.host.place import Fault, Place, locked, write
from weaver.deployers.ssh.host.plain import restore

HEADER = struct.Struct("<LL")  # number and size; then zlib
END = 0xFFFFFFFF  # the number that ends the chunks
_LARGEST = 1 << 20  # bytes in a chunk


def receive(place: Place, app: str, build_id: str, token: str = "") -> dict[str, Any]:
    """Store chunks until the end mark, then assemble the file from all of them."""
    check(place.app(app), token)
    known = place.known(build_id)
    with place.using():
        place.blobs.mkdir(parents=True, exist_ok=True)
        while True:
            number, size = HEADER.unpack(_exactly(place, HEADER.size))
            if number == END:
                break
            if number >= len(known["chunks"]) or size > 2 * _LARGEST:
                raise _altered("a chunk that nobody asked for has arrived", build_id)
            digest = known["chunks"][number]
            data = _unpacked(_exactly(place, size), build_id)
            if hashlib.sha256(data).hexdigest()[: len(digest)] != digest:
                raise _altered(f"chunk {number} does not have its digest", build_id)
            write(place.blobs / digest, data)
        with locked(place.release(build_id) / "lock"):
            bad = _assemble(place, place.release(build_id), known)
    return {"missing": bad, "restored": bad is not None, "stop": bad != []}


def _exactly(place: Place, size: int) -> bytes:
    data = place.read(size)
    if len(data) < size:
        raise Fault(
            "interrupted",
            "the upload was interrupted",
            "",
            "the connection ended before all chunks had arrived",
            "deploy again: what has arrived is not sent again",
        )
    return data


def _unpacked(data: bytes, build_id: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        return unpacker.decompress(data, _LARGEST)
    except zlib.error as error:
        raise _altered(f"a chunk cannot be unpacked: {error}", build_id) from error


def _assemble(place: Place, release: Path, known: dict[str, Any]) -> list[int] | None:
    """Write app.pex; returns the numbers of chunks that turn out to be absent or damaged.

    None where the chunks are right, but zlib packs members in another way here.
    """
    target, plain, part = (release / name for name in ("app.pex", "plain.part", "app.pex.part"))
    if target.is_file():
        return []
    try:
        with plain.open("wb") as file:
            bad = [n for n, name in enumerate(known["chunks"]) if not _add(file, place, name)]
        if bad:
            return bad
        _restore(plain, part, known["restoring"])
        with part.open("rb") as file:
            right = sha256(file) == known["build_id"]
            os.fsync(file.fileno())
        if not right and known["inflated"]:
            return None
        if not right:
            raise _altered("the file does not have the SHA-256 of its build", str(part))
        part.replace(target)
        _sync(release)
    finally:
        for path in (plain, part):
            with contextlib.suppress(OSError):
                path.unlink()
    return []


def _restore(plain: Path, part: Path, restoring: Any) -> None:
    if not restoring or not plain.stat().st_size:
        plain.replace(part)
        return
    with plain.open("rb") as file, part.open("wb") as out:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with data, contextlib.suppress(struct.error):  # the SHA-256 will be wrong
            restore(data, out, *restoring)


def _add(file: BinaryIO, place: Place, name: str) -> bool:
    blob = place.blobs / name
    try:
        data = blob.read_bytes()
    except FileNotFoundError:
        return False
    if hashlib.sha256(data).hexdigest()[: len(name)] != name:
        blob.unlink()
        return False
    file.write(data)
    return True


def sha256(file: BinaryIO) -> str:
    """Of the rest of a file."""
    found = hashlib.sha256()
    for data in iter(lambda: file.read(1 << 20), b""):
        found.update(data)
    return found.hexdigest()


def _sync(folder: Path) -> None:
    descriptor = os.open(str(folder), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _altered(why: str, where: str) -> Fault:
    return Fault(
        "altered",
        "the release was altered on its way, and is refused",
        where,
        why,
        "build it again, and deploy again; what is on the host has not changed",
    )
