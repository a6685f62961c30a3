"""Compiles the core of the data plane into the wheel, where WEAVER_CORE=1 asks for it.

Its sources stay in the wheel: an interpreter that the compiled modules are not for runs those
(docs/decisions/0010). Without the variable the wheel is pure Python.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ASKED = "WEAVER_CORE"

# What runs for each call, and for each request of the ingress. Async generators, and classes of
# asyncio, cannot be among it.
MODULES = (
    "frames",
    "rpc/callee", "rpc/caller", "rpc/connection", "rpc/intake", "rpc/listener", "rpc/outbox",
    "rpc/reassembly", "rpc/codec/arguments", "rpc/codec/values",
    "proclet/answer", "proclet/balancing", "proclet/channel", "proclet/deadlines",
    "proclet/dispatcher", "proclet/eager", "proclet/item_stream", "proclet/outgoing",
    "proclet/pool", "proclet/remote_method", "proclet/retrying", "proclet/spinning",
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
        """Compile, and add what came of it to the wheel."""
        if not asked():
            return
        if version == "editable":
            sys.exit(
                f"{ASKED}=1 with an editable install: compiled modules would hide later changes of"
                " their sources\n  fix: leave the variable out, or install a wheel (make core)"
            )
        self._folder = tempfile.TemporaryDirectory(prefix="weaver-core-")
        work = Path(self._folder.name)
        for library in compile_core(Path(self.root), work):
            build_data["force_include"][str(library)] = library.relative_to(work).as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The wheel is written."""
        del version, build_data, artifact_path
        if asked():
            self._folder.cleanup()


def asked() -> bool:
    """Whether the core is to be compiled."""
    return os.environ.get(ASKED, "0") not in {"", "0"}


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
