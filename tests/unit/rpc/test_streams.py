"""Calls that answer with items: order, credit in items and bytes, and every way to end."""

import pytest

from weaver.errors import CodecError, UsageError
from weaver.rpc.connection import Connection
from weaver.rpc.events import Cancelled, Credit, End, Failed, Item, Outcome, Request
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.transport.memory import MemoryLink

HELLO = Hello(deployment="d", build="b", methods=b"m")


def streaming(credit: int, limits: Limits | None = None) -> tuple[MemoryLink, int]:
    link = MemoryLink(Connection(HELLO, limits), Connection(HELLO, limits))
    link.settle()
    call = link.left.send_request(5, b"", credit=credit)
    assert link.settle()[1] == [Request(call, 5, b"", streaming=True)]
    return link, call


def test_items_arrive_in_order_and_then_the_end() -> None:
    link, call = streaming(credit=10)
    for n in range(3):
        assert link.right.send_item(call, b"%d" % n)
    link.right.send_end(call)
    items = [Item(call, b"%d" % n) for n in range(3)]
    assert link.settle() == ([*items, End(call)], [])
    assert (link.left.outgoing, link.right.incoming) == (0, 0)


def test_the_producer_stops_without_credit_and_goes_on_with_it() -> None:
    link, call = streaming(credit=2)
    assert link.right.has_credit(call)
    assert link.right.send_item(call, b"1")
    assert not link.right.send_item(call, b"2")
    assert not link.right.has_credit(call)
    with pytest.raises(UsageError, match="no credit"):
        link.right.send_item(call, b"3")
    link.settle()
    link.left.send_credit(call, 1)
    assert link.settle()[1] == [Credit(call)]
    assert not link.right.send_item(call, b"3")


def test_credit_that_comes_in_time_needs_no_event() -> None:
    link, call = streaming(credit=2)
    link.right.send_item(call, b"1")
    link.settle()
    link.left.send_credit(call, 1)
    assert link.settle()[1] == []
    assert link.right.send_item(call, b"2")
    assert not link.right.send_item(call, b"3")


def test_credit_counts_bytes_so_that_few_large_items_wait_too() -> None:
    link, call = streaming(credit=100, limits=Limits(stream_window=1000))
    assert link.right.send_item(call, bytes(900))
    assert not link.right.send_item(call, bytes(900))
    link.settle()
    link.left.send_credit(call, 1)
    assert link.settle()[1] == [Credit(call)]
    assert not link.right.send_item(call, bytes(100))


def test_one_item_may_be_larger_than_the_whole_window() -> None:
    link, call = streaming(credit=100, limits=Limits(stream_window=10))
    assert not link.right.send_item(call, bytes(5000))
    assert link.settle()[0] == [Item(call, bytes(5000))]
    link.left.send_credit(call, 1)
    assert link.settle()[1] == [Credit(call)]


def test_credit_is_granted_when_half_of_the_window_has_been_read() -> None:
    link, call = streaming(credit=4)
    for n in range(4):
        link.right.send_item(call, b"%d" % n)
    link.settle()
    link.left.send_credit(call)
    assert link.left.queued == 0
    link.left.send_credit(call)
    assert link.left.queued > 0
    assert link.settle()[1] == [Credit(call)]
    assert link.right.send_item(call, b"4")
    assert not link.right.send_item(call, b"5")


def test_a_slow_reader_of_large_items_never_starves_the_producer() -> None:
    link, call = streaming(credit=32, limits=Limits(stream_window=1000))
    received = 0
    for _ in range(50):
        while link.right.has_credit(call):
            link.right.send_item(call, bytes(300))
        for event in link.settle()[0]:
            assert isinstance(event, Item)
            received += 1
            link.left.send_credit(call)
        link.settle()
    assert received >= 100


def test_credit_can_be_granted_once_for_each_item_received() -> None:
    link, call = streaming(credit=2)
    with pytest.raises(UsageError, match="0 can be granted"):
        link.left.send_credit(call, 1)
    with pytest.raises(UsageError, match="credit for 0 items"):
        link.left.send_credit(call, 0)
    link.right.send_item(call, b"")
    link.settle()
    link.left.send_credit(call, 1)
    with pytest.raises(UsageError):
        link.left.send_credit(call, 1)


def test_an_item_over_the_limit_is_refused_and_costs_no_credit() -> None:
    link, call = streaming(credit=1, limits=Limits(max_message=1000))
    with pytest.raises(CodecError, match="1000 bytes"):
        link.right.send_item(call, bytes(1001))
    assert not link.right.send_item(call, bytes(1000))
    assert link.settle()[0] == [Item(call, bytes(1000))]


def test_leaving_early_stops_the_producer() -> None:
    link, call = streaming(credit=5)
    link.right.send_item(call, b"1")
    link.settle()
    link.right.send_item(call, b"on its way")
    link.left.send_cancel(call)
    assert link.settle() == ([], [Cancelled(call)])
    assert link.right.send_item(call, b"late") is False
    link.right.send_end(call)
    link.left.send_credit(call, 1)
    assert link.right.queued == link.left.queued == 0
    assert (link.left.outgoing, link.right.incoming) == (0, 0)


def test_an_error_ends_a_stream_after_the_items_before_it() -> None:
    link, call = streaming(credit=5)
    link.right.send_item(call, b"1")
    link.right.send_error(call, Outcome.APPLICATION, b"boom")
    assert link.settle()[0] == [Item(call, b"1"), Failed(call, Outcome.APPLICATION, b"boom")]
    assert link.left.outgoing == 0


def test_an_end_that_crosses_a_cancel_or_a_credit_is_a_normal_race() -> None:
    link, call = streaming(credit=2)
    link.right.send_item(call, b"1")
    link.settle()
    link.right.send_end(call)
    link.left.send_credit(call)
    link.left.send_cancel(call)
    assert link.settle() == ([], [])
    assert (link.left.outgoing, link.right.incoming) == (0, 0)


def test_small_items_do_not_overtake_a_large_one() -> None:
    link, call = streaming(credit=9, limits=Limits(chunk=100))
    link.right.send_item(call, b"L" * 350)
    link.right.send_item(call, b"small")
    link.right.send_item(call, b"M" * 250)
    link.right.send_end(call)
    sizes = [len(event.body) for event in link.settle()[0] if isinstance(event, Item)]
    assert sizes == [350, 5, 250]
    assert link.left.outgoing == 0


def test_each_kind_of_call_has_its_own_answers() -> None:
    link, stream = streaming(credit=5)
    plain = link.left.send_request(1, b"")
    link.settle()
    with pytest.raises(UsageError, match="streams"):
        link.right.send_reply(stream, b"")
    with pytest.raises(UsageError, match="does not stream"):
        link.right.send_item(plain, b"")
    with pytest.raises(UsageError, match="does not stream"):
        link.right.send_end(plain)
    assert not link.right.has_credit(plain)


def test_a_lost_connection_fails_a_stream_at_both_ends() -> None:
    link, call = streaming(credit=5)
    link.right.send_item(call, b"1")
    at_left, at_right = link.cut()
    assert at_left[0] == Failed(call, Outcome.LOST, b"the peer closed the connection")
    assert at_right[0] == Cancelled(call)
