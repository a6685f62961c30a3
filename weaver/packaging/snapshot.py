"""What of a version can be compared with another one, read from its PEX; nothing of it is run."""

from pathlib import Path

import msgspec

from weaver.packaging import manifest
from weaver.packaging.manifest import MANIFEST, Manifest

_OF_PEX = (".bootstrap/", ".deps/", "__pex__/", "__main__.py", "PEX-INFO", MANIFEST)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One version: `wheels` are file names, `files` maps each source to a checksum.

    `size` is in bytes.
    """

    build_id: str
    manifest: Manifest
    wheels: tuple[str, ...] = ()
    files: dict[str, str] = {}
    size: int = 0


def snapshot(pex: Path) -> Snapshot:
    """The version in a PEX. Raises PexError."""
    found = manifest.read(pex)
    wheels = manifest.read_pex_info(pex)["distributions"]
    with manifest.open_pex(pex) as archive:
        files = {
            entry.filename: f"{entry.CRC:08x}"
            for entry in archive.infolist()
            if not entry.is_dir() and not entry.filename.startswith(_OF_PEX)
        }
    return Snapshot(
        build_id=manifest.build_id(pex),
        manifest=found,
        wheels=tuple(sorted(wheels)),
        files=files,
        size=pex.stat().st_size,
    )
