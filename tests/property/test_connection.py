"""Two connections under random use, random splits and random ends, compared with a small model."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from weaver.errors import RemoteCallError
from weaver.rpc.connection import Connection
from weaver.rpc.events import (
    Cancelled,
    Closed,
    Credit,
    Drained,
    End,
    Event,
    Failed,
    Item,
    Opened,
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
LIMITS = Limits(
    chunk=50, max_message=400, max_calls=6, stream_window=300, max_reassembly=700, high_water=500
)
BODIES = st.integers(0, 400).map(lambda size: bytes(n % 251 for n in range(size)))
SIDES = st.booleans()
PICKS = st.integers(0, 1000)


class Side:
    """What one side has done and what it must therefore see."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.waiting: dict[int, tuple[bytes, bool]] = {}  # calls made: request body, streaming
        self.cancelled: set[int] = set()
        self.running: dict[int, bool] = {}  # calls of the peer that were reported: streaming
        self.answers: dict[int, bytes] = {}  # replies given, by call of the peer
        self.items_sent: dict[int, list[bytes]] = defaultdict(list)
        self.items_got: dict[int, list[bytes]] = defaultdict(list)
        self.unconsumed: dict[int, int] = defaultdict(int)
        self.peer: Side = self
        self.draining = False
        self.drained = False
        self.peer_draining = False
        self.closed = False

    def pick(self, choices: list[int], number: int) -> int | None:
        return choices[number % len(choices)] if choices else None

    def take(self, events: list[Event]) -> None:
        for event in events:
            assert not self.closed, f"{event} after Closed"
            HANDLERS[type(event)](self, event)

    def on_request(self, event: Request) -> None:
        assert event.call not in self.running
        assert not self.drained
        body, streaming = self.peer.waiting.get(event.call, (event.body, event.streaming))
        assert (event.body, event.streaming) == (body, streaming)
        self.running[event.call] = event.streaming

    def on_cancelled(self, event: Cancelled) -> None:
        assert event.call in self.peer.cancelled or self.connection.state is State.CLOSED
        del self.running[event.call]

    def on_reply(self, event: Reply) -> None:
        _, streaming = self.waiting.pop(event.call)
        assert not streaming
        assert event.body == self.peer.answers.pop(event.call)

    def on_item(self, event: Item) -> None:
        assert self.waiting[event.call][1]
        got = self.items_got[event.call]
        got.append(event.body)
        assert self.peer.items_sent[event.call][: len(got)] == got, "items out of order"
        self.unconsumed[event.call] += 1

    def on_end(self, event: End) -> None:
        del self.waiting[event.call]
        assert self.items_got[event.call] == self.peer.items_sent[event.call], "items lost"

    def on_failed(self, event: Failed) -> None:
        del self.waiting[event.call]
        if event.outcome.executed == "no":
            assert event.call not in self.peer.running, "called not executed, yet it runs"
        if self.connection.state is not State.CLOSED:
            assert event.outcome in {Outcome.APPLICATION, Outcome.DRAINING}
            assert event.outcome is not Outcome.DRAINING or self.peer.draining

    def on_credit(self, event: Credit) -> None:
        assert self.connection.has_credit(event.call)

    def on_drained(self, _event: Drained) -> None:
        assert self.draining
        assert not self.drained
        assert not self.running
        assert not self.peer.waiting
        self.drained = True

    def on_peer_draining(self, _event: PeerDraining) -> None:
        assert self.peer.draining
        self.peer_draining = True

    def on_closed(self, event: Closed) -> None:
        assert event.error is None, event.error
        self.closed = True

    def on_opened(self, event: Opened) -> None:
        assert event.hello == HELLO


HANDLERS: dict[type[Any], Callable[[Side, Any], None]] = {
    Opened: Side.on_opened,
    Request: Side.on_request,
    Cancelled: Side.on_cancelled,
    Credit: Side.on_credit,
    Reply: Side.on_reply,
    Item: Side.on_item,
    End: Side.on_end,
    Failed: Side.on_failed,
    PeerDraining: Side.on_peer_draining,
    Drained: Side.on_drained,
    Closed: Side.on_closed,
}


class TwoConnections(RuleBasedStateMachine):
    """Random operations on both sides; the rules check as they go, the invariants after each."""

    def __init__(self) -> None:
        super().__init__()
        self.piece = 0
        self.link = MemoryLink(
            Connection(HELLO, LIMITS), Connection(HELLO, LIMITS), split=lambda _: self.piece
        )
        self.sides = (Side(self.link.left), Side(self.link.right))
        self.sides[0].peer, self.sides[1].peer = self.sides[1], self.sides[0]

    def deliver(self, piece: int) -> None:
        self.piece = piece
        self.link.fills = piece % 2 == 0
        at_left, at_right = self.link.step()
        # What the callee reports is looked up in the caller's model, so requests go first.
        for side, events in zip(self.sides, (at_left, at_right), strict=True):
            side.take([event for event in events if isinstance(event, Request)])
        for side, events in zip(self.sides, (at_left, at_right), strict=True):
            side.take([event for event in events if not isinstance(event, Request)])

    @rule(side=SIDES, body=BODIES, credit=st.sampled_from([0, 0, 1, 3]))
    def call(self, side: bool, body: bytes, credit: int) -> None:
        caller = self.sides[side]
        full = caller.connection.outgoing >= LIMITS.max_calls
        if full or caller.peer_draining:
            with pytest.raises(RemoteCallError) as refused:
                caller.connection.send_request(1, body, credit=credit)
            assert refused.value.executed == "no"
            return
        call = caller.connection.send_request(1, body, credit=credit)
        assert call not in caller.waiting
        caller.waiting[call] = (body, credit > 0)

    @rule(side=SIDES, pick=PICKS, body=BODIES)
    def reply(self, side: bool, pick: int, body: bytes) -> None:
        callee = self.sides[side]
        call = callee.pick([c for c, streaming in callee.running.items() if not streaming], pick)
        if call is not None:
            callee.connection.send_reply(call, body)
            callee.answers[call] = body
            del callee.running[call]

    @rule(side=SIDES, pick=PICKS, body=BODIES)
    def item(self, side: bool, pick: int, body: bytes) -> None:
        callee = self.sides[side]
        credit = callee.connection.has_credit
        call = callee.pick([c for c, s in callee.running.items() if s and credit(c)], pick)
        if call is not None:
            assert callee.connection.send_item(call, body) == credit(call)
            callee.items_sent[call].append(body)

    @rule(side=SIDES, pick=PICKS)
    def end(self, side: bool, pick: int) -> None:
        callee = self.sides[side]
        call = callee.pick([c for c, streaming in callee.running.items() if streaming], pick)
        if call is not None:
            callee.connection.send_end(call)
            del callee.running[call]

    @rule(side=SIDES, pick=PICKS, body=BODIES)
    def error(self, side: bool, pick: int, body: bytes) -> None:
        callee = self.sides[side]
        call = callee.pick(list(callee.running), pick)
        if call is not None:
            callee.connection.send_error(call, Outcome.APPLICATION, body)
            del callee.running[call]

    @rule(side=SIDES, pick=PICKS)
    def consume(self, side: bool, pick: int) -> None:
        caller = self.sides[side]
        call = caller.pick([c for c, n in caller.unconsumed.items() if n], pick)
        if call is not None:
            items = 1 + pick % caller.unconsumed[call]
            caller.connection.send_credit(call, items)
            caller.unconsumed[call] -= items

    @rule(side=SIDES, pick=PICKS)
    def cancel(self, side: bool, pick: int) -> None:
        caller = self.sides[side]
        call = caller.pick(list(caller.waiting), pick)
        if call is not None:
            caller.connection.send_cancel(call)
            caller.cancelled.add(call)
            del caller.waiting[call]

    @rule(piece=st.integers(0, 200))
    def move(self, piece: int) -> None:
        self.deliver(piece)

    @rule()
    def move_much(self) -> None:
        self.deliver(10_000)

    @precondition(lambda self: not any(side.draining for side in self.sides))
    @rule(side=SIDES, really=st.integers(0, 9))
    def drain(self, side: bool, really: int) -> None:
        if really == 0:
            self.sides[side].connection.drain()
            self.sides[side].draining = True

    @invariant()
    def counts_agree(self) -> None:
        for side in self.sides:
            connection, peer = side.connection, side.peer.connection
            assert len(side.waiting) <= connection.outgoing <= LIMITS.max_calls
            assert len(side.running) <= connection.incoming <= peer.outgoing
            assert connection.statistics().reserved <= LIMITS.max_reassembly

    @invariant()
    def credit_is_never_negative(self) -> None:
        for side in self.sides:
            connection = side.connection
            windows = [*connection.caller.calls.values(), *connection.callee.calls.values()]
            assert all(window is None or window.items >= 0 for window in windows)

    @invariant()
    def queued_bytes_are_counted_exactly(self) -> None:
        for side in self.sides:
            outbox = side.connection._outbox
            held = sum(len(m) for lane in outbox.lanes.values() for m in lane.messages)
            assert outbox.lane_bytes == held
            assert outbox.queued == held + len(outbox.small)

    def teardown(self) -> None:
        """Let all that runs end: then nothing may be left anywhere."""
        for _ in range(1000):
            for side in self.sides:
                for call, streaming in list(side.running.items()):
                    if streaming:
                        side.connection.send_end(call)
                    else:
                        side.connection.send_reply(call, b"end")
                        side.answers[call] = b"end"
                    del side.running[call]
            if self.link.idle:
                break
            self.deliver(10_000)
        for side in self.sides:
            assert side.waiting == {}, "a call never ended"
            assert (side.connection.outgoing, side.connection.incoming) == (0, 0)
            assert side.connection.statistics().reserved == 0
            assert side.drained == side.draining


TwoConnections.TestCase.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, derandomize=True
)
TestTwoConnections = TwoConnections.TestCase


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    calls=st.lists(st.tuples(SIDES, BODIES, st.integers(0, 2)), max_size=8),
    steps=st.lists(st.integers(0, 300), max_size=12),
)
def test_however_a_link_is_cut_each_call_fails_once_and_unsent_means_unseen(
    calls: list[tuple[bool, bytes, int]], steps: list[int]
) -> None:
    pieces = iter(steps)
    link = MemoryLink(
        Connection(HELLO, LIMITS), Connection(HELLO, LIMITS), split=lambda _: next(pieces, 0)
    )
    seen: tuple[set[int], set[int]] = (set(), set())
    made: tuple[list[int], list[int]] = ([], [])
    failed: tuple[list[Failed], list[Failed]] = ([], [])
    for side, body, credit in calls:
        connection = link.right if side else link.left
        if connection.outgoing < LIMITS.max_calls:
            made[side].append(connection.send_request(1, body, credit=credit))
        for index, events in enumerate(link.step()):
            seen[index].update(e.call for e in events if isinstance(e, Request))
    for index, events in enumerate(link.cut()):
        failed[index].extend(e for e in events if isinstance(e, Failed))
    for ended, calls_made, reported in zip(failed, made, reversed(seen), strict=True):
        assert sorted(event.call for event in ended) == sorted(calls_made)
        for event in ended:
            assert event.outcome in {Outcome.LOST, Outcome.UNSENT}
            assert event.outcome is Outcome.LOST or event.call not in reported


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(BODIES, min_size=1, max_size=5), st.data())
def test_events_do_not_depend_on_how_the_bytes_are_cut(
    bodies: list[bytes], data: st.DataObject
) -> None:
    sender = Connection(HELLO, LIMITS)
    for body in bodies:
        sender.send_request(1, body, deadline_ms=5)
    stream = bytearray()
    while buffers := sender.data_to_send():
        for buffer in buffers:
            stream += buffer
    whole = Connection(HELLO, LIMITS).receive(stream)
    receiver = Connection(HELLO, LIMITS)
    events: list[Event] = []
    at = 0
    while at < len(stream):
        piece = stream[at : at + data.draw(st.integers(1, 60))]
        room = receiver.room() if data.draw(st.booleans()) else None
        if room is None:
            events += receiver.receive(piece)
        else:
            del piece[len(room) :]
            room[: len(piece)] = piece
            behind = receiver.filled(len(piece))
            events += [] if behind is None else receiver.receive(behind)
        at += len(piece)
    assert events == whole
    assert len(events) == 1 + len(bodies)
