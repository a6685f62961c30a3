"""What a faulty peer may do, and the sentence that ends its connection."""

from collections.abc import Callable

import msgspec
import pytest

from weaver import frames
from weaver.errors import ProtocolError
from weaver.frames import HEADER, PAIR, U32
from weaver.rpc.connection import Connection
from weaver.rpc.events import Cancelled, Closed, Event, Failed, Outcome
from weaver.rpc.handshake import MAGIC, VERSION, Hello, encode_hello
from weaver.rpc.limits import Limits
from weaver.rpc.state import State

HELLO = Hello(deployment="d", build="b", methods=b"m")
LARGE = frames.IS_LARGE


def frame(kind: int, call: int = 0, body: bytes = b"", *, method: int = 0, flags: int = 0) -> bytes:
    return HEADER.pack(len(body), call, method, kind, flags) + body


def opened(limits: Limits | None = None) -> Connection:
    connection = Connection(HELLO, limits)
    connection.receive(frame(frames.HELLO, MAGIC, encode_hello(HELLO), method=VERSION))
    connection.data_to_send()
    return connection


def with_plain_call() -> Connection:
    connection = opened()
    assert connection.send_request(1, b"") == 1
    connection.data_to_send()
    return connection


def with_stream() -> Connection:
    connection = opened()
    assert connection.send_request(1, b"", credit=1) == 1
    connection.data_to_send()
    return connection


def with_large_call() -> Connection:
    connection = opened(Limits(chunk=100))
    assert connection.send_request(1, bytes(500)) == 1
    connection.data_to_send()
    return connection


def with_ten_bytes_of_credit() -> Connection:
    connection = opened(Limits(stream_window=10))
    assert connection.send_request(1, b"", credit=5) == 1
    connection.data_to_send()
    return connection


def with_large_call_unsent() -> Connection:
    connection = opened(Limits(chunk=100))
    assert connection.send_request(1, bytes(500)) == 1
    return connection


def draining() -> Connection:
    connection = opened()
    connection.drain()
    return connection


SIZE_50 = U32.pack(50)
PART_40 = bytes(40)
ITEM = frame(frames.ITEM, 1, b"x")
BEGIN_REPLY = frame(frames.REPLY, 1, SIZE_50 + PART_40, flags=LARGE)

VIOLATIONS: list[tuple[str, Callable[[], Connection], bytes, str]] = [
    ("reply to no call", opened, frame(frames.REPLY, 1), "for call 1, which is not in flight"),
    ("reply twice", with_plain_call, frame(frames.REPLY, 1) * 2, "which is not in flight"),
    ("error after reply", with_plain_call,
     frame(frames.REPLY, 1) + frame(frames.ERROR, 1, method=1),
     "an error for call 1, which is not in flight"),
    ("item to plain call", with_plain_call, ITEM, "an item for call 1, which does not stream"),
    ("end to plain call", with_plain_call, frame(frames.END, 1), "an end for call 1"),
    ("reply to stream", with_stream, frame(frames.REPLY, 1), "a reply for call 1, which streams"),
    ("item over credit", with_stream, ITEM * 2, "item of call 1 beyond its credit"),
    ("item over credit in bytes", with_ten_bytes_of_credit,
     frame(frames.ITEM, 1, bytes(10)) + ITEM, "item of call 1 beyond its credit"),
    ("unknown outcome", with_plain_call, frame(frames.ERROR, 1, method=99), "unknown outcome 99"),
    ("outcome of the caller", with_plain_call, frame(frames.ERROR, 1, method=10), "outcome 10"),
    ("end with flags", with_stream, frame(frames.END, 1, SIZE_50, flags=LARGE), "flags 0x10"),
    ("reply to request not wholly sent", with_large_call, frame(frames.REPLY, 1), "sent wholly"),
    ("error for a request not sent", with_large_call_unsent, frame(frames.ERROR, 1, method=2),
     "an error for call 1, which has not been sent"),
    ("part of nothing", with_plain_call, frame(frames.RESULT_PART, 1, b"x"), "no large body"),
    ("request part of nothing", opened, frame(frames.REQUEST_PART, 1, b"x"), "no large body"),
    ("part with flags", with_plain_call,
     BEGIN_REPLY + frame(frames.RESULT_PART, 1, bytes(10), flags=1),
     "flags 0x01"),
    ("chunk overflow", with_plain_call,
     BEGIN_REPLY + frame(frames.RESULT_PART, 1, bytes(11)),
     "51 bytes of a body that it announced with 50"),
    ("empty part", with_plain_call, BEGIN_REPLY + frame(frames.RESULT_PART, 1),
     "a part of 0 bytes"),
    ("crumbs", with_plain_call, BEGIN_REPLY + frame(frames.RESULT_PART, 1, b"9"),
     "a part of 1 bytes"),
    ("large in one frame", with_plain_call,
     frame(frames.REPLY, 1, SIZE_50 + bytes(50), flags=LARGE), "and sent all"),
    ("second body within the first", with_plain_call, BEGIN_REPLY * 2, "middle of a large body"),
    ("reply within a large reply", with_plain_call, BEGIN_REPLY + frame(frames.REPLY, 1),
     "middle of a large body"),
    ("request twice", opened, frame(frames.REQUEST, 1) * 2, "second request for call 1"),
    ("request within itself", opened,
     frame(frames.REQUEST, 1, SIZE_50 + PART_40, flags=LARGE) + frame(frames.REQUEST, 1),
     "second request for call 1"),
    ("cancel from the future", opened, frame(frames.CANCEL, 5), "a cancel for call 5"),
    ("credit from the future", opened, frame(frames.CREDIT, 5, PAIR.pack(1, 1)), "has not begun"),
    ("credit to plain call", opened,
     frame(frames.REQUEST, 1) + frame(frames.CREDIT, 1, PAIR.pack(1, 1)),
     "does not take it"),
    ("short credit", opened,
     frame(frames.REQUEST, 1, PAIR.pack(1, 1), flags=frames.HAS_CREDIT)
     + frame(frames.CREDIT, 1, b"xx"),
     "does not take it"),
    ("endless credit", opened,
     frame(frames.REQUEST, 1, PAIR.pack(1, 1), flags=frames.HAS_CREDIT)
     + frame(frames.CREDIT, 1, PAIR.pack(0xFFFFFFFF, 1)), "granted 4294967296 items"),
    ("unknown flag", opened, frame(frames.REQUEST, 1, flags=0x80), "flags 0x80"),
    ("fields cut short", opened, frame(frames.REQUEST, 1, b"x", flags=frames.HAS_DEADLINE),
     "too short for its fields"),
    ("unknown kind", opened, frame(77), "unknown kind 77"),
    ("kind zero", opened, frame(0), "unknown kind 0"),
    ("endless frame", opened, HEADER.pack(2**31, 0, 0, 3, 0), "2147483648 bytes"),
    ("drained unasked", opened, frame(frames.DRAINED), "announced its last call"),
    ("drain twice", opened, frame(frames.DRAIN) * 2, "announced twice"),
    ("drained with a call in flight", lambda: _with_incoming(draining=True), frame(frames.DRAINED),
     "announced its last call"),
    ("request after drained", draining, frame(frames.DRAINED) + frame(frames.REQUEST, 1),
     "after it had announced the last one"),
]  # fmt: skip


def _with_incoming(*, draining: bool) -> Connection:
    connection = opened()
    connection.receive(frame(frames.REQUEST, 1))
    if draining:
        connection.drain()
    return connection


@pytest.mark.parametrize(
    ("make", "data", "sentence"),
    [violation[1:] for violation in VIOLATIONS],
    ids=[violation[0] for violation in VIOLATIONS],
)
@pytest.mark.parametrize("bytewise", [False, True], ids=["at once", "byte by byte"])
def test_a_violation_is_named_and_ends_the_connection(
    make: Callable[[], Connection], data: bytes, sentence: str, bytewise: bool
) -> None:
    connection = make()
    pieces = [data[n : n + 1] for n in range(len(data))] if bytewise else [data]
    events: list[Event] = [event for piece in pieces for event in connection.receive(piece)]
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, ProtocolError)
    assert sentence in str(closed.error)
    assert connection.state is State.CLOSED
    assert (connection.outgoing, connection.incoming) == (0, 0)
    assert connection.statistics().reserved == 0


def test_the_peer_is_told_what_it_did() -> None:
    connection, peer = opened(), opened()
    connection.receive(frame(frames.DRAINED))
    events = peer.receive(b"".join(connection.data_to_send()))
    [closed] = events
    assert isinstance(closed, Closed)
    assert "announced its last call" in str(closed.error)
    assert peer.queued == 0


def test_a_violation_fails_calls_in_flight_as_maybe_executed() -> None:
    connection = with_plain_call()
    connection.receive(frame(frames.REQUEST, 9))
    failed, cancelled, closed = connection.receive(frame(frames.DRAINED))
    assert isinstance(failed, Failed)
    assert (failed.call, failed.outcome) == (1, Outcome.LOST)
    assert cancelled == Cancelled(9)
    assert isinstance(closed, Closed)


def test_events_before_a_violation_in_the_same_read_are_reported() -> None:
    events = opened().receive(frame(frames.REQUEST, 1, b"good") + frame(77))
    assert [type(event).__name__ for event in events] == ["Request", "Cancelled", "Closed"]


def test_a_peer_that_provokes_answers_and_reads_none_is_cut_off() -> None:
    connection = opened()
    events: list[Event] = []
    for _ in range(1000):
        events += connection.receive(frame(frames.PING) * 1000)
        if events:
            break
    [closed] = events
    assert isinstance(closed, Closed)
    assert "reads none of them" in str(closed.error)
    assert connection.queued < 1000


def test_a_peer_that_reads_its_answers_may_provoke_any_number() -> None:
    connection = opened()
    for _ in range(1000):
        assert connection.receive(frame(frames.PING) * 1000) == []
        assert sum(map(len, connection.data_to_send())) == 12_000
    assert connection.state is State.OPEN


def test_a_refusal_that_cannot_be_read_still_ends_the_connection() -> None:
    for body in (b"", b"\xff", msgspec.msgpack.encode([1, 2, 3])):
        connection = opened()
        [closed] = connection.receive(frame(frames.REFUSAL, body=body))
        assert isinstance(closed, Closed)
        assert "the peer refused the connection" in str(closed.error)
