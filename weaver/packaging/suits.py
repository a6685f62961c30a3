"""Whether a PEX can run on an interpreter: told from its manifest and the names of its wheels."""

import os
import platform
import struct
import sys
from collections.abc import Iterable

from weaver.packaging.manifest import Manifest
from weaver.packaging.tags import Interpreter, mismatch

# The architecture of a 32-bit interpreter on a 64-bit machine.
_NARROW = {"x86_64": "i686", "amd64": "32", "aarch64": "armv7l"}


def unsuited(
    manifest: Manifest, distributions: Iterable[str], on: Interpreter | None = None
) -> str:
    """Why an interpreter, by default this one, cannot run the PEX; "" if it can."""
    wheels = (*distributions, *manifest.native)
    return unsuited_for(manifest.python, wheels, on or this_interpreter())


def unsuited_for(python: str, wheels: Iterable[str], on: Interpreter) -> str:
    """The same, of a PEX that was built for minor version `python` and holds these wheels."""
    if python and python != on.minor:
        return f"it was built for Python {python}, and this is Python {on.minor}"
    return next((reason for wheel in wheels if (reason := mismatch(wheel, on))), "")


def this_interpreter() -> Interpreter:
    """The Python that runs this."""
    machine, bits = platform.machine().lower(), struct.calcsize("P") * 8
    return Interpreter(
        version=platform.python_version(),
        system=sys.platform,
        machine=machine_of(machine, bits),
        libc=_libc(),
        implementation=sys.implementation.name,
        free_threaded="t" in getattr(sys, "abiflags", ""),
        path=sys.executable,
    )


def machine_of(machine: str, bits: int) -> str:
    """The architecture of an interpreter of so many bits on a machine, as wheels call it."""
    return _NARROW.get(machine, machine) if bits == 32 else machine


def _libc() -> str:
    if sys.platform == "darwin":
        return f"macos {platform.mac_ver()[0]}"
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "musl"
    except (AttributeError, OSError, ValueError):
        return "musl" if sys.platform == "linux" else ""
