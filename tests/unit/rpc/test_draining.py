"""A connection drains before it closes: nothing in flight is lost, nothing new begins."""

import pytest

from weaver.errors import RemoteCallError
from weaver.rpc.connection import Connection
from weaver.rpc.events import (
    Drained,
    Failed,
    Item,
    Outcome,
    PeerDraining,
    Reply,
    Request,
)
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.rpc.state import State
from weaver.transport.memory import MemoryLink

HELLO = Hello(deployment="d", build="b", methods=b"m")


def opened(limits: Limits | None = None) -> MemoryLink:
    link = MemoryLink(Connection(HELLO, limits), Connection(HELLO, limits))
    link.settle()
    return link


def test_an_idle_connection_is_drained_at_once() -> None:
    link = opened()
    link.right.drain()
    link.right.drain()
    assert link.right.state is State.DRAINING
    assert link.settle() == ([PeerDraining()], [Drained()])


def test_calls_in_flight_finish_before_drained() -> None:
    link = opened()
    call = link.left.send_request(1, b"", credit=9)
    link.settle()
    link.right.drain()
    assert link.settle() == ([PeerDraining()], [])
    link.right.send_item(call, b"still")
    assert link.settle() == ([Item(call, b"still")], [])
    link.right.send_end(call)
    assert link.settle()[1] == [Drained()]


def test_a_request_that_crosses_the_announcement_is_answered_not_executed() -> None:
    link = opened()
    link.right.drain()
    call = link.left.send_request(1, b"")
    at_left, at_right = link.settle()
    failed = at_left[1]
    assert at_left[0] == PeerDraining()
    assert isinstance(failed, Failed)
    assert (failed.call, failed.outcome) == (call, Outcome.DRAINING)
    assert failed.outcome.executed == "no"
    assert at_right == [Drained()]


def test_a_large_request_that_crosses_the_announcement_is_given_up() -> None:
    link = opened(Limits(chunk=100))
    link.right.drain()
    call = link.left.send_request(1, bytes(1000))
    at_left, at_right = link.settle()
    assert [e.outcome for e in at_left if isinstance(e, Failed)] == [Outcome.DRAINING]
    assert at_right == [Drained()]
    assert link.left.queued == 0
    assert call == 1


def test_new_calls_to_a_draining_peer_raise_so_that_another_replica_is_used() -> None:
    link = opened()
    link.right.drain()
    link.settle()
    with pytest.raises(RemoteCallError, match="draining") as caught:
        link.left.send_request(1, b"")
    assert caught.value.executed == "no"


def test_the_draining_side_may_still_call_to_finish_its_work() -> None:
    link = opened()
    outer = link.left.send_request(1, b"")
    link.settle()
    link.right.drain()
    nested = link.right.send_request(2, b"nested")
    assert link.settle()[0] == [PeerDraining(), Request(nested, 2, b"nested")]
    link.left.send_reply(nested, b"answer")
    assert link.settle()[1] == [Reply(nested, b"answer")]
    link.right.send_reply(outer, b"done")
    assert link.settle() == ([Reply(outer, b"done")], [Drained()])


def test_both_sides_may_drain_at_once() -> None:
    link = opened()
    one, two = link.left.send_request(1, b""), link.right.send_request(1, b"")
    link.settle()
    link.left.drain()
    link.right.drain()
    assert link.settle() == ([PeerDraining()], [PeerDraining()])
    link.left.send_reply(two, b"")
    assert link.settle() == ([Drained()], [Reply(two, b"")])
    link.right.send_reply(one, b"")
    assert link.settle() == ([Reply(one, b"")], [Drained()])


def test_draining_before_the_handshake_takes_no_call_at_all() -> None:
    link = MemoryLink(Connection(HELLO), Connection(HELLO))
    link.right.drain()
    call = link.left.send_request(1, b"")
    at_left, at_right = link.settle()
    assert [e.call for e in at_left if isinstance(e, Failed)] == [call]
    assert not [e for e in at_right if isinstance(e, Request)]
    assert link.right.state is State.DRAINING


def test_a_cancelled_call_that_was_never_sent_does_not_hold_up_the_drain() -> None:
    link = opened(Limits(chunk=100, max_message=1000, max_reassembly=1000))
    first = link.left.send_request(1, bytes(1000))
    second = link.left.send_request(1, bytes(1000))
    link.step()
    link.right.drain()
    link.left.send_cancel(second)
    link.settle()
    link.right.send_reply(first, b"")
    assert link.settle() == ([Reply(first, b"")], [Drained()])


def test_nothing_happens_on_draining_a_closed_connection() -> None:
    link = opened()
    link.right.close()
    link.right.drain()
    link.right.ping()
    assert link.right.state is State.CLOSED
    assert link.right.queued == 0
