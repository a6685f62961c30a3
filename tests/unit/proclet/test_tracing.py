"""Which requests are traced, and what their spans hold."""

import contextvars
from collections.abc import Iterator

import pytest

from weaver.control.spans import Span, decode_span
from weaver.proclet import context, tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    tracing.configure(0.0, replica="front-1", version="v1")
    yield
    tracing.configure(0.0)
    tracing.take()


def begun(*headers: tuple[bytes, bytes]) -> tracing.Open | None:
    return tracing.of_request(headers, "GET /", "shop.Web")


def taken() -> list[Span]:
    return [decode_span(span) for span in tracing.take()]


@pytest.mark.parametrize(
    "header", [f"00-{TRACE}-{PARENT}-01", f" 00-{TRACE}-{PARENT}-03 ", f"01-{TRACE}-{PARENT}-01-x"]
)
def test_a_request_whose_sender_samples_it_goes_on_with_that_trace(header: str) -> None:
    span = begun((b"host", b"shop"), (b"traceparent", header.encode()))
    assert span is not None
    assert span.own[:16].hex() == TRACE
    span.end("500")
    (found,) = taken()
    assert (found.trace, found.parent) == (TRACE, PARENT)
    assert found.span == span.own[16:].hex() != PARENT
    assert (found.name, found.component, found.error) == ("GET /", "shop.Web", "500")
    assert (found.replica, found.version) == ("front-1", "v1")
    assert found.seconds >= 0
    assert taken() == []


def test_what_the_sender_does_not_sample_is_not_traced_whatever_the_share() -> None:
    tracing.configure(1.0)
    assert begun((b"traceparent", f"00-{TRACE}-{PARENT}-00".encode())) is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        "\xff",
    ],
)
def test_a_header_that_is_none_is_ignored(header: str) -> None:
    assert begun((b"traceparent", header.encode("latin-1"))) is None
    tracing.configure(1.0)
    span = begun((b"traceparent", header.encode("latin-1")))
    assert span is not None
    assert span.own[:16].hex() != TRACE


def test_of_requests_that_do_not_say_a_share_begins_a_trace() -> None:
    assert all(begun() is None for _ in range(100))
    tracing.configure(0.5)
    spans = [span for _ in range(200) if (span := begun()) is not None]
    assert 0 < len(spans) < 200
    assert len({span.own[:16] for span in spans}) == len(spans)


def test_calls_belong_to_the_span_that_was_entered() -> None:
    outer = tracing.of_call(bytes(24), "Cart.get", "shop.Cart")
    here = contextvars.copy_context()
    here.run(tracing.enter, outer)
    inner = tracing.of_call(here.run(context.trace.get), "Store.get", "shop.Store")
    inner.end()
    (found,) = taken()
    assert found.parent == outer.own[16:].hex()
    assert context.trace.get() == b""


def test_of_too_many_spans_the_latest_are_kept() -> None:
    for number in range(tracing.KEPT + 1):
        tracing.of_call(bytes(24), str(number), "").end()
    found = taken()
    assert (len(found), found[0].name) == (tracing.KEPT, "1")
