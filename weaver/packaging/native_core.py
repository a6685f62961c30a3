"""Weaver's compiled core in a PEX: it travels among the sources, so no wheel's name tells of it.

This file decides what such a wheel would be called, so that the same rules refuse it elsewhere.
"""

import re
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from weaver.packaging.suits import this_interpreter
from weaver.packaging.tags import Interpreter

_LIBRARY = "weaver/_core__mypyc"
_NEEDED = re.compile(rb"GLIBC_(\d+)\.(\d+)")


def core_in(files: Mapping[str, Path], version: str) -> tuple[str, ...]:
    """The name of the core of weaver `version` as a wheel; empty if these files do not hold it.

    `files` are by their path in a PEX that is built by this interpreter. What was compiled for
    another one does not count: Python takes the sources beside it.
    """
    library = files.get(_LIBRARY + (sysconfig.get_config_var("EXT_SUFFIX") or ".so"))
    if library is None:
        return ()
    on = this_interpreter()
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    abi = python + ("t" if on.free_threaded else "")
    platform = platform_of(library.read_bytes(), on, sysconfig.get_platform())
    return (f"weaver_core-{version}-{python}-{abi}-{platform}.whl",)


def platform_of(library: bytes, on: Interpreter, built_for: str) -> str:
    """The platform tag of what was compiled here; `built_for` is what sysconfig calls it.

    On Linux with glibc it names the newest version that the library has symbols of: not that of
    this machine, which is often newer than it has to be.
    """
    if on.system == "linux" and on.libc.startswith("glibc "):
        needed = {(int(major), int(minor)) for major, minor in _NEEDED.findall(library)}
        if needed:
            return "manylinux_{}_{}_{}".format(*max(needed), on.machine)
    return built_for.replace("-", "_").replace(".", "_")
