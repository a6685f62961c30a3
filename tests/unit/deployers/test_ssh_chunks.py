import io
import zipfile
import zlib

import pytest

from weaver.deployers.ssh.chunks import MOST, join, split


def zipped(names: list[str], *, changed: str = "", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file with a stub before it; the members are some 700 bytes when packed."""
    out = io.BytesIO(b"#!/bin/sh\n" * 100)
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a", method) as file:
        for name in names:
            text = "".join(f"{name} {n * n % 9973}\n" for n in range(200))
            text += "more\n" if name == changed else ""
            file.writestr(zipfile.ZipInfo(name), text, method)
    return out.getvalue()


OWN = [f"shop/part{n:03}.py" for n in range(100)]


def new_bytes(old: bytes, new: bytes) -> int:
    known = {chunk.digest for chunk in split(old).chunks}
    sent = [chunk.data for chunk in split(new).chunks if chunk.digest not in known]
    return sum(len(zlib.compress(data)) for data in sent)


def test_a_zip_file_comes_back_as_it_was() -> None:
    data = zipped([".bootstrap/a.py", *OWN])
    assert join(split(data)) == data


def test_an_edit_changes_a_few_chunks_wherever_it_is() -> None:
    old = zipped(OWN)
    for changed in (OWN[0], OWN[50], OWN[-1]):
        assert 0 < new_bytes(old, zipped(OWN, changed=changed)) < 5_000


def test_a_member_more_leaves_the_chunks_of_the_others() -> None:
    old = zipped(OWN)
    assert 0 < new_bytes(old, zipped([*OWN[:50], "shop/part0495.py", *OWN[50:]])) < 6_000


def test_a_wheel_is_the_same_chunks_in_another_application() -> None:
    wheel = ".deps/big-1-py3-none-any.whl"
    shop, other = split(zipped([wheel, *OWN])), split(zipped(["x.py", wheel, "y.py"]))
    shared = {c.digest for c in shop.chunks} & {c.digest for c in other.chunks}
    headers = [c for c in other.chunks if c.data.startswith(b"PK\x03\x04")]
    assert [c.digest in shared for c in headers if wheel.encode() in c.data[:99]] == [True]


def test_code_is_cut_finer_than_what_never_changes() -> None:
    stable = split(zipped([f".bootstrap/{n}.py" for n in range(100)]))
    own = split(zipped(OWN))
    assert len(stable.chunks) < len(own.chunks) / 3


def test_another_file_is_cut_in_blocks() -> None:
    data = bytes(range(256)) * 4000
    parts = split(data)
    assert [len(chunk.data) for chunk in parts.chunks] == [MOST, MOST, MOST, len(data) - 3 * MOST]
    assert parts.restoring is None
    assert join(parts) == data


def test_an_empty_file_has_no_chunks() -> None:
    assert split(b"").chunks == ()


def test_a_damaged_directory_is_no_directory() -> None:
    data = zipped(OWN)
    at = data.index(b"PK\x01\x02")
    for broken in (data[:at] + b"xxxx" + data[at + 4 :], data[:-10], data[:at] + data[at + 1 :]):
        assert join(split(broken)) == broken


def test_a_zip_file_with_streamed_members_comes_back_as_it_was() -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_args: object) -> int:
            raise OSError

        def tell(self) -> int:
            raise OSError

    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name in OWN:
            file.writestr(name, name * 100)
    data = out.getvalue()
    assert join(split(data)) == data


@pytest.mark.parametrize("level", [1, 9])
def test_members_that_were_packed_in_another_way_are_left_packed(level: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as file:
        file.writestr("a.py", "".join(f"line {n * n % 9973}\n" for n in range(5000)))
    parts = split(out.getvalue())
    assert join(parts) == out.getvalue()
    assert not parts.inflated


def test_a_form_that_does_not_depend_on_zlib_can_be_had() -> None:
    data = zipped(OWN)
    assert split(data).inflated
    as_it_is = split(data, inflate=False)
    assert not as_it_is.inflated
    assert b"".join(chunk.data for chunk in as_it_is.chunks)[:3000] == data[:3000]
    assert join(as_it_is) == data
