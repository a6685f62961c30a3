"""Who may talk to whom, and what both sides are told when they may not."""

import msgspec
import pytest

from weaver.errors import ConnectionLost, ProtocolError
from weaver.frames import HEADER, HELLO, PING, PONG, REQUEST, FrameDecoder
from weaver.rpc.connection import Connection
from weaver.rpc.events import Closed, Event, Failed, Opened, Outcome, Request
from weaver.rpc.handshake import MAGIC, VERSION, Hello, encode_hello
from weaver.rpc.state import State
from weaver.transport.memory import MemoryLink

FRONT = Hello(deployment="d1", build="a1b2", methods=b"\x01", replica="front/0", weaver="0.1.0")
SHOP = msgspec.structs.replace(FRONT, replica="shop/1")


def closed_by(events: list[Event]) -> ProtocolError:
    last = events[-1]
    assert isinstance(last, Closed)
    assert last.error is not None
    return last.error


def frame(kind: int, call: int = 0, method: int = 0, body: bytes = b"", flags: int = 0) -> bytes:
    return HEADER.pack(len(body), call, method, kind, flags) + body


def test_two_sides_of_one_build_open_and_know_each_other() -> None:
    link = MemoryLink(Connection(FRONT), Connection(SHOP))
    assert (link.left.state, link.right.state) == (State.NEW, State.NEW)
    assert link.settle() == ([Opened(SHOP)], [Opened(FRONT)])
    assert (link.left.state, link.right.state) == (State.OPEN, State.OPEN)
    assert link.left.peer == SHOP


@pytest.mark.parametrize(
    ("other", "values"),
    [
        (msgspec.structs.replace(SHOP, build="c3d4"), ("a1b2", "c3d4")),
        (msgspec.structs.replace(SHOP, deployment="d2"), ("d1", "d2")),
        (msgspec.structs.replace(SHOP, methods=b"\x02"), ("01", "02")),
    ],
)
def test_another_program_is_refused_and_both_sides_report_the_same_sentence(
    other: Hello, values: tuple[str, str]
) -> None:
    link = MemoryLink(Connection(FRONT), Connection(other))
    at_left, at_right = link.settle()
    left, right = closed_by(at_left), closed_by(at_right)
    assert str(left) == str(right)
    for name in (*values, "front/0", "shop/1", "two versions never talk to each other"):
        assert name in str(left)
    assert (link.left.state, link.right.state) == (State.CLOSED, State.CLOSED)


def test_a_side_that_cannot_judge_for_itself_reports_the_sentence_of_the_refusal() -> None:
    refusing = Connection(FRONT)
    refusing.data_to_send()
    events = refusing.receive(frame(HELLO, MAGIC, VERSION, b"not msgpack"))
    refused = Connection(SHOP)
    told = [e for buffer in refusing.data_to_send() for e in refused.receive(bytes(buffer))]
    assert str(closed_by(told)) == str(closed_by(events))
    assert "hello of the peer cannot be read" in str(closed_by(told))


def test_requests_queued_before_a_refused_handshake_were_not_executed() -> None:
    link = MemoryLink(Connection(FRONT), Connection(msgspec.structs.replace(SHOP, build="c3d4")))
    call = link.left.send_request(1, b"x")
    at_left, at_right = link.settle()
    failed = at_left[0]
    assert isinstance(failed, Failed)
    assert (failed.call, failed.outcome) == (call, Outcome.REFUSED)
    assert failed.outcome.executed == "no"
    assert not [event for event in at_right if isinstance(event, Request)]


def test_requests_may_be_queued_before_the_handshake_and_run_after_it() -> None:
    link = MemoryLink(Connection(FRONT), Connection(SHOP))
    call = link.left.send_request(7, b"early")
    _, at_right = link.settle()
    assert at_right == [Opened(FRONT), Request(call, 7, b"early")]


def test_nothing_but_a_hello_is_accepted_first() -> None:
    connection = Connection(FRONT)
    error = closed_by(connection.receive(frame(REQUEST, 1)))
    assert "'request'" in str(error)
    assert "while the connection is new" in str(error)


def test_a_second_hello_ends_the_connection() -> None:
    connection = Connection(FRONT)
    hello = frame(HELLO, MAGIC, VERSION, encode_hello(SHOP))
    assert connection.receive(hello) == [Opened(SHOP)]
    assert "'hello'" in str(closed_by(connection.receive(hello)))


def test_a_stranger_is_told_apart_from_a_peer_of_another_protocol_version() -> None:
    stranger = closed_by(Connection(FRONT).receive(frame(HELLO, 1, VERSION, encode_hello(SHOP))))
    assert "does not speak the protocol" in str(stranger)
    newer = closed_by(Connection(FRONT).receive(frame(HELLO, MAGIC, 9, encode_hello(SHOP))))
    assert "version 9 and version 1" in str(newer)
    browser = closed_by(Connection(FRONT).receive(b"GET / HTTP/1.1\r\n\r\n"))
    assert "does not speak the protocol" in str(browser)


def test_fields_that_a_newer_weaver_adds_to_its_hello_are_ignored() -> None:
    body = msgspec.msgpack.encode({**msgspec.structs.asdict(SHOP), "colour": "blue"})
    assert Connection(FRONT).receive(frame(HELLO, MAGIC, VERSION, body)) == [Opened(SHOP)]


def test_a_closed_connection_takes_no_requests_and_ignores_bytes() -> None:
    connection = Connection(FRONT)
    assert connection.close() == [Closed("this side closed the connection")]
    with pytest.raises(ConnectionLost) as caught:
        connection.send_request(1, b"")
    assert caught.value.executed == "no"
    assert connection.receive(frame(PING)) == []
    assert connection.close() == []
    assert connection.eof() == []


def test_a_peer_may_ask_before_this_side_has_sent_its_hello() -> None:
    connection = Connection(FRONT)
    events = connection.receive(frame(HELLO, MAGIC, VERSION, encode_hello(SHOP)) + frame(PING, 5))
    assert events == [Opened(SHOP)]
    kinds = [f[0] for b in connection.data_to_send() for f in FrameDecoder().frames(bytes(b))]
    assert kinds == [HELLO, PONG]


def test_the_repr_tells_peer_state_and_calls() -> None:
    link = MemoryLink(Connection(FRONT), Connection(SHOP))
    assert (
        repr(link.left) == f"<Connection new, 0 calls out, 0 in, {link.left.queued} bytes queued>"
    )
    link.settle()
    link.left.send_request(1, b"")
    assert repr(link.left) == "<Connection to shop/1 open, 1 calls out, 0 in, 12 bytes queued>"
