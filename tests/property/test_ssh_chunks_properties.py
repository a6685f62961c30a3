import io
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from weaver.deployers.ssh.chunks import MOST, join, split

NAMES = st.sampled_from(
    [".bootstrap/pex/a.py", ".deps/a.whl", ".deps/b.whl", "PEX-INFO", "weaver_manifest.json"]
) | st.from_regex(r"\A[a-z]{1,8}/[a-zé]{1,8}\.py\Z")
CONTENT = st.binary(max_size=3000)
MEMBERS = st.dictionaries(NAMES, CONTENT, max_size=30)
STUBS = st.sampled_from([b"", b"#!/bin/sh\n", b"# stub\n" * 700])


def zipped(stub: bytes, members: dict[str, bytes], comment: bytes = b"") -> bytes:
    out = io.BytesIO(stub)
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        file.comment = comment
    return out.getvalue()


@given(st.binary(max_size=2000), st.integers(1, 400))
def test_any_file_comes_back_as_it_was(data: bytes, times: int) -> None:
    whole = data * times
    parts = split(whole)
    assert join(parts) == whole
    assert all(0 < len(chunk.data) <= MOST for chunk in parts.chunks)


@given(STUBS, MEMBERS, st.binary(max_size=50))
def test_any_zip_file_comes_back_as_it_was(
    stub: bytes, members: dict[str, bytes], comment: bytes
) -> None:
    data = zipped(stub, members, comment)
    assert join(split(data)) == data
    assert join(split(stub + data)) == stub + data


@given(
    STUBS, MEMBERS, st.lists(st.tuples(st.integers(0, 20_000), st.binary(max_size=4)), max_size=5)
)
def test_a_damaged_zip_file_comes_back_as_it_was(
    stub: bytes, members: dict[str, bytes], damage: list[tuple[int, bytes]]
) -> None:
    data = bytearray(zipped(stub, members))
    for at, with_what in damage:
        place = at % len(data)
        data[place : place + len(with_what)] = with_what
    assert join(split(bytes(data))) == bytes(data)


@given(MEMBERS.filter(bool), st.data())
def test_members_that_did_not_change_are_not_sent(
    members: dict[str, bytes], draw: st.DataObject
) -> None:
    """What is new are the chunks that the changed member is in, of its data and of its entry."""
    changed = draw.draw(st.sampled_from(sorted(members)))
    content = draw.draw(CONTENT)
    old = split(zipped(b"", members))
    new = split(zipped(b"", {**members, changed: content}))
    known = {chunk.digest for chunk in old.chunks}
    sent = [chunk for chunk in new.chunks if chunk.digest not in known]
    if content == members[changed]:
        assert sent == []
    else:
        assert len(sent) <= 4  # data, an entry, the end of the directory, and a border that moved
        held = {chunk.digest: chunk.data for chunk in (*old.chunks, *sent)}
        assert b"".join(held[c.digest] for c in new.chunks) == b"".join(c.data for c in new.chunks)
