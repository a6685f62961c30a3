"""What a PEX says about itself, read without running the application in it.

This file decides the manifest's fields. The build id cannot be one of them: it is the hash of the
whole file. Unknown fields are ignored and missing ones have defaults, so that a PEX built by
another version of weaver can be read.
"""

import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import msgspec

from weaver.packaging.errors import PexError

MANIFEST = "weaver_manifest.json"  # at the root of the PEX, and of its site-packages

_REBUILD = "copy the file again, or build it again: weaver build"


class ManifestMethod(msgspec.Struct, frozen=True):
    """One component method; `routed_by` names the parameter that decides the replica.

    `key_type` is the annotation of that parameter.
    """

    name: str
    kind: Literal["async", "plain", "stream"]
    signature: str
    routed_by: str | None = None
    idempotent: bool = False
    key_type: str = ""


class ManifestSetting(msgspec.Struct, frozen=True):
    """One field of a component's config type; `type` is its annotation."""

    name: str
    type: str = ""
    required: bool = False


class ManifestComponent(msgspec.Struct, frozen=True):
    """One component; `references` are full names, `where` is relative to its import root.

    `settings` and `secrets` are what its config section may hold; None in a PEX of a weaver that
    did not tell.
    """

    name: str
    short_name: str
    where: str = ""
    methods: tuple[ManifestMethod, ...] = ()
    references: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()
    settings: tuple[ManifestSetting, ...] | None = None
    secrets: tuple[str, ...] | None = None


class Manifest(msgspec.Struct, frozen=True):
    """What one build contains.

    `groups` maps each group of weaver.toml to its components by full name; components in none go
    where `placement` says. `config` is the text of weaver.toml. `inputs` is the digest of all that
    the build depends on; `python` the minor version that it runs on; `native` are names, as of
    wheels, of what was compiled and is in none.
    """

    weaver: str
    app: str
    entry: str
    components: tuple[ManifestComponent, ...] = ()
    listeners: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = {}
    placement: str = "split"
    config: str = ""
    source: str = "weaver.toml"
    python: str = ""
    requirements: tuple[str, ...] = ()
    inputs: str = ""
    revision: str = ""
    native: tuple[str, ...] = ()

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """(caller, callee) by full name: the call graph."""
        return tuple((c.name, target) for c in self.components for target in c.references)


def encode(manifest: Manifest) -> bytes:
    """The manifest as it stands in the PEX: JSON, the same bytes for the same values."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1)


def decode(data: bytes, source: str) -> Manifest:
    """The manifest in JSON; `source` is how messages call it. Raises PexError."""
    try:
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PexError(
            f"the manifest in {source} cannot be read",
            where=source,
            why=str(error),
            fix=_REBUILD,
        ) from error


def read(path: Path) -> Manifest:
    """The manifest of a PEX file; nothing of the application is run. Raises PexError."""
    with open_pex(path) as pex:
        if MANIFEST not in pex.namelist():
            raise PexError(
                f"{path} holds no weaver application",
                why=f"it is a PEX, but has no {MANIFEST}",
                fix="build it with `weaver build`",
            )
        return decode(pex.read(MANIFEST), str(path))


def read_pex_info(path: Path) -> dict[str, Any]:
    """What pex itself says about the file: its distributions and their hashes. Raises PexError."""
    with open_pex(path) as pex:
        found: dict[str, Any] = json.loads(pex.read("PEX-INFO"))
    return found


def build_id(path: Path) -> str:
    """The SHA-256 of the file, in hexadecimal; its first 12 digits are shown. Raises PexError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def open_pex(path: Path) -> zipfile.ZipFile:
    """Open a PEX to read it. Raises PexError for a file that is none, or not a whole one."""
    try:
        pex = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise _no_pex(path) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if "PEX-INFO" not in pex.namelist():
        pex.close()
        raise PexError(
            f"{path} is not a PEX",
            why="it is a zip file without PEX-INFO",
            fix="name a file that `weaver build` has written",
        )
    return pex


def looks_like_pex(path: Path) -> bool:
    """Whether a file begins as a PEX does, be it whole or not. False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(2) in {b"#!", b"PK"}
    except OSError:
        return False


def check_whole(path: Path) -> None:
    """Compare all that is in a PEX with its check sums: 0.1 s for 7 MB. Raises PexError."""
    with open_pex(path) as pex:
        try:
            damaged = pex.testzip()
        except (zipfile.BadZipFile, zlib.error, OSError, ValueError) as error:
            damaged = str(error)
    if damaged is not None:
        raise PexError(
            f"{path} is damaged",
            why=f"something in it is not as it was written: {damaged}",
            fix=_REBUILD,
        )


def _no_pex(path: Path) -> PexError:
    if looks_like_pex(path):
        return PexError(
            f"{path} is cut short or damaged",
            why="a PEX ends with a table of its contents, and this file does not "
            f"({path.stat().st_size} bytes)",
            fix=_REBUILD,
        )
    return PexError(
        f"{path} is not a PEX",
        why="it is not a zip file" if path.stat().st_size else "the file is empty",
        fix="name a file that `weaver build` has written",
    )


def _unreadable(path: Path, error: OSError) -> PexError:
    return PexError(
        f"{path} cannot be read",
        why=error.strerror or str(error),
        fix="name a PEX that exists and that you may read; `weaver build` writes one",
    )
