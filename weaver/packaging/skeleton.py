"""What pex has written once, without the sources: with others it is the PEX that pex would write.

pex takes 1.9 s of CPU, of which nothing depends on a changed line. A PEX is kept without what comes
from the application, and the next builds with the same requirements fill it, also those of other
projects. That relies on the layout of a PEX, so a skeleton is kept only if it is right: filled with
the same sources, it must be byte by byte the file that pex has written.
"""

import contextlib
import filecmp
import hashlib
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from weaver.packaging import freeze, inputs, places
from weaver.packaging.whole import tell_when_cut

KEPT: Final = 4  # skeletons of this user, of the size of a PEX each; the last used ones stay
_KEPT_ENTRIES: Final = (".bootstrap/", ".deps/")
_INFO: Final = "PEX-INFO"
_MODES: Final = {_INFO: 0o644, "__main__.py": 0o755, "__pex__/__init__.py": 0o644}
_BYTECODE: Final = (".pyc", ".pyo")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # when everything in a PEX has been written


class Unfit(Exception):
    """These files cannot be added, or this PEX is laid out in a way that is not known."""


class Skeleton(msgspec.Struct, frozen=True):
    """A PEX without sources, at `folder`.

    `header` is the size of what precedes the archive; `pex_hash` stands in there and in `texts`,
    the files that pex writes for each PEX.
    """

    header: int
    pex_hash: str
    texts: dict[str, str]
    distributions: tuple[str, ...]
    folder: str = ""

    @classmethod
    def find(cls, requirements: Iterable[str]) -> Self | None:
        """The one for these requirements in this environment, if it is kept."""
        key = _key(requirements)
        for folder in _all().glob(f"{key}-*"):
            try:
                found = msgspec.json.decode((folder / "record.json").read_bytes(), type=cls)
                if folder.name == f"{key}-{_state(found.distributions)}":
                    os.utime(folder)
                    return msgspec.structs.replace(found, folder=str(folder))
            except (OSError, msgspec.MsgspecError):  # just removed, or of another weaver
                continue
        return None

    def fill(self, contents: Mapping[str, bytes], output: Path) -> None:
        """Write a PEX with these sources. Raises Unfit or OSError; `output` is undefined then."""
        for name in contents:
            if name in _MODES or name.startswith(_KEPT_ENTRIES) or name.endswith(_BYTECODE):
                raise Unfit(f"pex has a say in {name}")
        texts = self._texts(_code_hash(contents))
        shutil.copyfile(Path(self.folder, "skeleton.zip"), output)
        made: set[str] = set()
        with zipfile.ZipFile(output, "a") as archive:
            for name in sorted({*contents, *texts}):
                _make_parents(archive, name, made)
                data = texts[name] if name in texts else contents[name]
                archive.writestr(_entry(name), data)
        with output.open("r+b") as file:
            header = file.read(self.header)
            file.seek(0)
            file.write(self._renamed(header.decode("latin-1"), texts).encode("latin-1"))
        output.chmod(output.stat().st_mode | 0o111)
        tell_when_cut(output)

    def _texts(self, code_hash: str) -> dict[str, str]:
        """What pex writes for this code; its own hash is that of all else that it says."""
        info = json.loads(self.texts[_INFO]) | {"code_hash": code_hash}
        del info["pex_hash"]
        digest = hashlib.sha1(_dumped(info).encode(), usedforsecurity=False).hexdigest()
        texts = {name: text.replace(self.pex_hash, digest) for name, text in self.texts.items()}
        return texts | {_INFO: _dumped(info | {"pex_hash": digest})}

    def _renamed(self, header: str, texts: dict[str, str]) -> str:
        return header.replace(self.pex_hash, json.loads(texts[_INFO])["pex_hash"])


def keep(
    pex: Path,
    contents: Mapping[str, bytes],
    requirements: Iterable[str],
    distributions: Iterable[str],
    work: Path,
) -> None:
    """Keep the skeleton of a PEX that pex has just written of these sources, if that can be done.

    `work` is a folder on the file system of the cache, of the caller's.
    """
    folder = work / "skeleton"
    try:
        folder.mkdir()
        found = _taken_from(pex, tuple(distributions), folder)
        found.fill(contents, work / "filled")
        if not filecmp.cmp(pex, work / "filled", shallow=False):
            return
        (folder / "record.json").write_bytes(msgspec.json.encode(found))
        _all().mkdir(parents=True, exist_ok=True)
        folder.rename(_all() / f"{_key(requirements)}-{_state(found.distributions)}")
        _prune()
    except (OSError, Unfit, KeyError, ValueError, zipfile.BadZipFile):
        return  # pex will do the next build as well


def _taken_from(pex: Path, distributions: tuple[str, ...], folder: Path) -> Skeleton:
    with zipfile.ZipFile(pex) as archive, (folder / "skeleton.zip").open("w+b") as file:
        header = min(info.header_offset for info in archive.infolist())
        with pex.open("rb") as whole:
            file.write(whole.read(header))
        with zipfile.ZipFile(file, "a") as kept:
            for info in archive.infolist():
                if info.filename.startswith(_KEPT_ENTRIES):
                    _copy_entry(archive, info, kept)
        texts = {name: archive.read(name).decode() for name in _MODES}
    return Skeleton(header, json.loads(texts[_INFO])["pex_hash"], texts, distributions, str(folder))


def _copy_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, kept: zipfile.ZipFile) -> None:
    copy = zipfile.ZipInfo(info.filename, info.date_time)
    copy.compress_type, copy.external_attr = info.compress_type, info.external_attr
    if info.is_dir():
        kept.writestr(copy, b"")
        return
    copy.file_size = info.file_size
    with archive.open(info) as source, kept.open(copy, "w") as target:
        shutil.copyfileobj(source, target)


def _make_parents(archive: zipfile.ZipFile, name: str, made: set[str]) -> None:
    parents = name.split("/")[:-1]
    for depth in range(1, len(parents) + 1):
        folder = "/".join(parents[:depth])
        if folder not in made:
            made.add(folder)
            entry = zipfile.ZipInfo(f"{folder}/", _EPOCH)
            entry.external_attr = (0o40755 << 16) | 0x10
            archive.writestr(entry, b"")


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = (0o100000 | _MODES.get(name, 0o644)) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _code_hash(contents: Mapping[str, bytes]) -> str:
    """As pex has it: all names, then all contents; hidden files do not count."""
    names = sorted(name for name in contents if not name.rpartition("/")[2].startswith("."))
    digest = hashlib.sha1("".join(names).encode(), usedforsecurity=False)
    for name in names:
        digest.update(contents[name])
    return digest.hexdigest()


def _dumped(info: dict[str, object]) -> str:
    return json.dumps(info, sort_keys=True, separators=(",", ":"))


def _key(requirements: Iterable[str]) -> str:
    """What a skeleton depends on, but for the state of the distributions in it."""
    wanted = (inputs.interpreter(), sys.prefix, freeze.pex_version(), *freeze.OPTIONS)
    return inputs.digest_of((), ["\n".join((*wanted, *requirements)).encode()])[:16]


def _state(distributions: Iterable[str]) -> str:
    return inputs.environment_digest(distributions)[:16]


def _all() -> Path:
    return places.cache_root() / "skeletons"


def _prune() -> None:
    with contextlib.suppress(OSError):
        for old in sorted(_all().iterdir(), key=lambda path: -path.stat().st_mtime)[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
