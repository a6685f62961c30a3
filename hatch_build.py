"""What is compiled when weaver is installed; its Python sources do all of it, too, but slower.

The codec of records (docs/decisions/0012) is compiled wherever a C compiler and the headers of
Python are; WEAVER_NATIVE=0 leaves it out. The core of the data plane (docs/decisions/0010) is
compiled only where WEAVER_CORE=1 asks for it.
"""

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ASKED = "WEAVER_CORE"
NATIVE = "WEAVER_NATIVE"

CODEC = Path("weaver/rpc/codec")
COMPILE_TIMEOUT = 120.0  # seconds; it takes one or two

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

# The name of the group puts the library that all of them share into the package, too.
SETUP = """
from mypyc.build import mypycify
from setuptools import setup

options = ["--config-file=", "--ignore-missing-imports", "--python-version={python}"]
options += {files!r}
modules = mypycify(options, opt_level="3", debug_level="0", group_name="weaver._core")
setup(name="weaver-core", packages=[], ext_modules=modules)
"""


class CoreHook(BuildHookInterface[Any]):
    """hatchling finds it by the name of this file."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs besides hatchling."""
        return ["mypy[mypyc]>=1.18", "msgspec>=0.20", "setuptools>=77"] if asked() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add what came of it to the wheel; of an editable install, to the sources."""
        root = Path(self.root)
        if version == "editable":
            _refuse_core()
            compile_records(root, root / CODEC)
            return
        self._folder = tempfile.TemporaryDirectory(prefix="weaver-core-")
        work = Path(self._folder.name)
        libraries = compile_core(root, work) if asked() else []
        records = compile_records(root, work / CODEC)
        for library in [*libraries, *([records] if records is not None else [])]:
            build_data["force_include"][str(library)] = library.relative_to(work).as_posix()
            build_data["pure_python"] = False
            build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The wheel is written."""
        del build_data, artifact_path
        if version != "editable":
            self._folder.cleanup()


def asked() -> bool:
    """Whether the core is to be compiled."""
    return os.environ.get(ASKED, "0") not in {"", "0"}


def _refuse_core() -> None:
    if asked():
        sys.exit(
            f"{ASKED}=1 with an editable install: compiled modules would hide later changes of"
            " their sources\n  fix: leave the variable out, or install a wheel (make core)"
        )


def compile_core(root: Path, work: Path) -> list[Path]:
    """Compile a copy of the sources in `work`; the libraries below it."""
    shutil.copytree(
        root / "weaver", work / "weaver", ignore=shutil.ignore_patterns("*.so", "*.pyd")
    )
    files = [f"weaver/{module}.py" for module in MODULES]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    (work / "setup.py").write_text(SETUP.format(files=files, python=python))
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    found = sorted((work / "weaver").rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"))
    if done.returncode or not found:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        sys.exit(
            f"the core could not be compiled:\n{said}\n  fix: a C compiler and the headers of"
            f" Python {python} are needed; without {ASKED} the wheel is pure Python"
        )
    return found


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
    if os.environ.get(NATIVE) == "0" or not _can_have_records():
        return None
    target = folder / f"_records{sysconfig.get_config_var('EXT_SUFFIX')}"
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        command = [*_compiler(root), f'-DSOURCE_DIGEST="{records_digest(root)}"']
        command += [str(root / CODEC / "c" / "records.c"), "-o", str(part)]
        done = subprocess.run(  # noqa: S603 - our own
            command, capture_output=True, check=False, timeout=COMPILE_TIMEOUT
        )
        if done.returncode:
            return None
        part.replace(target)  # a process that has loaded the old one keeps it
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return target


def _can_have_records() -> bool:
    """CPython with its lock only: objects change their class in C."""
    return (
        sys.implementation.name == "cpython"
        and sys.platform != "win32"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
    )


def _compiler(root: Path) -> list[str]:
    """The compiler of this Python, less what would tell in the library where it was built."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    command += ["-O3", "-g0", "-fPIC", "-DNDEBUG", "-fwrapv", f"-ffile-prefix-map={root}=."]
    command.append(f"-I{sysconfig.get_path('include')}")
    if sys.platform == "darwin":
        return [*command, "-bundle", "-undefined", "dynamic_lookup"]
    return [*command, "-shared", "-s", "-Wl,--build-id=none"]
