import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver.control import messages as m
from weaver.control.stream import LENGTH, MAX_MESSAGE, Codec, Receiver, encode
from weaver.errors import ProtocolError
from weaver.routing import Assignment, Endpoint, Route, Routing, hash_key

ROUTING = Routing(
    3,
    {
        "shop": Route(
            ("a.Cart",), (Endpoint("shop-1", "unix:/x"),), Assignment(1, (0,), ("shop-1",))
        )
    },
)
SAMPLES: list[m.ToProclet] = [m.NewRouting(ROUTING), m.Probe("n"), m.Stop(2.0)]


@given(st.lists(st.integers(1, 40), max_size=60))
def test_messages_survive_any_cut_of_the_stream(cuts: list[int]) -> None:
    stream = b"".join(encode(sample) for sample in SAMPLES)
    receiver: Receiver[m.ToProclet] = Receiver(Codec(m.ToProclet))
    got: list[m.ToProclet] = []
    for cut in [*cuts, len(stream)]:
        got += receiver.feed(stream[:cut])
        stream = stream[cut:]
    assert got == SAMPLES


@given(st.binary(max_size=200))
def test_bytes_of_a_stranger_give_messages_or_a_protocol_error(data: bytes) -> None:
    receiver: Receiver[m.FromProclet] = Receiver(Codec(m.FromProclet))
    with contextlib.suppress(ProtocolError):
        assert all(isinstance(message, m.Message) for message in receiver.feed(data))


def test_a_length_beyond_the_limit_is_refused_before_its_bytes_come() -> None:
    receiver: Receiver[m.FromProclet] = Receiver(Codec(m.FromProclet))
    with pytest.raises(ProtocolError, match="exceeds the limit"):
        list(receiver.feed(LENGTH.pack(MAX_MESSAGE + 1)))


def test_fields_of_a_newer_version_are_ignored_and_missing_ones_have_defaults() -> None:
    import msgspec

    body = msgspec.msgpack.encode({"type": "Stop", "colour": "red"})
    codec: Codec[m.ToProclet] = Codec(m.ToProclet)
    assert codec.decode(body) == m.Stop()
    assert codec.unpack(encode(m.Probe("x"))) == m.Probe("x")


def test_an_assignment_names_the_owner_of_every_key() -> None:
    assignment = Assignment(1, (0, 100), ("one", "two"))
    assert [assignment.owner(key) for key in (0, 99, 100, 2**64 - 1)] == [
        "one",
        "one",
        "two",
        "two",
    ]
    assert Assignment().owner(5) is None
    assert hash_key(b"user") == hash_key(b"user") != hash_key(b"other")


def test_routes_are_found_by_component() -> None:
    route = ROUTING.route_of("a.Cart")
    assert route is not None
    assert route.endpoints[0].replica == "shop-1"
    assert ROUTING.route_of("a.Web") is None
