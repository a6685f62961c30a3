"""Modules that were compiled for another Python are not packed; other libraries are."""

import sysconfig
from pathlib import Path

from weaver.config.schema import PackageTable
from weaver.packaging.imports import FirstParty
from weaver.packaging.inputs import own_files


def test_only_what_this_python_can_load_is_packed(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    ours = f"fast{sysconfig.get_config_var('EXT_SUFFIX')}"
    packed = {"__init__.py", ours, "fast.abi3.so", "libshop.so", "shop.cpython-notes.txt"}
    others = {
        "fast.cpython-399-x86_64-linux-gnu.so", "fast.cpython-399t-darwin.so",
        "fast.cp399-win_amd64.pyd", "fast.pypy310-pp73-x86_64-linux-gnu.so",
    }  # fmt: skip
    for name in packed | others:
        (package / name).write_bytes(b"")
    found = own_files([FirstParty("shop", str(tmp_path), str(package))], tmp_path, PackageTable())
    assert set(found) == {f"shop/{name}" for name in packed}
