"""Who may talk to whom: the first frame of each side, and the sentence that refuses it.

Values travel without names or numbers, so both ends must be the same build: two versions of an
application never talk to each other. This file decides what is compared and how the refusal reads;
it must not know what happens to a connection after that.
"""

from typing import Final

import msgspec

from weaver.errors import ProtocolError

MAGIC: Final = 0x57454156
"""In the place of the call id of a hello ("WEAV"): tells a stranger from a weaver peer."""

VERSION: Final = 1
"""Version of the layout in `weaver.frames` and of the rules in `weaver.rpc`."""


class Hello(msgspec.Struct, frozen=True, gc=False):
    """How one side introduces itself.

    `deployment`, `build` and `methods` (the hash of the method table) must be equal on both sides.
    `replica` and `weaver` (its version) are for messages. A tagged map on the wire, so that it can
    still be read, and refused by name, when the other side is older or newer.
    """

    deployment: str
    build: str
    methods: bytes
    replica: str = ""
    weaver: str = ""


def encode_hello(hello: Hello) -> bytes:
    """The body of a hello frame."""
    return msgspec.msgpack.encode(hello)


def decode_hello(body: bytes, magic: int, version: int) -> Hello:
    """Raises ProtocolError when it is not a hello of this version of the protocol."""
    if magic != MAGIC:
        raise ProtocolError("the peer does not speak the protocol of weaver")
    if version != VERSION:
        raise ProtocolError(f"version {version} and version {VERSION} of the protocol cannot talk")
    try:
        return msgspec.msgpack.decode(body, type=Hello)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError("the hello of the peer cannot be read", why=str(error)) from error


def check_hello(ours: Hello, theirs: Hello) -> None:
    """Raises ProtocolError, naming both values, when the two sides are not the same program.

    Both sides find the same sentence, so that their logs agree.
    """
    for name, mine, other in (
        ("deployment", ours.deployment, theirs.deployment),
        ("build", ours.build, theirs.build),
        ("method table", ours.methods.hex(), theirs.methods.hex()),
    ):
        if mine != other:
            one, two = sorted((_describe(ours), _describe(theirs)))
            values = " and ".join(sorted((mine or "none", other or "none")))
            raise ProtocolError(
                f"{one} and {two} cannot be connected: their {name}s differ ({values})",
                why="values travel without names, so two versions never talk to each other",
                fix="let each replica connect only to replicas of its own deployment",
            )


def _describe(hello: Hello) -> str:
    replica = f"{hello.replica}, " if hello.replica else ""
    return f"{replica}build {hello.build or 'none'} of deployment {hello.deployment or 'none'}"
