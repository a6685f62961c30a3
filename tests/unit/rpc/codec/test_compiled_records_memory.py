"""Compiled code keeps count of references, and no code of users can make it read what is gone."""

import contextlib
import datetime
import gc
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from random import Random
from typing import Any, cast

import msgspec
import pytest

from weaver.errors import CodecError
from weaver.rpc.codec import ValueCodec
from weaver.rpc.codec.compiled import record_codec

pytestmark = pytest.mark.skipif(record_codec() is None, reason="weaver runs without its C code")


class Money(msgspec.Struct):
    currency: str
    units: int


class Item(msgspec.Struct):
    name: str
    price: Money | None
    tags: list[str] = []
    more: dict[str, tuple[Money, int]] = {}


class Event(msgspec.Struct):
    when: int
    prices: list[Money]
    named: dict[str, Money]


ITEMS = [
    Item(f"name {i}", Money("EUR", 2**40 + i), ["new"], {"a": (Money("USD", i), 1)})
    for i in range(20)
]


def codec(annotation: Any) -> ValueCodec:
    found = ValueCodec(annotation, "value")
    assert found.plan.shape is not None
    assert found.plan.shape.description is not None
    return found


def twin_of(found: ValueCodec) -> Any:
    assert found.plan.shape is not None
    return found.plan.shape.wire


def test_references_to_classes_and_values_are_counted() -> None:
    items, item = codec(list[Item]), codec(Item)
    body = items.encode(ITEMS)
    counted: list[Any] = [Item, Money, twin_of(item), ITEMS[0].name, ITEMS[0], ITEMS[0].price]
    before = [sys.getrefcount(each) for each in counted]
    for _ in range(100):
        assert items.decode(items.encode(ITEMS)) == ITEMS
        with pytest.raises(CodecError):
            items.encode([*ITEMS, Item("bad", "no money")])  # type: ignore[arg-type]
        with pytest.raises(CodecError):
            items.decode(body[:-1])
        with pytest.raises(CodecError):
            items.decode(body[:-1] + b"\xc0")
    assert [sys.getrefcount(each) for each in counted] == before


def test_nothing_is_left_of_many_values() -> None:
    items = codec(list[Item])
    for_each = [ITEMS, [Item("unset", None)]]
    del for_each[1][0].price

    def once() -> None:
        items.decode(items.encode(for_each[0]))
        with pytest.raises(CodecError):
            items.encode(for_each[1])

    once()
    tracemalloc.start()
    try:
        once()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            once()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000  # one value has 8 KB
    finally:
        tracemalloc.stop()


def test_a_class_goes_with_the_last_codec_of_it() -> None:
    class Local(msgspec.Struct):
        a: int
        b: list[Money]

    found = codec(list[Local])
    assert found.decode(found.encode([Local(1, [])])) == [Local(1, [])]
    gone = weakref.ref(Local)
    del Local, found
    gc.collect()
    assert gone() is None


def test_decoded_objects_are_collected_like_others() -> None:
    made = codec(Item).decode(codec(Item).encode(ITEMS[0]))
    assert gc.is_tracked(made) == gc.is_tracked(ITEMS[0])
    assert gc.is_tracked(made.price) == gc.is_tracked(ITEMS[0].price)
    made.tags.append(made)
    made.more["witness"] = witness = Witness()
    gone = weakref.ref(witness)
    del made, witness
    gc.collect()
    assert gone() is None


class Witness:
    pass


class Zone(datetime.tzinfo):
    """Runs code of a user in the middle of encoding."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act

    def utcoffset(self, _: Any) -> datetime.timedelta:
        self.act()
        return datetime.timedelta(hours=1)

    def dst(self, _: Any) -> None:
        return None

    def tzname(self, _: Any) -> str:
        return "X"


def event() -> Event:
    prices = [Money("EUR" * 3, n) for n in range(50)]
    return Event(1, prices, {str(n): Money("USD" * 3, n) for n in range(50)})


ACTS: list[Callable[[Any], Any]] = [
    lambda events: events.clear(),
    lambda events: events.extend([event()] * 1000),
    lambda events: delattr(events[0], "prices"),
    lambda events: setattr(events[0], "prices", []),
    lambda events: events[0].named.clear(),
    lambda events: events[0].prices.clear(),
    lambda events: (events[1].named.clear(), gc.collect()),
    lambda events: delattr(events[1], "when"),
]


@pytest.mark.parametrize("act", ACTS)
def test_values_may_change_while_they_are_encoded(act: Callable[[list[Event]], Any]) -> None:
    events = [event(), event(), event()]
    acted: list[int] = []

    def once() -> None:
        if not acted:
            acted.append(1)
            act(events)

    wrong: Any = events[0]
    wrong.when = datetime.datetime(2026, 1, 2, tzinfo=Zone(once))  # msgspec takes it for a while
    found = codec(list[Event])
    with contextlib.suppress(CodecError):
        assert found.encode(events)
    assert acted == [1]


def test_what_lies_too_deep_is_refused_and_not_followed() -> None:
    class Tree(msgspec.Struct):
        branches: list[list[int]]

    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    itself: Any = []
    itself.append(itself)
    values: list[Any] = [deep, itself, {"a": deep}]
    for value in values:
        with pytest.raises(CodecError, match="branches"):
            codec(Tree).encode(Tree(value))


def test_threads_share_a_codec() -> None:
    found = codec(list[Item])
    right: list[bool] = []

    def work() -> None:
        right.extend(found.decode(found.encode(ITEMS)) == ITEMS for _ in range(100))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert right == [True] * 400


def test_descriptions_that_are_none_are_refused() -> None:
    """The class of codecs is not public, but no argument of it may crash the interpreter."""
    make: Any = record_codec()
    twin = twin_of(codec(Money))
    names = ("currency", "units")
    right = (0, (None, None), Money, twin, names)
    pieces: list[Any] = [
        0, 1, 2, 3, 4, 5, -1, None, (), (None,), (None, None), names, ("units", "currency"), Money,
        twin, Item, int, str, "x", right, (1, (right,), None, None, None), [], {}, object(),
    ]  # fmt: skip
    random, many = Random(7), cast("Any", list)
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(many[twin]).decode
    made = 0
    for _ in range(5000):
        description = tuple(
            random.choice(pieces) if random.random() < 0.4 else piece for piece in right
        )
        try:
            found = make(description, encode, decode)
        except (TypeError, ValueError, AttributeError):
            continue
        made += 1
        for value in (Money("EUR", 1), [Money("EUR", 1)], (1,), {"a": 1}, None, Item("a", None)):
            for call, given in ((found.encode, value), (found.decode, encode(value))):
                try:
                    call(given)
                except (TypeError, ValueError, AttributeError):
                    continue
    assert made > 10


def test_the_nesting_of_a_description_is_bounded() -> None:
    make: Any = record_codec()
    description: Any = (2, (None,), None, None, None)
    for _ in range(10_000):
        description = (1, (description,), None, None, None)
    with pytest.raises(ValueError, match="too deep"):
        make(description, len, len)
