"""From a weaver.toml to one PEX file; what is unchanged is not built again.

This file decides the order of the steps, what is kept between builds, and that nothing is left of
a build that failed: all work is done in a folder of its own, and a PEX appears by a rename.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Self

import msgspec

from weaver.config.configuration import Config
from weaver.config.load import load
from weaver.errors import UsageError
from weaver.packaging import described, freeze, inputs, manifest, places, skeleton
from weaver.packaging.complete import check_complete
from weaver.packaging.contents import Contents
from weaver.packaging.errors import BuildError, PexError
from weaver.packaging.imports import FirstParty, Sources
from weaver.packaging.manifest import Manifest
from weaver.packaging.native_core import core_in
from weaver.packaging.requirements import WEAVER, name_of, requirements_of
from weaver.packaging.skeleton import Skeleton, Unfit

KEPT = 5  # builds of one weaver.toml; going back to a state that was built before costs nothing

Progress = Callable[[str], None]


class Built(msgspec.Struct, frozen=True):
    """A PEX on disk. `fresh` is false where an earlier build of the same inputs was found."""

    path: Path
    build_id: str
    manifest: Manifest
    fresh: bool


class Recipe(msgspec.Struct, frozen=True):
    """What the last build of a weaver.toml was made from, and the builds that are kept.

    `builds` maps the digest of all inputs to the build id.
    """

    packages: tuple[FirstParty, ...] = ()
    distributions: tuple[str, ...] = ()
    builds: dict[str, str] = {}


def build(
    target_config_path: Path | None,
    output: Path | None = None,
    progress: Progress | None = None,
) -> Built:
    """The PEX of the application that a weaver.toml describes, built if anything has changed.

    Without a path, ./weaver.toml. The file stays in the cache of builds; a copy goes to `output`.
    Raises BuildError, ConfigError, DefinitionError or UsageError, and leaves nothing behind then.
    """
    source = _config_file(target_config_path)
    job = _Job(source, progress or (lambda _line: None))
    built = job.find() or job.make()
    return built if output is None else _copied(built, output)


class _Job:
    """One build of one weaver.toml."""

    def __init__(self, source: Path, progress: Progress) -> None:
        self.source = source
        self.progress = progress
        self.config, self.text = _read_config(source)
        self.project = (source.parent / self.config.package.project).resolve()
        self.builds = places.builds_of(source)
        self.recipe = _read_recipe(self.builds / "recipe.json")
        self.pex_version = freeze.pex_version()

    def find(self) -> Built | None:
        """The build of exactly these inputs, if it is kept and whole."""
        if not self.recipe.packages:
            return None
        try:
            files = self._files(self.recipe.packages)
            key = self._key(self._inputs(Contents(files)), self.recipe.distributions)
            path = self.builds / f"{key}.pex"
            expected = self.recipe.builds.get(key)
            if expected is None or manifest.build_id(path) != expected:
                return None
            found = manifest.read(path)
        except (OSError, BuildError, PexError):  # something is gone: the build will say what
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return Built(path, expected, found, fresh=False)

    def make(self) -> Built:
        """Build, and keep the result."""
        self._check_project()
        self.progress("reading the application")
        with _Packer(self.project) as packer:
            described_as, sources = described.describe(self.source)
            requirements = requirements_of(self.project)
            with _work_folder(self.builds) as work:
                files = self._files((*sources.packages, _weaver_itself()))
                contents = packer.taken(Contents(files), work / "sources")
                digest = self._inputs(contents)
                complete = self._completed(described_as, requirements, files, digest)
                count = len(requirements)
                self.progress(f"packing the application with {count} requirements")
                contents = contents.having(manifest.MANIFEST, manifest.encode(complete))
                packer.pack(requirements, contents, work)
                return self._keep(work / "app.pex", complete, sources, digest)

    def _completed(
        self, found: Manifest, requirements: tuple[str, ...], files: dict[str, Path], digest: str
    ) -> Manifest:
        version = _weaver_version()
        return msgspec.structs.replace(
            found,
            weaver=version,
            native=core_in(files, version),
            config=self.text,
            source=self.source.name,
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
            requirements=requirements,
            inputs=digest,
            revision=_revision(self.project),
        )

    def _keep(self, pex: Path, complete: Manifest, sources: Sources, digest: str) -> Built:
        names = _distributions(pex)
        for warning in check_complete(sources, names, self.project):
            self.progress(warning)
        distributions = (*sorted(names), WEAVER)
        key = self._key(digest, distributions)
        build_id = manifest.build_id(pex)
        path = self.builds / f"{key}.pex"
        pex.replace(path)
        kept = _prune(self.builds)
        builds = {k: v for k, v in self.recipe.builds.items() if k in kept} | {key: build_id}
        recipe = Recipe((*sources.packages, _weaver_itself()), distributions, builds)
        _write(self.builds / "recipe.json", msgspec.json.encode(recipe))
        return Built(path, build_id, complete, fresh=True)

    def _files(self, packages: tuple[FirstParty, ...]) -> dict[str, Path]:
        return inputs.own_files(packages, self.project, self.config.package)

    def _inputs(self, contents: Contents) -> str:
        metadata = self.project / "pyproject.toml"
        others = [
            self.text.encode(),
            metadata.read_bytes() if metadata.is_file() else b"",
            str(self.config.app.entry).encode(),  # may come from the environment
            f"{inputs.interpreter()} pex {self.pex_version}".encode(),
            " ".join(freeze.OPTIONS).encode(),
        ]
        return inputs.digest_of(contents.items(), others)

    def _key(self, digest: str, distributions: tuple[str, ...]) -> str:
        environment = inputs.environment_digest(distributions)
        return inputs.digest_of((), [digest.encode(), environment.encode()])[:32]

    def _check_project(self) -> None:
        if not self.project.is_dir():
            raise BuildError(
                f"[package] project is {self.project}, which is no folder",
                where=self.config.provenance("package.project"),
                fix="name the folder of the project, relative to weaver.toml",
            )
        if not freeze.in_virtual_environment():
            self.progress(
                "this Python is in no virtual environment: the installed versions are taken from "
                "the package index"
            )


class _Packer:
    """What writes the PEX: pex, or what is kept of an earlier one of its files, if that suffices.

    pex is started ahead of its arguments, because it takes long to start.
    """

    def __init__(self, project: Path) -> None:
        self.skeleton = _skeleton_for(project)
        self._pex = None if self.skeleton else freeze.Pex(places.cache_root() / "pex")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pex is not None:
            self._pex.__exit__(*error)

    def taken(self, contents: Contents, stage: Path) -> Contents:
        """What files hold now, whatever becomes of them: in memory if that will do."""
        held = contents.held() if self.skeleton is not None else contents
        return contents.written_to(stage) if held is contents else held

    def pack(self, requirements: tuple[str, ...], contents: Contents, work: Path) -> None:
        """Write app.pex in `work`. Raises BuildError and OSError."""
        stage, output = work / "sources", work / "app.pex"
        if self.skeleton is not None:
            with contextlib.suppress(OSError, Unfit):  # what is wrong with a disk, pex will say
                self.skeleton.fill(contents, output)
                return
            output.unlink(missing_ok=True)
        contents.written_to(stage)
        self._pex = self._pex or freeze.Pex(places.cache_root() / "pex")
        self._pex.freeze(requirements, stage, output)
        names = (*sorted(_distributions(output)), WEAVER)
        skeleton.keep(output, contents, requirements, names, work)


def _skeleton_for(project: Path) -> Skeleton | None:
    try:
        return Skeleton.find(requirements_of(project))
    except BuildError:  # the application may have problems too: those are said first
        return None


def _config_file(path: Path | None) -> Path:
    found = path or Path("weaver.toml")
    found = found / "weaver.toml" if found.is_dir() else found
    if not found.is_file():
        raise UsageError(
            f"there is no {found}",
            where=str(Path.cwd()),
            why="a build needs to know the entry, groups and listeners of the application",
            fix="name a weaver.toml, or write one; `weaver init NAME` shows how",
        )
    if found.suffix != ".toml" and manifest.looks_like_pex(found):
        raise UsageError(
            f"{found} is a PEX, and no weaver.toml",
            where=str(Path.cwd()),
            why="what is built, run and deployed is the application that a weaver.toml describes",
            fix="name the weaver.toml that it was built from; by itself, the file runs "
            "the application in one process",
        )
    return found.resolve()


def _read_config(source: Path) -> tuple[Config, str]:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{source} cannot be read", why=str(error), fix="it must be UTF-8 text"
        ) from error
    config = load(text, source=str(source), environ=os.environ)
    if config.app.entry is None:
        raise UsageError(
            "the application has no entry",
            where=str(source),
            fix='set `entry = "shop.web:Web"` under [app]',
        )
    return config, text


def _read_recipe(path: Path) -> Recipe:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recipe)
    except (OSError, msgspec.DecodeError):  # none yet, or of another version of weaver
        return Recipe()


@contextlib.contextmanager
def _work_folder(builds: Path) -> Generator[Path]:
    """A folder that is gone afterwards; also those are swept that killed builds have left."""
    work = builds / f"work-{os.getpid()}"
    try:
        builds.mkdir(parents=True, exist_ok=True)
        for old in builds.glob("work-*"):
            if not Path(f"/proc/{old.name.removeprefix('work-')}").exists():
                shutil.rmtree(old, ignore_errors=True)
        work.mkdir()
        yield work
    except OSError as error:
        raise _unwritable(Path(error.filename2 or error.filename or builds), error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _copied(built: Built, output: Path) -> Built:
    """A copy of the build at `output`, which appears at once and whole."""
    if output.is_dir():
        output = output / f"{built.manifest.app}.pex"
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        if output.is_file() and manifest.build_id(output) == built.build_id:
            return msgspec.structs.replace(built, path=output)
        shutil.copy(built.path, part)
        part.replace(output)
    except OSError as error:
        raise _unwritable(output, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return msgspec.structs.replace(built, path=output)


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(data)
    part.replace(path)


def _prune(builds: Path) -> set[str]:
    """Remove all but the newest builds; returns the keys of those that stay."""
    found = sorted(builds.glob("*.pex"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[KEPT:]:
        path.unlink(missing_ok=True)
    return {path.stem for path in found[:KEPT]}


def _unwritable(path: Path, error: OSError) -> BuildError:
    return BuildError(
        f"{path} cannot be written",
        why=error.strerror or str(error),
        fix="choose another place with -o, or set XDG_CACHE_HOME to a folder with space that you "
        "may write to",
    )


def _distributions(pex: Path) -> set[str]:
    """Normal names of the distributions in a PEX."""
    return {
        name_of(wheel.partition("-")[0]) for wheel in manifest.read_pex_info(pex)["distributions"]
    }


def _weaver_itself() -> FirstParty:
    path = Path(__file__).resolve().parents[1]
    return FirstParty("weaver", str(path.parent), str(path))


def _weaver_version() -> str:
    import importlib.metadata

    return importlib.metadata.version(WEAVER)


def _revision(project: Path) -> str:
    """The commit that the project is at; "" where git or a repository is missing."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - the user's git
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
