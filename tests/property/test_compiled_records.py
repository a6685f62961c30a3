"""Compiled code and the generated functions agree on Structs: on bytes, values and refusals.

Hypothesis draws one seed, and `random` the classes and values: they are many small choices, which
Hypothesis itself takes a second for.
"""

import datetime
import decimal
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver.errors import CodecError
from weaver.rpc.codec import ValueCodec, shapes
from weaver.rpc.codec.compiled import record_codec

pytestmark = pytest.mark.skipif(record_codec() is None, reason="weaver runs without its C code")

SEEDS = st.integers(0, 2**32)
FEW = settings(max_examples=50)  # each makes classes, and two codecs of them
ZONES = [datetime.UTC, datetime.timezone(datetime.timedelta(hours=2)), None]
EDGES = [n + d for n in (-(2**31), -(2**15), -(2**7), -32, 0, 2**7, 2**8, 2**16, 2**32, 2**63)
         for d in (-1, 0, 1)] + [-(2**63), 2**64 - 1]  # fmt: skip
LENGTHS = [0, 1, 2, 3, 15, 16, 31, 32, 33]

Make = Callable[[Random], Any]
Typed = tuple[Any, Make]


def number(random: Random) -> int:
    return random.choice(EDGES)


def text(random: Random) -> str:
    return random.choice("xé€𝄞") * length(random)


def length(random: Random) -> int:
    return random.choice(LENGTHS if random.random() < 0.9 else [100, 255, 256, 5000, 65535, 65536])


def moment(random: Random) -> datetime.datetime:
    return datetime.datetime(random.randint(1900, 2100), 2, 3, 4, 5, 6, 7, random.choice(ZONES))


def some(make: Make) -> Callable[[Random], list[Any]]:
    return lambda random: [make(random) for _ in range(random.choice(LENGTHS))]


SCALARS: list[Typed] = [
    (int, number),
    (str, text),
    (bool, lambda random: random.random() < 0.5),
    (float, lambda random: random.choice([0.0, -0.0, 1e300, float("nan"), float("-inf")])),
    (bytes, lambda random: b"\0" * length(random)),
    (int | None, lambda random: random.choice([None, *EDGES])),
    (list[str], lambda random: ["a"] * length(random)),
    (dict[str, int], lambda random: dict.fromkeys(map(str, some(number)(random)), 1)),
    (tuple[int, ...], lambda random: tuple(some(number)(random))),
    (set[int], lambda random: set(some(number)(random))),
    (datetime.datetime, moment),
    (decimal.Decimal, lambda random: decimal.Decimal(number(random))),
]


def containing(inner: Typed, random: Random) -> Typed:
    """A type of values that hold one of another type."""
    annotation, make = inner
    many: Any = list
    row: Any = tuple
    named: Any = dict
    few = [0, 1, 1, 2, 2, 2, 2, 17]
    choices: list[Typed] = [
        inner,
        (annotation | None, lambda random: random.choice([None, make(random)])),
        (many[annotation], lambda random: [make(random) for _ in range(random.choice(few))]),
        (row[annotation, ...], lambda random: tuple([make(random)] * random.choice(few))),
        (row[annotation, int, annotation], lambda random: (make(random), 1, make(random))),
        (named[str, annotation], lambda random: {str(i): make(random) for i in range(2)}),
        (named[int, annotation], lambda random: {number(random): make(random) for _ in range(3)}),
        (many[many[annotation] | None], lambda random: [None, [make(random)], []]),
        # Not among what is compiled: the generated functions take all of the value.
        (row[annotation, complex], lambda random: (make(random), 1j)),
    ]  # fmt: skip
    return random.choice(choices)


OPTIONS: list[dict[str, Any]] = [
    {}, {}, {}, {"gc": False}, {"weakref": True}, {"dict": True}, {"array_like": True},
    {"array_like": True}, {"rename": "camel"}, {"tag": True}, {"cache_hash": True, "frozen": True},
]  # fmt: skip


def struct(random: Random, depth: int = 2) -> Typed:
    """A Struct class, in some of all the ways to define one, and what makes values of it."""
    flags = ("frozen", "order", "omit_defaults")
    options: dict[str, Any] = {name: random.random() < 0.3 for name in flags} | random.choice(
        OPTIONS
    )
    cls: Any = msgspec.Struct
    makers: dict[str, Make] = {}
    for level in range(random.choice([1, 1, 2])):
        fields: list[Any] = []
        by_name = level == 1 or random.random() < 0.3
        for place in range(random.randrange(5)):
            name = f"{random.choice('zma')}_{level}{place}"
            inner = random.choice(SCALARS)
            if depth and random.random() < 0.4:
                inner = containing(struct(random, depth - 1), random)
            default: list[Any] = (
                [msgspec.field(default_factory=list)] if random.random() < 0.2 else []
            )
            fields.append((name, inner[0], *(default if by_name else [])))
            makers[name] = inner[1]
        cls = msgspec.defstruct("Made", fields, bases=(cls,), kw_only=by_name, **options)
    return cls, lambda random: cls(**{name: make(random) for name, make in makers.items()})


def both(annotation: Any) -> tuple[ValueCodec, ValueCodec]:
    """The codec with compiled code, and the one without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "record_codec", lambda: None)
        generated = ValueCodec(annotation, "value")
    return ValueCodec(annotation, "value"), generated


def outcome(function: Callable[[Any], Any], argument: Any) -> Any:
    """A result with the classes of all its parts, or the error's text."""
    try:
        found = function(argument)
    except CodecError as error:
        return str(error)
    return found if isinstance(found, bytes) else described(found)


PARTS: dict[type[Any], Callable[[Any], list[Any]]] = {
    list: list,
    tuple: list,
    set: sorted,
    dict: lambda value: [*value, *value.values()],
}


def described(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return type(value), [described(getattr(value, name)) for name in value.__struct_fields__]
    parts: list[Any] = PARTS[type(value)](value) if type(value) in PARTS else []
    return type(value), [described(part) for part in parts] or repr(value)


@given(SEEDS)
@FEW
def test_both_give_the_same_bytes_and_values(seed: int) -> None:
    random = Random(seed)
    annotation, make = containing(struct(random), random)
    compiled, generated = both(annotation)
    value = make(random)
    body = generated.encode(value)
    assert compiled.encode(value) == body
    assert outcome(compiled.decode, body) == outcome(generated.decode, body) == described(value)


@given(SEEDS)
@FEW
def test_both_refuse_the_same_bytes(seed: int) -> None:
    random = Random(seed)
    annotation, make = containing(struct(random), random)
    compiled, generated = both(annotation)
    body = bytearray(generated.encode(make(random)))
    for _ in range(random.choice([1, 1, 3])):
        place = min(random.randrange(30), len(body) - 1)
        body[place : place + random.choice([0, 1, 1, 2])] = random.randbytes(
            random.choice([0, 1, 1])
        )
        body = body or bytearray(b"\xc0")
    assert outcome(compiled.decode, bytes(body)) == outcome(generated.decode, bytes(body))


WRONG: list[Any] = [
    None,
    1,
    2**64,
    -(2**63) - 1,
    "text",
    "\ud800",
    [],
    {},
    (),
    1j,
    object,
    b"",
    {"a": {}},
]


@given(SEEDS)
@FEW
def test_both_treat_a_wrong_value_alike(seed: int) -> None:
    """A field of the wrong type, or none at all."""
    random = Random(seed)
    cls, make = struct(random)
    value = make(random)
    for name in () if cls.__struct_config__.frozen else cls.__struct_fields__:
        choice = random.randrange(4)
        if choice == 0:
            setattr(value, name, random.choice(WRONG))
        elif choice == 1 and random.random() < 0.3:
            delattr(value, name)
    annotation: Any = list
    for codec_of, whole in ((cls, value), (annotation[cls], [value, value])):
        compiled, generated = both(codec_of)
        assert outcome(compiled.encode, whole) == outcome(generated.encode, whole)


@given(SEEDS)
@FEW
def test_both_refuse_a_subclass(seed: int) -> None:
    random = Random(seed)
    cls, make = struct(random, depth=1)
    below: Any = type("Below", (cls,), {})
    value = make(random)
    grown = below(**{name: getattr(value, name) for name in cls.__struct_fields__})
    annotation: Any = list
    compiled, generated = both(annotation[cls])
    said = outcome(compiled.encode, [value, grown])
    assert said == outcome(generated.encode, [value, grown])
    assert "value[1] is `Below`, a subclass of `Made`" in said
