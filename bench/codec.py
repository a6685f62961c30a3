"""What values cost on the wire: nine products of a shop, encoded and decoded.

    python bench/codec.py [rounds]

All contestants alternate in one process; figures are medians of the rounds, ratios are medians of
the rounds' ratios to bare msgspec Structs without names. orjson and protobuf take part if they are
installed.
"""

import gc
import json
import pickle
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from weaver.rpc.codec import ValueCodec

REPEAT = 400


@dataclass
class Money:
    currency_code: str
    units: int
    nanos: int


@dataclass
class Product:
    id: str
    name: str
    description: str
    picture: str
    price_usd: Money
    categories: list[str]


class PlainMoney(msgspec.Struct):
    currency_code: str
    units: int
    nanos: int


class PlainProduct(msgspec.Struct):
    id: str
    name: str
    description: str
    picture: str
    price_usd: PlainMoney
    categories: list[str]


class BareMoney(msgspec.Struct, array_like=True):
    currency_code: str
    units: int
    nanos: int


class BareProduct(msgspec.Struct, array_like=True):
    id: str
    name: str
    description: str
    picture: str
    price_usd: BareMoney
    categories: list[str]


def products(product: Any, money: Any) -> list[Any]:
    return [
        product(
            f"OLJCESPC7{i}",
            f"Product number {i}",
            "What it is good for, in a hundred characters " * 3,
            f"/static/img/products/{i}.jpg",
            money("USD", 19 + i, 990_000_000),
            ["home", "kitchen"],
        )
        for i in range(9)
    ]


Codec = tuple[Callable[[Any], Any], Callable[[Any], Any], Any]


def contestants() -> dict[str, Codec]:
    # Each contestant has records of its own: pickle and orjson ask objects for their `__dict__`,
    # and from then on CPython reads the attributes of those objects more slowly.
    bare = products(BareProduct, BareMoney)
    plain = products(PlainProduct, PlainMoney)
    encode, decode = (
        msgspec.msgpack.Encoder().encode,
        msgspec.msgpack.Decoder(list[BareProduct]).decode,
    )
    ours = {
        "weaver: Structs, array_like": (ValueCodec(list[BareProduct], "b"), bare),
        "weaver: Structs": (ValueCodec(list[PlainProduct], "b"), plain),
        "weaver: dataclasses": (ValueCodec(list[Product], "b"), products(Product, Money)),
    }
    found: dict[str, Codec] = {"msgspec, bare array_like": (encode, decode, bare)}
    found |= {name: (c.encode, c.decode, value) for name, (c, value) in ours.items()}
    found["msgspec, dataclasses with names"] = (
        encode,
        msgspec.msgpack.Decoder(list[Product]).decode,
        products(Product, Money),
    )
    found["pickle 5"] = (lambda v: pickle.dumps(v, 5), pickle.loads, products(Product, Money))
    found["json, to dicts only"] = (
        json.dumps,
        json.loads,
        [asdict(p) for p in products(Product, Money)],
    )
    try:
        import orjson

        found["orjson, to dicts only"] = (orjson.dumps, orjson.loads, products(Product, Money))
    except ImportError:
        pass
    message = protobuf()
    if message is not None:
        found["protobuf, messages only"] = message
    return found


def protobuf() -> Codec | None:
    """The same records as protobuf messages, from a descriptor made here."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        return None
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package="bench", syntax="proto3")

    def add(name: str, fields: list[tuple[str, int, str, bool]]) -> None:
        record = file.message_type.add(name=name)
        for number, (field, kind, type_name, many) in enumerate(fields, 1):
            record.field.add(
                name=field,
                number=number,
                type=kind,
                type_name=type_name or None,
                label=kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL,
            )

    text, number, inner = kinds.TYPE_STRING, kinds.TYPE_INT64, kinds.TYPE_MESSAGE
    add(
        "Money",
        [
            ("currency_code", text, "", False),
            ("units", number, "", False),
            ("nanos", number, "", False),
        ],
    )
    fields = [(n, text, "", False) for n in ("id", "name", "description", "picture")]
    fields += [("price_usd", inner, ".bench.Money", False), ("categories", text, "", True)]
    add("Product", fields)
    add("Products", [("products", inner, ".bench.Product", True)])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    cls: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Products"))
    value = cls(products=[asdict(p) for p in products(Product, Money)])
    return lambda v: v.SerializeToString(), cls.FromString, value


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    codecs = contestants()
    encoding: dict[str, list[float]] = {name: [] for name in codecs}
    decoding: dict[str, list[float]] = {name: [] for name in codecs}
    sizes: dict[str, int] = {}
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name, (encode, decode, value) in codecs.items():
            body = encode(value)
            sizes[name] = len(body)
            began = time.process_time()
            for _ in range(REPEAT):
                encode(value)
            between = time.process_time()
            for _ in range(REPEAT):
                decode(body)
            encoding[name].append((between - began) / REPEAT * 1e6)
            decoding[name].append((time.process_time() - between) / REPEAT * 1e6)
    base = [
        a + b
        for a, b in zip(*(d["msgspec, bare array_like"] for d in (encoding, decoding)), strict=True)
    ]
    print(f"{'us, medians of ' + str(rounds):34}  bytes  encode  decode   ratio")
    for name in codecs:
        total = [a + b for a, b in zip(encoding[name], decoding[name], strict=True)]
        ratio = statistics.median(t / b for t, b in zip(total, base, strict=True))
        print(f"{name:34} {sizes[name]:6} {statistics.median(encoding[name]):7.2f} "
              f"{statistics.median(decoding[name]):7.2f} {ratio:7.2f}")  # fmt: skip

    def totals(name: str) -> list[float]:
        return [a + b for a, b in zip(encoding[name], decoding[name], strict=True)]

    pairs = zip(totals("pickle 5"), totals("weaver: dataclasses"), strict=True)
    ours = statistics.median(pickled / mine for pickled, mine in pairs)
    print(f"dataclasses: {ours:.2f} times faster than pickle 5")


if __name__ == "__main__":
    main()
