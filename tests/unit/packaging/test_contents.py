"""What goes into a PEX stays as it was when the build began."""

from pathlib import Path

import pytest

from weaver.packaging import contents as module
from weaver.packaging.contents import Contents


def test_what_is_held_does_not_change_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    read = Contents({"x/a": tmp_path / "a"}).having("b", b"2")
    held, copied = read.held(), read.written_to(tmp_path / "stage")
    (tmp_path / "a").write_bytes(b"3")
    assert dict(read) == {"x/a": b"3", "b": b"2"}
    assert dict(held) == dict(copied) == {"x/a": b"1", "b": b"2"}
    assert (len(held), sorted(held)) == (2, ["b", "x/a"])
    assert (tmp_path / "stage" / "x" / "a").read_bytes() == b"1"


def test_more_than_memory_is_for_stays_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 2)
    (tmp_path / "a").write_bytes(b"123")
    read = Contents({"a": tmp_path / "a"})
    assert read.held() is read
    copied = read.written_to(tmp_path / "stage").having("b", b"2")
    again = copied.written_to(tmp_path / "stage")  # copies only what is not there
    assert dict(again) == {"a": b"123", "b": b"2"}
