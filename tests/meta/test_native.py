"""The compiled codec of records is built from these sources, wherever it can be (decision 12)."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from weaver.rpc.codec import compiled
from weaver.rpc.codec.compiled import record_codec

ROOT = Path(__file__).parents[2]
CODEC = Path("weaver/rpc/codec")


def test_the_digest_is_that_of_the_sources(build: Any) -> None:
    """Else weaver would not use what is compiled; write it into compiled.py, and build again."""
    assert build.records_digest(ROOT) == compiled.DIGEST


def test_it_is_at_work_and_every_build_gives_the_same_bytes(build: Any, tmp_path: Path) -> None:
    shutil.copytree(ROOT / CODEC / "c", tmp_path / "elsewhere" / CODEC / "c")
    library = build.compile_records(tmp_path / "elsewhere", tmp_path / "built")
    if library is None:
        pytest.skip("there is no C compiler here, or no Python.h")
    assert [path.name for path in (tmp_path / "built").iterdir()] == [library.name]
    make = record_codec()
    assert make is not None, "install weaver again: pip install --editable ."
    found: Any = sys.modules["weaver.rpc.codec._records"]
    assert Path(found.__file__).read_bytes() == library.read_bytes()


def test_without_a_compiler_it_is_left_out(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    assert build.compile_records(ROOT, tmp_path / "built") is None
    monkeypatch.setenv("CC", shutil.which("false") or "false")
    assert build.compile_records(ROOT, tmp_path / "built") is None
    monkeypatch.delenv("CC")
    monkeypatch.setenv("WEAVER_NATIVE", "0")
    assert build.compile_records(ROOT, tmp_path / "built") is None
    assert list((tmp_path / "built").iterdir()) == []
