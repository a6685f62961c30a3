"""Statements about all tables and all ways to cut a message into pieces."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from weaver.control.ingress import Backend, Pinning, Table, VersionShare
from weaver.ingress import pinning
from weaver.ingress.ejection import Ejection
from weaver.ingress.http import body
from weaver.ingress.http.answer import AnswerReader
from weaver.ingress.http.body import Body, ChunkedBody, FramedBody
from weaver.ingress.http.forwarding import Origin, request_bytes
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.request import parse_request
from weaver.ingress.replica import Replica, least_loaded
from weaver.ingress.routing import Router
from weaver.ingress.upstream import Pool

REPLICAS = tuple(Replica(Backend(name, f"unix:/{name}"), Pool(name, 1)) for name in "abcd")
TOKEN = st.text("abcXYZ019-", min_size=1, max_size=8).map(lambda text: "X-" + text)
VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(at)]


@given(st.lists(st.integers(0, 100), min_size=1, max_size=5), st.integers(1, 300))
def test_every_version_is_less_than_one_request_per_version_from_its_share(
    weights: list[int], count: int
) -> None:
    shares = tuple(VersionShare(f"v{i}", weight) for i, weight in enumerate(weights))
    router = Router(Table(1, shares))
    chosen = [router.choose(lambda _: "", "") for _ in range(count)]
    total = sum(weights)
    if not total:
        assert set(chosen) == {None}
        return
    seen = Counter(choice.share.version for choice in chosen if choice)
    assert seen.total() == count
    for share in shares:
        assert abs(seen[share.version] - count * share.weight / total) < len(shares)
        assert share.weight or not seen[share.version]


@given(st.lists(st.integers(1, 50), min_size=2, max_size=2), st.text(max_size=20))
def test_a_key_that_is_in_the_newest_version_stays_there_while_its_weight_grows(
    weights: list[int], user: str
) -> None:
    low, high = sorted(weights)

    def version(weight: int) -> str:
        shares = (VersionShare("new", weight), VersionShare("old", 100 - weight))
        router = Router(Table(1, shares, Pinning(key="X-User")))
        choice = router.choose(lambda name: user if name == "X-User" else "", "")
        assert choice is not None
        return choice.share.version if choice.by == "key" else ""

    if version(low) == "new":
        assert version(high) == "new"


@given(st.from_regex(r"[A-Za-z0-9._+\-]{1,40}", fullmatch=True), st.binary(min_size=1))
def test_a_cookie_is_read_as_it_was_signed_and_by_nobody_else(version: str, secret: bytes) -> None:
    pins = Pinning(cookie="v", secret=secret)
    header = f"x=y; v={pinning.value_of(version, pins)}"
    assert pinning.version_in(header, pins) == version
    assert not pinning.version_in(header, Pinning(cookie="v", secret=secret + b"!"))
    assert not pinning.version_in(header[:-1], pins)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.booleans(), st.booleans(), st.floats(0, 2)),
        max_size=30,
    ),
    st.integers(1, 4),
)
def test_some_replica_is_always_left(
    history: list[tuple[str, bool, bool, float]], count: int
) -> None:
    ejection, now = Ejection(), 0.0
    replicas = REPLICAS[:count]
    names = [replica.id for replica in replicas]
    for name, good, refused, later in history:
        now += later
        if good:
            ejection.succeeded(name)
        else:
            ejection.failed(name, now, refused=refused)
        out = set(ejection.out(names, now))
        assert len(out) < count
        assert least_loaded(replicas, 0, out) is not None
    assert not ejection.out(names, now + 2), "everybody is tried again in time"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(0, 999)))
def test_a_chunked_body_is_the_same_however_it_is_cut(
    payloads: list[bytes], cuts: list[int]
) -> None:
    wire = b"".join(map(body.chunk, payloads)) + b"0\r\nA: b\r\n\r\n"
    reader, got = ChunkedBody(), b""
    for piece in pieces(wire, cuts):
        payload, rest = reader.feed(piece)
        got += payload
        assert not rest
    assert (got, reader.complete) == (b"".join(payloads), True)
    assert reader.feed(b"next") == (b"", b"next")


def read(reader: Body, wire: bytes, cuts: list[int]) -> tuple[bytes, bytes, bool]:
    """What a body gives, what follows it, and whether it was refused."""
    got = left = b""
    for piece in pieces(wire, cuts):
        try:
            given_now, rest = reader.feed(piece) if not reader.complete else (b"", piece)
        except Refusal:
            return got, b"", True
        got, left = got + given_now, left + rest
    return got, left, False


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=4),
    st.sampled_from((b"", b"A: b\r\n", b"A: b\r\nC: d\r\n")),
    st.lists(st.integers(0, 999)),
    st.tuples(st.integers(0, 999), st.sampled_from((b"", b"\r", b"\n", b";", b"0", b"f", b"\r\n"))),
    st.integers(0, 2),
)
def test_chunks_are_passed_on_only_as_they_were_read(
    payloads: list[bytes],
    trailers: bytes,
    cuts: list[int],
    change: tuple[int, bytes],
    removed: int,
) -> None:
    wire = b"".join(map(body.chunk, payloads)) + b"0\r\n" + trailers + b"\r\n"
    at, piece = change[0] % len(wire), change[1]
    whole, reader, framed, again = wire, ChunkedBody(), FramedBody(), ChunkedBody()
    wire = wire[:at] + piece + wire[at + removed :]
    payload, *end = read(reader, wire, cuts)
    chunks, *also = read(framed, wire, cuts)
    assert (end, reader.complete) == (also, framed.complete)
    assert read(again, chunks, []) == (payload, b"", False)
    assert again.complete == reader.complete
    if body.is_whole(b"head\r\n" + wire, 6):
        assert (chunks, framed.complete, end) == (wire, True, [b"", False])
    assert body.is_whole(b"head\r\n" + whole, 6) == (not trailers)


@given(st.binary(max_size=100), st.booleans(), st.lists(st.integers(0, 999)))
def test_an_answer_is_the_same_however_it_is_cut(
    content: bytes, chunked: bool, cuts: list[int]
) -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    framed = b"Content-Length: %d\r\n\r\n%b" % (len(content), content)
    if chunked:
        framed = b"Transfer-Encoding: chunked\r\n\r\n"
        framed += (body.chunk(content) if content else b"") + body.LAST_CHUNK
    reader = AnswerReader(b"GET", 1000)
    parts = [part for piece in pieces(head + framed, cuts) for part in reader.feed(piece)]
    assert sum(part.head is not None for part in parts) == 1
    assert b"".join(part.payload for part in parts) == content
    assert (reader.complete, reader.rest) == (True, b"")


@given(st.lists(st.tuples(TOKEN, VALUE), max_size=8), st.sampled_from(["GET", "POST", "DELETE"]))
def test_what_is_forwarded_is_a_request_with_the_same_headers(
    headers: list[tuple[str, str]], method: str
) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = parse_request(f"{method} /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode())
    again = parse_request(request_bytes(head, Origin("127.0.0.1", "http")))
    assert (again.method, again.target, again.length) == (head.method, head.target, head.length)
    kept = [pair for pair in again.headers if not pair[0].startswith(b"X-Forwarded-")]
    assert kept == head.headers
