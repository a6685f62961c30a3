"""What is compiled when weaver is installed; its Python sources do all of it, too, but slower.

Wherever a C compiler and the headers of Python are: the codec of records (docs/decisions/0012;
WEAVER_NATIVE=0 leaves it out), and the core of the data plane (docs/decisions/0013; WEAVER_CORE=0
leaves it out, =1 makes it an error that it cannot be compiled). An editable install has no core: it
would hide changes of its sources.
"""

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CORE = "WEAVER_CORE"
NATIVE = "WEAVER_NATIVE"

CODEC = Path("weaver/rpc/codec")
COMPILE_TIMEOUT = 300.0  # seconds for one file; it takes one or two
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")

# What runs for each call, and for each request of the ingress. Async generators, and classes of
# asyncio, cannot be among it.
MODULES = (
    "frames",
    "rpc/callee", "rpc/caller", "rpc/connection", "rpc/intake", "rpc/listener", "rpc/outbox",
    "rpc/methods", "rpc/reassembly", "rpc/codec/arguments", "rpc/codec/values",
    "proclet/answer", "proclet/balancing", "proclet/channel", "proclet/deadlines",
    "proclet/dispatcher", "proclet/eager", "proclet/item_stream", "proclet/outgoing",
    "proclet/peer", "proclet/pool", "proclet/remote_method", "proclet/retrying", "proclet/spinning",
    "ingress/counting", "ingress/ejection", "ingress/exchange", "ingress/passage",
    "ingress/replica", "ingress/http/answer", "ingress/http/body", "ingress/http/forwarding",
    "ingress/http/request", "ingress/http/response", "ingress/http/rules",
)  # fmt: skip

# The name of the group puts the library that all of them share into the package, too. A file of C
# for each of them: several are compiled at once.
GENERATE = """
import json
from mypyc.build import mypycify

options = ["--config-file=", "--ignore-missing-imports", "--python-version={python}"]
options += {files!r}
made = mypycify(options, debug_level="0", group_name="weaver._core", multi_file=True)
with open("extensions.json", "w") as file:
    json.dump([[each.name, each.sources, each.include_dirs] for each in made], file)
"""


# mypyc throws exceptions into what a coroutine awaits in a way that Python 3.12 warns of; tests of
# users may take warnings for errors.
RUN_TIME = Path("build/misc_ops.c")
THROWN = "PyObject_CallFunctionObjArgs(_m, type, value, traceback, NULL)"
THROWN_NOW = "PyObject_CallOneArg(_m, value)"


class NotCompiled(Exception):
    """Why there is no library; its sources do as well."""


class CoreHook(BuildHookInterface[Any]):
    """hatchling finds it by the name of this file."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs besides hatchling."""
        return ["mypy[mypyc]>=1.18", "msgspec>=0.20", "setuptools>=77"] if wants_core() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add what came of it to the wheel; of an editable install, to the sources."""
        root = Path(self.root)
        if version == "editable":
            _refuse_core()
            compile_records(root, root / CODEC)
            return
        self._folder = tempfile.TemporaryDirectory(prefix="weaver-core-")
        work = Path(self._folder.name)
        libraries = self._core_or_nothing(root, work) if wants_core() else []
        records = compile_records(root, work / CODEC)
        for library in [*libraries, *([records] if records is not None else [])]:
            build_data["force_include"][str(library)] = library.relative_to(work).as_posix()
            build_data["pure_python"] = False
            build_data["infer_tag"] = True

    def _core_or_nothing(self, root: Path, work: Path) -> list[Path]:
        """Compile the core; that it cannot be ends the build only if the variable asks for it."""
        try:
            return compile_core(root, work)
        except NotCompiled as error:
            if not os.environ.get(CORE):
                self.app.display_warning(f"the core of weaver is left to its sources: {error}")
                return []
            python = f"{sys.version_info.major}.{sys.version_info.minor}"
            sys.exit(
                f"the core could not be compiled:\n{error}\n  fix: a C compiler and the headers"
                f" of Python {python} are needed; with {CORE}=0 the sources do its work"
            )

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The wheel is written."""
        del build_data, artifact_path
        if version != "editable":
            self._folder.cleanup()


def wants_core() -> bool:
    """Whether the core is to be compiled: where it can be, unless the variable says otherwise."""
    wanted = os.environ.get(CORE, "")
    return wanted != "0" and (bool(wanted) or (_can_compile() and _has_compiler()))


def _refuse_core() -> None:
    if os.environ.get(CORE, "") not in {"", "0"}:
        sys.exit(
            f"{CORE}=1 with an editable install: compiled modules would hide later changes of"
            " their sources\n  fix: leave the variable out, or install a wheel (make core)"
        )


def compile_core(root: Path, work: Path) -> list[Path]:
    """Compile a copy of the sources in `work`; the libraries below it. Raises NotCompiled."""
    shutil.copytree(
        root / "weaver", work / "weaver", ignore=shutil.ignore_patterns("*.so", "*.pyd")
    )
    files = [f"weaver/{module}.py" for module in MODULES]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    generate = GENERATE.format(files=files, python=python)
    _run([sys.executable, "-c", generate], work)
    with contextlib.suppress(FileNotFoundError):
        text = (work / RUN_TIME).read_text(encoding="utf-8")
        (work / RUN_TIME).write_text(text.replace(THROWN, THROWN_NOW), encoding="utf-8")
    extensions = json.loads((work / "extensions.json").read_text(encoding="utf-8"))
    compiler = [*_compiler(work), "-w"]
    # Where mypyc puts a header depends on the name of the group.
    folders = {path.parent.relative_to(work) for path in (work / "build").rglob("*.h")}
    compiler += [f"-I{folder}" for folder in sorted(folders)]

    def compiled(source: str, folders: list[str]) -> str:
        target = f"{source}.o"
        _run([*compiler, *(f"-I{folder}" for folder in folders), "-c", source, "-o", target], work)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = [
            (name, [pool.submit(compiled, source, folders) for source in sources])
            for name, sources, folders in extensions
        ]
    libraries: list[Path] = []
    for name, parts in objects:
        library = Path(*name.split(".")).with_suffix(SUFFIX)
        _run([*compiler, *_SHARED, *(part.result() for part in parts), "-o", str(library)], work)
        libraries.append(work / library)
    return libraries


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=COMPILE_TIMEOUT,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise NotCompiled(str(error)) from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise NotCompiled("\n".join(said[-20:]) or f"{command[0]} ended with {done.returncode}")


def records_digest(root: Path) -> str:
    """Which sources a library was built from: weaver does not use one of others."""
    digest = hashlib.sha256()
    for path in sorted((root / CODEC / "c").glob("*.[ch]")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def compile_records(root: Path, folder: Path) -> Path | None:
    """Compile the codec of records into `folder`; None, and no file, where that cannot be done.

    Two builds with one compiler are equal to the byte.
    """
    if os.environ.get(NATIVE) == "0" or not _can_compile():
        return None
    target = folder / f"_records{SUFFIX}"
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        command = [*_compiler(root), *_SHARED, f'-DSOURCE_DIGEST="{records_digest(root)}"']
        _run([*command, str(root / CODEC / "c" / "records.c"), "-o", str(part)], folder)
        part.replace(target)  # a process that has loaded the old one keeps it
    except (OSError, NotCompiled):
        return None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return target


def _can_compile() -> bool:
    """CPython with its lock only: objects change their class in C."""
    return (
        sys.implementation.name == "cpython"
        and sys.platform != "win32"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
    )


def _has_compiler() -> bool:
    """Whether it is worth the attempt: for it, mypy is fetched."""
    try:
        command = _compiler(Path())
    except ValueError:
        return False
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return shutil.which(command[0]) is not None and header.is_file()


def _compiler(root: Path) -> list[str]:
    """The compiler of this Python, less what would tell in the library where it was built."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    command += ["-O3", "-g0", "-fPIC", "-DNDEBUG", "-fwrapv", f"-ffile-prefix-map={root}=."]
    return [*command, f"-I{sysconfig.get_path('include')}"]


_SHARED = (
    ["-bundle", "-undefined", "dynamic_lookup"]
    if sys.platform == "darwin"
    else ["-shared", "-s", "-Wl,--build-id=none"]
)
