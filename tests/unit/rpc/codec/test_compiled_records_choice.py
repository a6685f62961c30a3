"""Which types go through compiled code, and that nothing of it is to be seen."""

import dataclasses
import datetime
import inspect
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec
import pytest

from weaver.errors import CodecError
from weaver.rpc.codec import ArgumentsCodec, ValueCodec, compiled, shapes
from weaver.rpc.codec.compiled import record_codec

pytestmark = pytest.mark.skipif(record_codec() is None, reason="weaver runs without its C code")

T = TypeVar("T")


class Money(msgspec.Struct):
    currency: str
    units: int


class Frozen(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    first_name: str
    price: Money


class Defaults(msgspec.Struct, omit_defaults=True):
    a: int = 1
    b: list[int] = []


class Checked(msgspec.Struct):
    a: int
    ran: int = 0

    def __post_init__(self) -> None:
        self.ran += 1


class Child(Money, kw_only=True):
    a_first: bool
    z: Frozen | None


class Box(msgspec.Struct, Generic[T]):
    content: T


class Row(msgspec.Struct, array_like=True):
    price: Money


class Bare(msgspec.Struct, array_like=True):
    a: int


class Holds(msgspec.Struct):
    bare: Bare
    many: list[Bare]


class Tagged(msgspec.Struct, tag="t"):
    a: int


class Weak(msgspec.Struct, weakref=True):
    a: int


class WithDict(msgspec.Struct, dict=True):
    a: int


class Cached(msgspec.Struct, frozen=True, cache_hash=True):
    a: int


class Reads(msgspec.Struct):
    a: int

    def __getattribute__(self, name: str) -> Any:
        return object.__getattribute__(self, name)


class Recursive(msgspec.Struct):
    inner: "Recursive | None"


@dataclasses.dataclass
class Data:
    a: int


class HoldsData(msgspec.Struct):
    data: Data


FROZEN = Frozen("a", Money("EUR", 1))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Money, Money("EUR", 2**63)),
        (Frozen, FROZEN),
        (Defaults, Defaults()),
        (Checked, Checked(1)),
        (Child, Child("EUR", 1, a_first=True, z=FROZEN)),
        (Box[int], Box(1)),
        (Box[Box[Money]], Box(Box(Money("EUR", 1)))),
        (Row, Row(Money("EUR", 1))),
        (Bare, Bare(1)),
        (Holds, Holds(Bare(1), [Bare(2)])),
        (Tagged, Tagged(1)),
        (tuple[Box[int], Box[str]], (Box(1), Box("x"))),
        (list[Money] | None, None),
        (dict[str, list[Money]], {"a": [Money("EUR", 1)]}),
    ],
)
def test_these_are_compiled(annotation: Any, value: Any) -> None:
    codec = ValueCodec(annotation, "value")
    assert shapes.compiled(codec.plan.shaped) is not None
    body = codec.encode(value)
    assert codec.decode(body) == value
    assert type(codec.decode(body)) is type(value)
    assert codec.decode(memoryview(bytearray(body))) == value


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Weak, Weak(1)),
        (WithDict, WithDict(1)),
        (Cached, Cached(1)),
        (Reads, Reads(1)),
        (Recursive, Recursive(None)),
        (HoldsData, HoldsData(Data(1))),
        (Money | int, 3),
        (list[int], [1]),
        (set[Frozen], set[Frozen]()),
    ],
)
def test_these_are_not(annotation: Any, value: Any) -> None:
    codec = ValueCodec(annotation, "value")
    assert shapes.compiled(codec.plan.shaped) is None
    assert codec.decode(codec.encode(value)) == value


def test_a_field_that_a_property_hides_is_read_as_python_reads_it() -> None:
    hidden: Any = type("Hidden", (Money,), {"units": property(lambda _: 7)})
    assert shapes.compiled(ValueCodec(hidden, "value").plan.shaped) is None


def test_no_twin_is_found_from_the_class() -> None:
    class Watched(msgspec.Struct):
        a: int

        def __init_subclass__(cls, **_: Any) -> None:
            raise AssertionError("somebody made a subclass")

        def __del__(self) -> None:
            deleted.append(type(self))

    deleted: list[type[Any]] = []
    codec = ValueCodec(list[Watched], "value")
    with pytest.raises(CodecError):
        codec.decode(codec.encode([Watched(1), Watched(2)])[:-1])
    assert Watched.__subclasses__() == []
    assert set(deleted) == {Watched}
    assert len(deleted) == 2  # those encoded; of the others, none was whole


def test_a_hook_after_construction_is_not_run_again() -> None:
    codec = ValueCodec(Checked, "value")
    assert codec.decode(codec.encode(Checked(1))).ran == 1


def test_an_array_of_another_length_is_refused() -> None:
    codec = ValueCodec(Defaults, "value")
    rows: list[Any] = [[1], [1, [], 3]]
    for row in rows:
        with pytest.raises(CodecError):
            codec.decode(msgspec.msgpack.encode(row))


def test_integers_of_any_size_and_one_object_twice() -> None:
    codec = ValueCodec(list[Money], "value")
    one = Money("EUR", 2**100)
    assert codec.decode(codec.encode([one, one])) == [one, one]
    two = Money("EUR", 2)
    first, second = codec.decode(codec.encode([two, two]))
    assert first == second == two
    assert first is not second


def test_subclasses_within_other_records_are_refused() -> None:
    class Grown(Bare, array_like=True):
        b: int

    @dataclasses.dataclass
    class Around:
        bare: Bare

    for annotation, value in (
        (Holds, Holds(Grown(1, 2), [])),
        (Holds, Holds(Bare(1), [Grown(1, 2)])),
        (Around, Around(Grown(1, 2))),
    ):
        with pytest.raises(CodecError, match="`Grown`, a subclass of `Bare`"):
            ValueCodec(annotation, "value").encode(value)


def test_arguments_are_compiled_together() -> None:
    def method(price: Money, at: datetime.date, many: list[Frozen]) -> None: ...

    codec = ArgumentsCodec(inspect.signature(method), "Shop.method")
    args = (Money("EUR", 1), datetime.date(2026, 1, 2), [FROZEN])
    body = codec.encode(args, {})
    assert codec.decode(body) == (args, {})
    assert type(codec.decode(body)[0][2][0]) is Frozen
    with pytest.raises(CodecError, match=r"argument `price\.currency`"):
        codec.decode(msgspec.msgpack.encode([[1, 1], "2026-01-02", []]))
    given: dict[str, Any] = {"price": Money("EUR", 1), "at": args[1], "many": []}
    assert codec.decode(codec.encode((), given)) == ((given["price"], args[1], []), {})


@pytest.fixture
def _forgotten() -> Iterator[None]:
    yield
    record_codec.cache_clear()


@pytest.mark.usefixtures("_forgotten")
def test_a_library_of_other_sources_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = ValueCodec(list[Frozen], "value")
    monkeypatch.setattr(compiled, "DIGEST", "of newer sources")
    record_codec.cache_clear()
    assert record_codec() is None
    without = ValueCodec(list[Frozen], "value")
    assert shapes.compiled(without.plan.shaped) is None
    assert without.encode([FROZEN]) == codec.encode([FROZEN])
    assert without.decode(codec.encode([FROZEN])) == [FROZEN]
