"""Weaver's compiled core in a PEX: it travels among the sources, so no wheel's name tells of it.

This file decides what such a wheel would be called, so that the same rules refuse it elsewhere.
"""

import sys
import sysconfig
from collections.abc import Iterable

from weaver.packaging.suits import this_interpreter
from weaver.packaging.tags import Interpreter

_LIBRARY = "weaver/_core__mypyc"


def core_in(files: Iterable[str], version: str) -> tuple[str, ...]:
    """The name of the core of weaver `version` as a wheel; empty if these files do not hold it.

    `files` are paths in a PEX that is built by this interpreter. What was compiled for another one
    does not count: Python takes the sources beside it.
    """
    library = _LIBRARY + (sysconfig.get_config_var("EXT_SUFFIX") or ".so")
    if library not in files:
        return ()
    on = this_interpreter()
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    abi = python + ("t" if on.free_threaded else "")
    platform = platform_of(on, sysconfig.get_platform())
    return (f"weaver_core-{version}-{python}-{abi}-{platform}.whl",)


def platform_of(on: Interpreter, built_for: str) -> str:
    """The platform tag of what was compiled here; `built_for` is what sysconfig calls it.

    On Linux with glibc it names the version here: one that is older may lack what is used.
    """
    kind, _, version = on.libc.partition(" ")
    if on.system == "linux" and kind == "glibc" and version:
        return f"manylinux_{'_'.join(version.split('.')[:2])}_{on.machine}"
    return built_for.replace("-", "_").replace(".", "_")
