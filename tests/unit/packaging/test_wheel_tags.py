"""Which wheels run on which interpreter, by their names."""

import pytest

from weaver.packaging.suits import machine_of, this_interpreter, unsuited_for
from weaver.packaging.tags import Interpreter, mismatch

DEBIAN = Interpreter(version="3.11.7", system="linux", machine="x86_64", libc="glibc 2.36")
OLD = Interpreter(version="3.11.7", system="linux", machine="x86_64", libc="glibc 2.17")
ALPINE = Interpreter(version="3.11.7", system="linux", machine="x86_64", libc="musl 1.2.4")
ARM = Interpreter(version="3.11.7", system="linux", machine="aarch64", libc="glibc 2.36")
MAC = Interpreter(version="3.11.7", system="darwin", machine="arm64", libc="macos 13.2")
FREE = Interpreter(
    version="3.13.1", system="linux", machine="x86_64", libc="glibc 2.36", free_threaded=True
)
MANY = "manylinux_2_17_x86_64.manylinux2014_x86_64.manylinux_2_28_x86_64"


@pytest.mark.parametrize(
    ("tags", "on"),
    [
        ("py3-none-any", DEBIAN),
        ("py2.py3-none-any", ALPINE),
        ("py310-none-any", DEBIAN),
        (f"cp311-cp311-{MANY}", DEBIAN),
        (f"cp311-cp311-{MANY}", OLD),
        ("cp311-cp311-manylinux1_x86_64", OLD),
        ("cp37-abi3-manylinux_2_28_x86_64", DEBIAN),
        ("py3-none-manylinux_2_5_x86_64.manylinux1_x86_64", DEBIAN),
        ("cp311-cp311-linux_x86_64", DEBIAN),
        ("cp311-cp311-musllinux_1_2_x86_64", ALPINE),
        ("cp311-cp311-macosx_11_0_arm64", MAC),
        ("cp311-cp311-macosx_10_9_universal2", MAC),
        ("cp313-cp313t-manylinux_2_28_x86_64", FREE),
    ],
)
def test_a_wheel_runs(tags: str, on: Interpreter) -> None:
    assert mismatch(f"msgspec-0.22.0-{tags}.whl", on) == ""


@pytest.mark.parametrize(
    ("tags", "on", "reason"),
    [
        ("cp312-cp312-manylinux_2_17_x86_64", DEBIAN, "another Python than cpython 3.11"),
        ("py312-none-any", DEBIAN, "another Python"),
        ("cp312-abi3-manylinux_2_17_x86_64", DEBIAN, "another Python"),
        ("cp311-cp311t-manylinux_2_17_x86_64", DEBIAN, "another Python"),
        ("cp313-cp313-manylinux_2_28_x86_64", FREE, "without the GIL"),
        ("cp39-abi3-manylinux_2_28_x86_64", FREE, "without the GIL"),
        ("pp311-pypy311_pp73-manylinux_2_17_x86_64", DEBIAN, "another Python"),
        (f"cp311-cp311-{MANY}", ARM, "another platform, and this is linux on aarch64"),
        ("cp311-cp311-manylinux_2_28_x86_64", OLD, "needs glibc 2.28, and this has glibc 2.17"),
        (f"cp311-cp311-{MANY}", ALPINE, "needs glibc 2.17, and this has musl 1.2.4"),
        ("cp311-cp311-musllinux_1_2_x86_64", DEBIAN, "needs musl 1.2, and this has glibc"),
        ("cp311-cp311-macosx_14_0_arm64", MAC, "needs macOS 14.0, and this has macos 13.2"),
        ("cp311-cp311-macosx_11_0_x86_64", MAC, "another platform"),
        ("cp311-cp311-win_amd64", DEBIAN, "another platform"),
    ],
)
def test_a_wheel_does_not_run(tags: str, on: Interpreter, reason: str) -> None:
    assert reason in mismatch(f"msgspec-0.22.0-{tags}.whl", on)


def test_a_name_that_is_no_wheels_is_refused() -> None:
    assert "not named as wheels are" in mismatch("msgspec.tar.gz", DEBIAN)


def test_the_minor_version_that_a_pex_was_built_for_comes_first() -> None:
    reason = unsuited_for("3.12", ["a-1-cp313-cp313-win32.whl"], DEBIAN)
    assert reason == "it was built for Python 3.12, and this is Python 3.11"


def test_an_interpreter_of_32_bits_is_of_another_architecture() -> None:
    assert machine_of("x86_64", 32) == "i686"
    assert machine_of("x86_64", 64) == "x86_64"
    assert machine_of("aarch64", 32) == "armv7l"


def test_this_interpreter_runs_wheels_of_its_own_kind() -> None:
    here = this_interpreter()
    minor = here.minor.replace(".", "")
    assert mismatch(f"a-1-cp{minor}-abi3-linux_{here.machine}.whl", here) == "" or (
        here.system != "linux" or here.free_threaded
    )
    assert here.numbers >= (3, 11)
