"""Calls with one result: from the request to the one event that ends them."""

import pytest

from weaver.errors import CodecError, Overloaded, RemoteCallError, UsageError
from weaver.rpc.connection import Connection
from weaver.rpc.events import (
    Cancelled,
    Closed,
    Failed,
    Outcome,
    Pong,
    Reply,
    Request,
    call_error,
)
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import MIB, Limits
from weaver.transport.memory import MemoryLink

HELLO = Hello(deployment="d", build="b", methods=b"m")


def opened(limits: Limits | None = None, right: Limits | None = None) -> MemoryLink:
    link = MemoryLink(Connection(HELLO, limits), Connection(HELLO, right or limits))
    link.settle()
    return link


def test_a_call_is_answered() -> None:
    link = opened()
    call = link.left.send_request(3, b"question", deadline_ms=1500)
    assert link.settle() == ([], [Request(call, 3, b"question", 1500)])
    link.right.send_reply(call, b"answer")
    assert link.settle() == ([Reply(call, b"answer")], [])
    assert (link.left.outgoing, link.right.incoming) == (0, 0)


def test_both_sides_call_at_once_with_the_same_ids() -> None:
    link = opened()
    one, two = link.left.send_request(1, b"from left"), link.right.send_request(2, b"from right")
    assert one == two
    assert link.settle() == (
        [Request(two, 2, b"from right")],
        [Request(one, 1, b"from left")],
    )
    link.left.send_reply(two, b"to right")
    link.right.send_reply(one, b"to left")
    assert link.settle() == ([Reply(one, b"to left")], [Reply(two, b"to right")])


def test_deadline_trace_and_metadata_travel_together_and_alone() -> None:
    link = opened()
    trace = bytes(range(24))
    all_three = link.left.send_request(1, b"x", deadline_ms=9, trace=trace, metadata=b"m" * 300)
    only_trace = link.left.send_request(2, b"y", trace=trace)
    only_metadata = link.left.send_request(3, b"", metadata=b"m")
    assert link.settle()[1] == [
        Request(all_three, 1, b"x", 9, trace, b"m" * 300),
        Request(only_trace, 2, b"y", 0, trace),
        Request(only_metadata, 3, b"", 0, b"", b"m"),
    ]


def test_answers_may_come_in_any_order() -> None:
    link = opened()
    calls = [link.left.send_request(1, b"%d" % n) for n in range(5)]
    link.settle()
    for call in reversed(calls):
        link.right.send_reply(call, b"%d" % call)
    assert link.settle()[0] == [Reply(call, b"%d" % call) for call in reversed(calls)]


@pytest.mark.parametrize(
    ("outcome", "executed"),
    [
        (Outcome.APPLICATION, "yes"),
        (Outcome.REFUSED, "no"),
        (Outcome.OVERLOADED, "no"),
        (Outcome.DRAINING, "no"),
        (Outcome.EXPIRED, "no"),
        (Outcome.DEADLINE, "maybe"),
        (Outcome.FAILED, "maybe"),
    ],
)
def test_each_outcome_says_whether_the_method_ran(outcome: Outcome, executed: str) -> None:
    link = opened()
    call = link.left.send_request(1, b"")
    link.settle()
    link.right.send_error(call, outcome, b"why")
    assert link.settle()[0] == [Failed(call, outcome, b"why")]
    assert outcome.executed == executed
    if outcome is not Outcome.APPLICATION:
        error = call_error(outcome, b"why", where="shop/1")
        assert (error.what, error.where, error.executed) == ("why", "shop/1", executed)


def test_outcomes_become_the_errors_that_users_catch() -> None:
    names = {outcome: type(call_error(outcome)).__name__ for outcome in Outcome}
    assert names[Outcome.OVERLOADED] == "Overloaded"
    assert names[Outcome.EXPIRED] == names[Outcome.DEADLINE] == "DeadlineExceeded"
    assert names[Outcome.LOST] == names[Outcome.UNSENT] == "ConnectionLost"
    assert call_error(Outcome.UNSENT).executed == "no"
    assert call_error(Outcome.LOST).executed == "maybe"
    assert all(call_error(outcome).what for outcome in Outcome)


def test_a_cancelled_call_ends_silently_and_is_free_after_the_confirmation() -> None:
    link = opened()
    call = link.left.send_request(1, b"")
    link.settle()
    link.left.send_cancel(call)
    assert link.left.outgoing == 1
    assert link.settle() == ([], [Cancelled(call)])
    assert (link.left.outgoing, link.right.incoming) == (0, 0)


def test_an_answer_that_crosses_a_cancel_is_ignored() -> None:
    link = opened()
    call = link.left.send_request(1, b"")
    link.settle()
    link.right.send_reply(call, b"late")
    link.left.send_cancel(call)
    link.left.send_cancel(call)
    assert link.settle() == ([], [])
    assert (link.left.outgoing, link.right.incoming) == (0, 0)


def test_an_answer_to_a_call_that_was_cancelled_meanwhile_is_dropped() -> None:
    link = opened()
    call = link.left.send_request(1, b"")
    link.settle()
    link.left.send_cancel(call)
    assert link.settle()[1] == [Cancelled(call)]
    link.right.send_reply(call, b"late")
    link.right.send_error(call, Outcome.FAILED)
    assert link.right.queued == 0


def test_the_caller_is_stopped_at_the_limit_of_calls_in_flight() -> None:
    link = opened(Limits(max_calls=2))
    link.left.send_request(1, b"")
    link.left.send_request(1, b"")
    with pytest.raises(Overloaded, match="2 calls are in flight") as caught:
        link.left.send_request(1, b"")
    assert caught.value.executed == "no"
    link.settle()
    link.right.send_reply(1, b"")
    link.settle()
    assert link.left.send_request(1, b"") == 3


def test_the_callee_sheds_calls_beyond_its_own_limit_without_an_event() -> None:
    link = opened(Limits(max_calls=9), Limits(max_calls=2))
    calls = [link.left.send_request(1, b"") for _ in range(3)]
    at_left, at_right = link.settle()
    assert [event.call for event in at_right if isinstance(event, Request)] == calls[:2]
    [failed] = at_left
    assert isinstance(failed, Failed)
    assert (failed.call, failed.outcome) == (calls[2], Outcome.OVERLOADED)
    assert link.right.statistics().refused == 1


def test_a_call_is_shed_while_too_many_answers_wait_to_be_read() -> None:
    link = opened(Limits(max_queued=1000))
    answered = link.left.send_request(1, b"")
    link.settle()
    link.right.send_reply(answered, bytes(2000))
    link.left.send_request(1, b"shed")
    assert link.right.receive(b"".join(link.left.data_to_send())) == []
    assert link.right.statistics().refused == 1
    link.settle()
    taken = link.left.send_request(1, b"taken")
    assert link.settle()[1] == [Request(taken, 1, b"taken")]


def test_a_body_over_the_limit_is_refused_by_name_and_the_call_goes_on() -> None:
    link = opened(Limits(max_message=MIB))
    with pytest.raises(CodecError) as caught:
        link.left.send_request(1, bytes(100 * MIB))
    for part in ("100 MiB", "1 MiB", "`max_message` in [app]"):
        assert part in str(caught.value)
    assert link.left.outgoing == 0
    call = link.left.send_request(1, b"")
    link.settle()
    with pytest.raises(CodecError):
        link.right.send_reply(call, bytes(2 * MIB))
    link.right.send_error(call, Outcome.FAILED, b"too large")
    assert link.settle()[0] == [Failed(call, Outcome.FAILED, b"too large")]


def test_an_exception_over_the_limit_is_refused_too() -> None:
    link = opened(Limits(max_message=1000))
    call = link.left.send_request(1, b"")
    link.settle()
    with pytest.raises(CodecError, match="1000 bytes"):
        link.right.send_error(call, Outcome.APPLICATION, bytes(1001))
    link.right.send_error(call, Outcome.APPLICATION, bytes(1000))
    assert link.settle()[0] == [Failed(call, Outcome.APPLICATION, bytes(1000))]


def test_even_a_small_limit_holds() -> None:
    link = opened(Limits(max_message=10))
    with pytest.raises(CodecError, match="11 bytes"):
        link.left.send_request(1, bytes(11))
    link.left.send_request(1, bytes(10))


def test_misuse_of_optional_fields_is_refused() -> None:
    link = opened()
    with pytest.raises(UsageError, match="24 bytes"):
        link.left.send_request(1, b"", trace=b"short")
    with pytest.raises(UsageError, match="65536"):
        link.left.send_request(1, b"", metadata=bytes(65536))
    assert (link.left.outgoing, link.left.queued) == (0, 0)
    call = link.left.send_request(1, b"")
    link.settle()
    with pytest.raises(UsageError, match="LOST"):
        link.right.send_error(call, Outcome.LOST)


def test_a_lost_connection_fails_each_call_by_what_is_known_of_it() -> None:
    link = opened()
    sent = link.left.send_request(1, b"")
    theirs = link.right.send_request(1, b"")
    link.settle()
    cancelled = link.left.send_request(1, b"")
    link.left.data_to_send()
    link.left.send_cancel(cancelled)
    unsent = link.left.send_request(1, b"")
    events = link.left.eof()
    why = b"the peer closed the connection"
    assert events == [
        Failed(sent, Outcome.LOST, why),
        Failed(unsent, Outcome.UNSENT, why),
        Cancelled(theirs),
        Closed(why.decode()),
    ]
    assert link.left.outgoing == link.left.incoming == link.left.queued == 0
    link.left.send_reply(theirs, b"nobody waits")
    assert link.left.queued == 0


def test_calls_with_optional_fields_that_never_left_were_not_executed() -> None:
    link = opened()
    link.left.send_request(1, b"", metadata=b"m")
    link.left.send_request(1, b"", credit=1)
    outcomes = [event.outcome for event in link.left.eof() if isinstance(event, Failed)]
    assert outcomes == [Outcome.UNSENT, Outcome.UNSENT]


def test_a_cut_link_ends_both_sides() -> None:
    link = opened()
    call = link.left.send_request(1, b"")
    link.settle()
    at_left, at_right = link.cut()
    assert at_left[0] == Failed(call, Outcome.LOST, b"the peer closed the connection")
    assert at_right[0] == Cancelled(call)


def test_the_reason_of_a_failed_transport_reaches_the_callers() -> None:
    link = opened()
    call = link.left.send_request(1, b"")
    link.left.data_to_send()
    assert link.left.fail("reset by peer")[0] == Failed(call, Outcome.LOST, b"reset by peer")
    with pytest.raises(RemoteCallError, match="reset by peer"):
        link.left.send_request(1, b"")


def test_a_ping_is_answered_without_an_event_at_the_peer() -> None:
    link = opened()
    link.left.ping(77)
    assert link.settle() == ([Pong(77)], [])


@pytest.mark.parametrize("metadata", [b"", b"m"])
def test_ids_wrap_around_and_skip_calls_that_are_still_in_flight(metadata: bytes) -> None:
    link = opened()
    old = link.left.send_request(1, b"old", metadata=metadata)
    link.left.caller._next = 0xFFFF_FFFF
    last = link.left.send_request(1, b"last", metadata=metadata)
    wrapped = link.left.send_request(1, b"wrapped", metadata=metadata)
    assert (old, last, wrapped) == (1, 0xFFFF_FFFF, 2)
    assert len(link.settle()[1]) == 3


@pytest.mark.parametrize("metadata", [b"", b"m" * 65535])
def test_the_id_of_a_call_that_is_over_is_not_used_again_at_once(metadata: bytes) -> None:
    link = opened()
    for expected in (1, 2, 3):
        call = link.left.send_request(1, b"", metadata=metadata)
        assert call == expected
        link.settle()
        link.right.send_reply(call, b"")
        link.settle()
    assert link.left.statistics().made == 3


def test_cancelling_a_call_that_is_over_does_nothing() -> None:
    link = opened()
    call = link.left.send_request(1, b"")
    link.settle()
    link.right.send_reply(call, b"")
    link.settle()
    link.left.send_cancel(call)
    assert (link.left.outgoing, link.left.queued) == (0, 0)


def test_statistics_count_calls_and_bytes() -> None:
    link = opened()
    call = link.left.send_request(1, b"12345678")
    assert link.left.statistics().queued == 20
    link.settle()
    link.right.send_reply(call, b"")
    link.settle()
    left, right = link.left.statistics(), link.right.statistics()
    assert (left.made, left.taken, right.made, right.taken) == (1, 0, 0, 1)
    assert (left.sent, left.received) == (right.received, right.sent)
