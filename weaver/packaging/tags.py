"""Whether a wheel runs on an interpreter, told from its file name alone.

This file decides what the tags in the names of wheels mean; it asks nothing of any machine, so that
it can judge for a host as well as for this one.
"""

import re

import msgspec

_GLIBC_OF = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_LINUX = re.compile(r"(?:(many|musl)linux_(\d+)_(\d+)|(manylinux1|manylinux20\d\d)|linux)_(\w+)")
_MACOS = re.compile(r"macosx_(\d+)_(\d+)_(\w+)")
_FAT = {"universal2": {"x86_64", "arm64"}, "intel": {"x86_64", "i386"}, "universal": {"i386"}}


class Interpreter(msgspec.Struct, frozen=True):
    """A Python, as far as it decides which wheels it can use.

    `system` is as in `sys.platform`, `machine` the architecture of the interpreter itself, `libc`
    its name and version ("glibc 2.36"), on macOS the system's ("macos 14.5"); "" where unknown.
    """

    version: str
    system: str
    machine: str
    libc: str = ""
    implementation: str = "cpython"
    free_threaded: bool = False
    path: str = ""
    lacks: tuple[str, ...] = ()

    @property
    def minor(self) -> str:
        """As "3.11"."""
        return ".".join(self.version.split(".")[:2])

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers, to compare."""
        return _numbers(self.version)


def mismatch(wheel: str, on: Interpreter) -> str:
    """Why a wheel does not run on an interpreter; "" if it does."""
    parts = wheel.removesuffix(".whl").rsplit("-", 3)
    if len(parts) != 4:
        return f"{wheel} is not named as wheels are"
    _, pythons, abis, platforms = parts
    pairs = [(python, abi) for python in pythons.split(".") for abi in abis.split(".")]
    if not any(_python_fits(python, abi, on) for python, abi in pairs):
        kind = " without the GIL" if on.free_threaded else ""
        return f"{wheel} is for another Python than {on.implementation} {on.minor}{kind}"
    reasons = [_platform_mismatch(platform.lower(), on) for platform in platforms.split(".")]
    if "" in reasons:
        return ""
    nearest = next((reason for reason in reasons if reason != _ELSEWHERE), "")
    if nearest:
        return f"{wheel} needs {nearest}, and this has {on.libc or 'another C library'}"
    return f"{wheel} is for another platform, and this is {on.system} on {on.machine}"


_ELSEWHERE = "elsewhere"  # another system or architecture: no version of a library will do


def _python_fits(python: str, abi: str, on: Interpreter) -> bool:
    minor = on.numbers[1] if len(on.numbers) > 1 else 0
    number = int(python[3:]) if python[3:].isdigit() else None
    if abi == "none":
        if python == "py3" or (python.startswith("py3") and number is not None):
            return number is None or number <= minor
        return python == f"cp3{minor}" and on.implementation == "cpython"
    if on.implementation == "pypy":
        return python == f"pp3{minor}"
    if on.implementation != "cpython":
        return False
    if abi == "abi3":
        is_cpython = python.startswith("cp3") and number is not None
        return is_cpython and not on.free_threaded and (number or 0) <= minor
    return (python, abi) == (f"cp3{minor}", f"cp3{minor}{'t' if on.free_threaded else ''}")


def _platform_mismatch(tag: str, on: Interpreter) -> str:
    """What this tag needs that there is not: "" for nothing, or the name of a C library."""
    if tag == "any":
        return ""
    if on.system == "linux":
        return _linux_mismatch(tag, on)
    if on.system == "darwin":
        return _macos_mismatch(tag, on)
    fits = on.system == "win32" and tag in {f"win_{on.machine}", f"win{on.machine}"}
    return "" if fits else _ELSEWHERE


def _linux_mismatch(tag: str, on: Interpreter) -> str:
    found = _LINUX.fullmatch(tag)
    if found is None or found[5] != on.machine:
        return _ELSEWHERE
    if not (found[1] or found[4]):  # built on some Linux, for its own C library, whose name is lost
        return ""
    kind = "musl" if found[1] == "musl" else "glibc"
    needed = _GLIBC_OF[found[4]] if found[4] in _GLIBC_OF else (int(found[2]), int(found[3]))
    name, _, version = on.libc.partition(" ")
    if not name or (name == kind and (not version or _numbers(version)[:2] >= needed)):
        return ""
    return f"{kind} {needed[0]}.{needed[1]}"


def _macos_mismatch(tag: str, on: Interpreter) -> str:
    found = _MACOS.fullmatch(tag)
    if found is None or on.machine not in _FAT.get(found[3], {found[3]}):
        return _ELSEWHERE
    version = on.libc.partition(" ")[2]
    needed = (int(found[1]), int(found[2]))
    if not version or _numbers(version)[:2] >= needed:
        return ""
    return f"macOS {needed[0]}.{needed[1]}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
