"""A PEX that holds the compiled core says for which interpreters."""

import sysconfig
from pathlib import Path

import msgspec
import pytest

from weaver.packaging.manifest import Manifest
from weaver.packaging.native_core import core_in, platform_of
from weaver.packaging.suits import this_interpreter, unsuited
from weaver.packaging.tags import Interpreter

LINUX = Interpreter(version="3.11.7", system="linux", machine="x86_64", libc="glibc 2.36")
LIBRARY = f"weaver/_core__mypyc{sysconfig.get_config_var('EXT_SUFFIX')}"


# As the linker writes what a library takes from others: names, ended by zeros.
SYMBOLS = b"\0memcpy\0GLIBC_2.14\0libc.so.6\0GLIBC_2.2.5\0"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "library.so"
    path.write_bytes(b"\x7fELF" + SYMBOLS)
    return path


def test_pure_sources_name_nothing(library: Path) -> None:
    assert core_in({"weaver/frames.py": library}, "1.0") == ()


def test_what_was_compiled_for_another_python_does_not_count(library: Path) -> None:
    assert core_in({"weaver/_core__mypyc.cpython-399-sparc-solaris.so": library}, "1.0") == ()


def test_the_core_is_named_and_runs_here(library: Path) -> None:
    (wheel,) = core_in({"weaver/frames.py": library, LIBRARY: library}, "1.0")
    assert wheel.startswith("weaver_core-1.0-cp3")
    manifest = Manifest(weaver="1.0", app="shop", entry="shop.web:Web", native=(wheel,))
    assert unsuited(manifest, []) == ""


def test_a_pex_with_the_core_is_refused_elsewhere(library: Path) -> None:
    (wheel,) = core_in({LIBRARY: library}, "1.0")
    manifest = Manifest(weaver="1.0", app="shop", entry="shop.web:Web", native=(wheel,))
    elsewhere = msgspec.structs.replace(this_interpreter(), machine="sparc")
    assert "weaver_core-1.0" in unsuited(manifest, [], elsewhere)
    assert "another platform" in unsuited(manifest, [], elsewhere)


def test_a_c_library_older_than_what_is_used_of_it_is_refused() -> None:
    """What is used counts, not the version that there was: hosts are often older."""
    wheel = f"weaver_core-1.0-cp311-cp311-{platform_of(SYMBOLS, LINUX, 'linux-x86_64')}.whl"
    manifest = Manifest(weaver="1.0", app="shop", entry="shop.web:Web", native=(wheel,))
    assert unsuited(manifest, [], LINUX) == ""
    enough = msgspec.structs.replace(LINUX, libc="glibc 2.14")
    assert unsuited(manifest, [], enough) == ""
    older = msgspec.structs.replace(LINUX, libc="glibc 2.5")
    assert "needs glibc 2.14, and this has glibc 2.5" in unsuited(manifest, [], older)


def test_other_systems_are_named_as_python_names_them() -> None:
    mac = Interpreter(version="3.11.7", system="darwin", machine="arm64", libc="macos 13.2")
    assert platform_of(b"", mac, "macosx-11.0-arm64") == "macosx_11_0_arm64"
    alpine = msgspec.structs.replace(LINUX, libc="musl")
    assert platform_of(b"", alpine, "linux-x86_64") == "linux_x86_64"
