"""Two connections in one process: what arrives when, and what a broken link does."""

import asyncio
from collections.abc import Callable

import pytest

from weaver.rpc.connection import Connection
from weaver.rpc.events import Closed, Event, Opened, Reply, Request
from weaver.rpc.handshake import Hello
from weaver.rpc.state import State
from weaver.transport.memory import MemoryLink, MemoryPump

HELLO = Hello(deployment="d", build="b", methods=b"m")


def joined(split: Callable[[int], int] | None = None) -> MemoryLink:
    return MemoryLink(Connection(HELLO), Connection(HELLO), split=split)


def test_settle_delivers_everything_both_ways() -> None:
    link = joined()
    call = link.left.send_request(1, bytes(500_000))
    at_left, at_right = link.settle()
    assert at_left == [Opened(HELLO)]
    assert at_right == [Opened(HELLO), Request(call, 1, bytes(500_000))]
    assert link.idle
    assert link.in_transit == (0, 0)


def test_bytes_may_arrive_one_by_one() -> None:
    link = joined(split=lambda _: 1)
    call = link.left.send_request(1, b"x")
    assert link.settle() == ([Opened(HELLO)], [Opened(HELLO), Request(call, 1, b"x")])


def test_what_is_held_back_arrives_after_its_release_in_order() -> None:
    link = joined()
    link.settle()
    link.hold_right = True
    calls = [link.left.send_request(1, b"%d" % n) for n in range(3)]
    assert link.settle() == ([], [])
    assert link.in_transit == (0, 3 * 13)
    link.hold_right = False
    assert link.settle()[1] == [Request(call, 1, b"%d" % n) for n, call in enumerate(calls)]


def test_a_cut_loses_what_was_on_its_way() -> None:
    link = joined()
    link.settle()
    link.hold_right = True
    link.left.send_request(1, b"lost")
    link.step()
    _, at_right = link.cut()
    assert at_right == [Closed("the peer closed the connection")]
    assert link.in_transit == (0, 0)


def test_the_other_side_sees_the_end_after_the_last_bytes() -> None:
    link = joined(split=lambda size: min(size, 5))
    link.settle()
    call = link.left.send_request(1, b"last words")
    link.step()
    link.left.close()
    _, at_right = link.settle()
    assert [type(event).__name__ for event in at_right] == ["Request", "Cancelled", "Closed"]
    assert call == 1
    assert link.right.state is State.CLOSED


def test_a_link_that_never_rests_is_reported() -> None:
    link = joined(split=lambda _: 0)
    with pytest.raises(RuntimeError, match="after 10 steps"):
        link.settle(most=10)


async def test_a_pump_turns_only_while_there_is_something_to_move() -> None:
    link = joined()
    turns = 0
    answered = asyncio.get_running_loop().create_future()

    def call_soon(callback: Callable[[], None]) -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(callback)

    def on_left(events: list[Event]) -> None:
        answers = [event.body for event in events if isinstance(event, Reply)]
        if answers:
            answered.set_result(answers)

    def on_right(events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Request):
                link.right.send_reply(event.call, event.body.upper())
        pump.wake()

    pump = MemoryPump(link, call_soon, on_left, on_right)
    link.left.send_request(1, b"one")
    pump.wake()
    pump.wake()
    link.left.send_request(1, b"two")
    assert await answered == [b"ONE", b"TWO"]
    assert turns <= 3
    assert link.idle
