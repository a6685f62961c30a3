"""A PEX that holds the compiled core says for which interpreters."""

import sysconfig

import msgspec

from weaver.packaging.manifest import Manifest
from weaver.packaging.native_core import core_in, platform_of
from weaver.packaging.suits import this_interpreter, unsuited
from weaver.packaging.tags import Interpreter

LINUX = Interpreter(version="3.11.7", system="linux", machine="x86_64", libc="glibc 2.36")
LIBRARY = f"weaver/_core__mypyc{sysconfig.get_config_var('EXT_SUFFIX')}"


def test_pure_sources_name_nothing() -> None:
    assert core_in({"weaver/frames.py": 1}, "1.0") == ()


def test_what_was_compiled_for_another_python_does_not_count() -> None:
    assert core_in(["weaver/_core__mypyc.cpython-399-sparc-solaris.so"], "1.0") == ()


def test_the_core_is_named_and_runs_here() -> None:
    (wheel,) = core_in(["weaver/frames.py", LIBRARY], "1.0")
    assert wheel.startswith("weaver_core-1.0-cp3")
    manifest = Manifest(weaver="1.0", app="shop", entry="shop.web:Web", native=(wheel,))
    assert unsuited(manifest, []) == ""


def test_a_pex_with_the_core_is_refused_elsewhere() -> None:
    (wheel,) = core_in([LIBRARY], "1.0")
    manifest = Manifest(weaver="1.0", app="shop", entry="shop.web:Web", native=(wheel,))
    elsewhere = msgspec.structs.replace(this_interpreter(), machine="sparc")
    assert "weaver_core-1.0" in unsuited(manifest, [], elsewhere)
    assert "another platform" in unsuited(manifest, [], elsewhere)


def test_an_older_c_library_is_refused() -> None:
    wheel = f"weaver_core-1.0-cp311-cp311-{platform_of(LINUX, 'linux-x86_64')}.whl"
    manifest = Manifest(weaver="1.0", app="shop", entry="shop.web:Web", native=(wheel,))
    assert unsuited(manifest, [], LINUX) == ""
    older = msgspec.structs.replace(LINUX, libc="glibc 2.31")
    assert "needs glibc 2.36, and this has glibc 2.31" in unsuited(manifest, [], older)


def test_other_systems_are_named_as_python_names_them() -> None:
    mac = Interpreter(version="3.11.7", system="darwin", machine="arm64", libc="macos 13.2")
    assert platform_of(mac, "macosx-11.0-arm64") == "macosx_11_0_arm64"
    alpine = msgspec.structs.replace(LINUX, libc="musl")
    assert platform_of(alpine, "linux-x86_64") == "linux_x86_64"
