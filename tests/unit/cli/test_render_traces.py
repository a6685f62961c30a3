"""Traces as people see them."""

from weaver.cli.render_traces import listed, tree, whole
from weaver.control.spans import Span

SPANS = [
    Span("aa", "3", "Store.get", 12.0, 0.001, parent="2", replica="store-1"),
    Span("aa", "1", "GET /cart", 10.0, 0.01, replica="front-1", error="500"),
    Span("bb", "9", "GET /", 11.0, 0.002, parent="ff", replica="front-2"),
    Span("aa", "2", "Cart.get", 11.0, 0.005, parent="1", replica="cart-1", error="KeyError"),
    Span("aa", "4", "Ads.get", 13.0, 0.001, parent="1", replica="ads-1"),
]


def test_spans_are_put_together_by_trace_and_time() -> None:
    assert [[span.span for span in trace] for trace in whole(SPANS)] == [
        ["1", "2", "3", "4"],
        ["9"],
    ]


def test_a_tree_shows_what_belongs_to_what() -> None:
    assert tree(whole(SPANS)[0]).splitlines() == [
        "trace aa",
        "  10.0 ms  GET /cart  front-1  (500)",
        "   5.0 ms    Cart.get  cart-1  (KeyError)",
        "   1.0 ms      Store.get  store-1",
        "   1.0 ms    Ads.get  ads-1",
    ]


def test_calls_at_their_caller_say_whether_they_left_the_process_and_how_often() -> None:
    called = [
        Span("aa", "1", "GET /", 1.0, 0.01, replica="front-1", kind="request"),
        Span(
            "aa", "2", "Cart.get", 2.0, 0.009, parent="1", replica="front-1", kind="remote",
            caller="shop.web.Web", attempts=2, error="KeyError",
        ),
        Span("aa", "3", "Cart.get", 3.0, 0.008, parent="2", replica="cart-2", kind="served"),
        Span(
            "aa", "4", "Store.get", 4.0, 0.001, parent="3", replica="cart-2", kind="local",
            caller="shop.Cart",
        ),
        Span("aa", "5", "Ads.get", 5.0, 0.001, parent="1", replica="front-1", kind="remote"),
    ]  # fmt: skip
    assert tree(called).splitlines()[1:] == [
        "  10.0 ms  GET /  front-1",
        "   9.0 ms    Web -> Cart.get  remote  front-1  (2 attempts, KeyError)",
        "   8.0 ms      Cart.get  cart-2",
        "   1.0 ms        Cart -> Store.get  local  cart-2",
        "   1.0 ms    Ads.get  remote  front-1",
    ]


def test_a_list_has_a_line_for_each_trace() -> None:
    _, first, second = listed(whole(SPANS)).splitlines()
    assert first.split()[0] == "aa"
    assert first.endswith("10.0 ms      4  GET /cart  (500)")
    assert second.endswith("1  GET /")
    assert "traceparent" in listed([])


def test_a_circle_of_spans_ends() -> None:
    circle = [
        Span("cc", "1", "a", 1.0, 0.1, parent="2"),
        Span("cc", "2", "b", 2.0, 0.1, parent="1"),
    ]
    assert tree(circle).count("\n") == 2
