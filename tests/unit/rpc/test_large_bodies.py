"""Bodies cut into chunks: fairness, no copies, bounded reassembly, and giving up midway."""

from weaver.frames import HEADER, HEADER_SIZE
from weaver.rpc.connection import Connection
from weaver.rpc.events import Cancelled, End, Event, Failed, Item, Outcome, Reply, Request
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import KIB, MIB, NO_COPY, Limits
from weaver.transport.memory import MemoryLink

HELLO = Hello(deployment="d", build="b", methods=b"m")
SMALL_CHUNKS = Limits(chunk=100)


def opened(limits: Limits | None = None, right: Limits | None = None) -> MemoryLink:
    link = MemoryLink(Connection(HELLO, limits), Connection(HELLO, right or limits))
    link.settle()
    return link


def pattern(size: int) -> bytes:
    return bytes(n % 251 for n in range(size))


def test_large_requests_and_replies_arrive_whole() -> None:
    for size in (NO_COPY - 1, NO_COPY, 64 * KIB, 64 * KIB + 1, MIB + 17):
        link = opened()
        body = pattern(size)
        call = link.left.send_request(2, body, deadline_ms=5, metadata=b"m")
        assert link.settle()[1] == [Request(call, 2, body, 5, b"", b"m")]
        link.right.send_reply(call, body)
        assert link.settle()[0] == [Reply(call, body)]
        assert link.left.queued == link.right.queued == 0
        assert link.left.statistics().reserved == link.right.statistics().reserved == 0


def test_a_large_application_error_arrives_whole() -> None:
    link = opened(SMALL_CHUNKS)
    call = link.left.send_request(1, b"")
    link.settle()
    link.right.send_error(call, Outcome.APPLICATION, pattern(999))
    assert link.settle()[0] == [Failed(call, Outcome.APPLICATION, pattern(999))]


def test_a_large_body_is_handed_to_the_writer_without_a_copy() -> None:
    link = opened()
    body = bytes(NO_COPY)
    link.left.send_request(1, body)
    buffers = link.left.data_to_send()
    assert any(isinstance(b, memoryview) and b.obj is body for b in buffers)


def test_one_turn_takes_one_chunk_and_all_small_frames_before_it() -> None:
    link = opened(SMALL_CHUNKS)
    link.left.send_request(1, pattern(500))
    opening = HEADER_SIZE + 4
    assert sum(map(len, link.left.data_to_send())) == opening + HEADER_SIZE + 100
    small = link.left.send_request(1, b"small")
    first, *_ = link.left.data_to_send()
    assert HEADER.unpack_from(first)[1] == small
    assert sum(map(len, link.left.data_to_send(chunks=2))) == HEADER_SIZE + 200


def test_large_bodies_take_turns() -> None:
    link = opened(SMALL_CHUNKS)
    calls = [link.left.send_request(1, pattern(300)) for _ in range(3)]
    order: list[int] = []
    while buffers := link.left.data_to_send():
        order.append(HEADER.unpack_from(buffers[0])[1])
        link.right.receive(b"".join(buffers))
    assert order == calls * 3
    assert link.right.incoming == 3


def test_small_calls_are_answered_while_large_ones_are_on_the_way() -> None:
    link = opened(SMALL_CHUNKS)
    link.left.send_request(1, pattern(100_000))
    link.step()
    small = link.left.send_request(1, b"small")
    _, at_right = link.step()
    assert at_right == [Request(small, 1, b"small")]


def test_bodies_beyond_the_reassembly_wait_for_their_turn() -> None:
    limits = Limits(chunk=100, max_message=1000, max_reassembly=1500)
    link = opened(limits)
    calls = [link.left.send_request(1, pattern(1000)) for _ in range(4)]
    most = 0
    done: list[Event] = []
    while not link.idle:
        done += link.step()[1]
        most = max(most, link.right.statistics().reserved)
    assert [e.call for e in done if isinstance(e, Request)] == calls
    assert most == 1000


def test_a_request_that_does_not_fit_the_callee_is_refused_and_not_executed() -> None:
    link = opened(
        Limits(chunk=100, max_message=1000, max_reassembly=5000),
        Limits(chunk=100, max_message=1000, max_reassembly=1000),
    )
    first = link.left.send_request(1, pattern(900))
    second = link.left.send_request(1, pattern(900))
    at_left, at_right = link.settle()
    [failed] = at_left
    assert isinstance(failed, Failed)
    assert (failed.call, failed.outcome) == (second, Outcome.OVERLOADED)
    assert [e.call for e in at_right if isinstance(e, Request)] == [first]
    assert (link.left.outgoing, link.right.incoming) == (1, 1)
    assert (link.right.statistics().partial, link.right.statistics().reserved) == (0, 0)


def test_a_request_over_the_limit_of_the_callee_names_the_limit() -> None:
    link = opened(Limits(chunk=100), Limits(chunk=100, max_message=1000))
    call = link.left.send_request(1, pattern(5000))
    why = b"a request of 4.883 KiB exceeds the callee's limit of 1000 bytes"
    assert link.settle() == ([Failed(call, Outcome.REFUSED, why)], [])
    assert link.left.queued == link.right.incoming == link.left.outgoing == 0
    assert link.right.statistics().partial == 0


def test_a_result_that_does_not_fit_the_caller_fails_the_call_only() -> None:
    link = opened(Limits(chunk=100, max_message=1000), Limits(chunk=100))
    call = link.left.send_request(1, b"")
    other = link.left.send_request(1, b"")
    link.settle()
    link.right.send_reply(call, pattern(5000))
    link.right.send_reply(other, b"fine")
    at_left, at_right = link.settle()
    why = b"a result of 4.883 KiB is more than this side can receive now"
    assert at_left == [Reply(other, b"fine"), Failed(call, Outcome.FAILED, why)]
    assert at_right == []
    assert (link.left.outgoing, link.right.incoming, link.right.queued) == (0, 0, 0)


def test_an_item_that_does_not_fit_the_caller_ends_the_stream() -> None:
    link = opened(Limits(chunk=100, max_message=1000), Limits(chunk=100))
    call = link.left.send_request(1, b"", credit=9)
    link.settle()
    link.right.send_item(call, b"1")
    link.right.send_item(call, pattern(5000))
    at_left, at_right = link.settle()
    why = b"a result of 4.883 KiB is more than this side can receive now"
    assert at_left == [Item(call, b"1"), Failed(call, Outcome.FAILED, why)]
    assert at_right == [Cancelled(call)]
    assert (link.left.outgoing, link.right.incoming, link.right.queued) == (0, 0, 0)


def test_cancelling_a_request_that_was_not_begun_sends_nothing() -> None:
    link = opened(SMALL_CHUNKS)
    call = link.left.send_request(1, pattern(500))
    link.left.send_cancel(call)
    assert (link.left.queued, link.left.outgoing) == (0, 0)


def test_cancelling_a_request_midway_stops_it_before_it_is_executed() -> None:
    link = opened(SMALL_CHUNKS)
    call = link.left.send_request(1, pattern(500))
    link.step()
    assert link.right.statistics().reserved == 500
    link.left.send_cancel(call)
    assert link.settle() == ([], [])
    assert (link.left.outgoing, link.right.incoming) == (0, 0)
    assert link.right.statistics().reserved == 0


def test_cancelling_while_the_reply_is_on_its_way_frees_both_sides() -> None:
    link = opened(SMALL_CHUNKS)
    call = link.left.send_request(1, b"")
    link.settle()
    link.right.send_reply(call, pattern(500))
    link.step()
    assert link.left.statistics().reserved == 500
    link.left.send_cancel(call)
    assert link.left.statistics().reserved == 0
    assert link.settle() == ([], [])
    assert (link.left.outgoing, link.right.queued) == (0, 0)
    assert link.left.statistics().partial == 0
    assert link.left.send_request(1, b"") == call + 1


def test_cancelling_a_stream_in_the_middle_of_a_large_item() -> None:
    link = opened(SMALL_CHUNKS)
    call = link.left.send_request(1, b"", credit=5)
    link.settle()
    link.right.send_item(call, pattern(500))
    link.right.send_end(call)
    link.step()
    link.left.send_cancel(call)
    assert link.settle() == ([], [])
    assert (link.left.outgoing, link.right.queued) == (0, 0)


def test_the_end_of_a_stream_waits_for_the_large_item_before_it() -> None:
    link = opened(SMALL_CHUNKS)
    call = link.left.send_request(1, b"", credit=5)
    link.settle()
    link.right.send_item(call, pattern(500))
    link.right.send_end(call)
    assert link.settle()[0] == [Item(call, pattern(500)), End(call)]


def test_a_large_request_never_begun_was_not_executed_when_the_link_is_lost() -> None:
    link = opened(SMALL_CHUNKS)
    begun = link.left.send_request(1, pattern(500))
    link.left.data_to_send()
    waiting = link.left.send_request(1, pattern(500))
    outcomes = {e.call: e.outcome for e in link.left.eof() if isinstance(e, Failed)}
    assert outcomes == {begun: Outcome.LOST, waiting: Outcome.UNSENT}


def test_the_high_water_mark_tells_callers_to_wait_but_small_ones_overtake() -> None:
    link = opened(Limits(high_water=100_000))
    assert link.left.has_room(NO_COPY)
    link.left.send_request(1, pattern(100_000))
    assert not link.left.has_room(NO_COPY)
    assert link.left.has_room(NO_COPY - 1)
    for _ in range(3):
        link.left.send_request(1, pattern(40_000))
    assert not link.left.has_room(0)
    link.settle()
    assert link.left.has_room(NO_COPY)


def test_a_reused_receive_buffer_does_not_change_what_was_received() -> None:
    link = opened()
    call = link.left.send_request(1, pattern(200_000))
    buffer = bytearray(300_000)
    events: list[Event] = []
    while buffers := link.left.data_to_send():
        data = b"".join(buffers)
        buffer[: len(data)] = data
        events += link.right.receive(memoryview(buffer)[: len(data)])
        buffer[:] = bytes(len(buffer))
    assert events == [Request(call, 1, pattern(200_000))]
