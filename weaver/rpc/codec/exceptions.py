"""Exceptions of the application, as bytes and back: same class, fields and cause, never by pickle.

The receiver looks classes up among the modules it has imported; it imports nothing, calls no
constructor, and accepts exceptions only. What cannot be rebuilt arrives as RemoteApplicationError.
"""

import sys
import traceback
from typing import Any, Final

import msgspec

from weaver.errors import CodecError, RemoteApplicationError
from weaver.rpc.codec.anything import NotPortable, decode_anything, encode_anything

MOST_CAUSES: Final = 50
MOST_TEXT: Final = 64 * 1024
"""Characters of a message or traceback that travel; the rest is cut, with a mark."""
MOST_FIELD: Final = 256 * 1024
"""Bytes of one field that travel; a larger field is left out."""

_SLOTS: Final[dict[str, tuple[str, ...]]] = {
    "OSError": ("errno", "strerror", "filename", "filename2"),
    "UnicodeDecodeError": ("encoding", "object", "start", "end", "reason"),
    "UnicodeEncodeError": ("encoding", "object", "start", "end", "reason"),
    "UnicodeTranslateError": ("object", "start", "end", "reason"),
    "SyntaxError": ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset"),
    "ImportError": ("msg", "name", "path"),
    "NameError": ("name",),
    "AttributeError": ("name",),
    "StopIteration": ("value",),
    "SystemExit": ("code",),
}
"""Fields that builtin exceptions keep outside `__dict__`."""

_NEVER: Final = ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "CancelledError")


class _Node(msgspec.Struct, array_like=True, gc=False):
    module: str
    name: str
    text: str
    args: bytes
    fields: dict[str, bytes]
    slots: dict[str, bytes]
    left_out: list[str]
    notes: list[str]
    cause: int = -1
    context: int = -1
    suppress: bool = False
    members: list[int] = []


class _Message(msgspec.Struct, array_like=True, gc=False):
    nodes: list[_Node]
    traceback: str


def encode_exception(error: BaseException) -> bytes:
    """The bytes of an exception with its causes. A field that cannot travel is left out.

    Raises nothing, whatever the exception does when it is looked at: its caller waits.
    """
    nodes: list[_Node] = []
    try:
        _add(error, nodes, {}, 0)
        shown = _cut("".join(traceback.format_exception(error)))
    except Exception as odd:  # noqa: BLE001 # a property that raises, for instance
        nodes, shown = [_bare(error, odd)], ""
    return msgspec.msgpack.encode(_Message(nodes, shown))


def decode_exception(data: bytes | bytearray | memoryview, *, where: str = "") -> BaseException:
    """The exception of some bytes, with the remote traceback as a note.

    Raises nothing: bytes that are no exception give a CodecError as the result.
    """
    try:
        message = msgspec.msgpack.decode(data, type=_Message)
        built = _build(message)
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError, IndexError) as error:
        return CodecError(f"the exception of {where or 'a call'} cannot be read: {error}")
    if not isinstance(built, RemoteApplicationError):
        built.add_note(f"Remote traceback of {where or 'the callee'}:\n{message.traceback}")
    return built


def _add(error: BaseException | None, nodes: list[_Node], seen: dict[int, int], depth: int) -> int:
    """Append an exception and those it refers to; the number of its node, or -1."""
    if error is None or len(nodes) >= MOST_CAUSES or depth >= MOST_CAUSES:
        return -1
    if id(error) in seen:
        return seen[id(error)]
    number = seen[id(error)] = len(nodes)
    node = _node(error)
    nodes.append(node)
    node.cause = _add(error.__cause__, nodes, seen, depth + 1)
    node.context = _add(error.__context__, nodes, seen, depth + 1)
    if isinstance(error, BaseExceptionGroup):
        node.members = [
            found
            for inner in error.exceptions  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            if (found := _add(inner, nodes, seen, depth + 1)) >= 0  # pyright: ignore[reportUnknownArgumentType]
        ]
    return number


def _node(error: BaseException) -> _Node:
    cls: Any = error.__class__
    left_out: list[str] = []
    fields = dict(error.__dict__)
    notes = [_cut(str(n)) for n in fields.pop("__notes__", [])]
    names = {n for base in cls.__mro__ for n in _SLOTS.get(base.__name__, ())}
    slots = {n: getattr(error, n) for n in names if getattr(error, n, None) is not None}
    for base in cls.__mro__:
        for name in getattr(base, "__slots__", ()):
            if hasattr(error, name):
                slots[name] = getattr(error, name)
    whole: Any = error
    args: Any = whole.args if not isinstance(error, BaseExceptionGroup) else whole.args[:1]
    return _Node(
        module=cls.__module__,
        name=cls.__qualname__,
        text=_cut(_text(whole)),
        args=_args(args, left_out),
        fields=_portable(fields, left_out),
        slots=_portable(slots, left_out),
        left_out=left_out,
        notes=notes,
        suppress=error.__suppress_context__,
    )


def _bare(error: BaseException, odd: Exception) -> _Node:
    """An exception without anything that it holds."""
    cls = type(error)
    why = f"all that it holds ({type(odd).__name__}: {_cut(_text(odd))})"
    nothing = encode_anything(())
    return _Node(cls.__module__, cls.__qualname__, _cut(_text(error)), nothing, {}, {}, [why], [])


def _args(args: tuple[Any, ...], left_out: list[str]) -> bytes:
    """The constructor's arguments; one that cannot travel becomes its text."""
    kept: list[Any] = []
    for i, arg in enumerate(args):
        try:
            text_or_value = _cut(arg) if isinstance(arg, str) else arg
            _bounded(text_or_value)
            kept.append(text_or_value)
        except NotPortable:
            kept.append(_cut(repr(arg)))
            left_out.append(f"args[{i}]")
    return encode_anything(tuple(kept))


def _portable(values: dict[str, Any], left_out: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, value in values.items():
        try:
            found[name] = _bounded(value)
        except NotPortable:
            left_out.append(name)
    return found


def _bounded(value: Any) -> bytes:
    encoded = encode_anything(value)
    if len(encoded) > MOST_FIELD:
        raise NotPortable(f"it has {len(encoded)} bytes")
    return encoded


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 # a faulty __str__ must not hide the error
        return f"<{type(error).__name__} whose message cannot be shown>"


def _cut(text: str) -> str:
    """Text of bounded length that can be encoded: the name of a file may hold any byte."""
    if len(text) > MOST_TEXT:
        text = text[:MOST_TEXT] + f" … [{len(text)} characters]"
    return text.encode("utf-8", "backslashreplace").decode()


# --- building ---


def _build(message: _Message) -> BaseException:
    nodes = message.nodes
    if not nodes:
        raise ValueError("it is empty")
    built: list[BaseException] = [_rebuilt(node, message) for node in nodes]
    for node, error in zip(nodes, built, strict=True):
        error.__cause__ = built[node.cause] if 0 <= node.cause < len(built) else None
        error.__context__ = built[node.context] if 0 <= node.context < len(built) else None
        error.__suppress_context__ = node.suppress
    for i in range(len(nodes) - 1, -1, -1):
        if nodes[i].members:
            built[i] = _grouped(nodes[i], built[i], [built[m] for m in nodes[i].members if m > i])
    return built[0]


def _rebuilt(node: _Node, message: _Message) -> BaseException:
    cls = _find(node)
    fallback = RemoteApplicationError(f"{node.module}.{node.name}", node.text, message.traceback)
    if cls is None:
        return fallback
    try:
        args = decode_anything(node.args)
        if issubclass(cls, BaseExceptionGroup):
            return fallback  # replaced in _grouped, when its members are built
        error: BaseException = (
            BaseException.__new__(cls, *args)
            if cls.__new__ is BaseException.__new__
            else cls.__new__(cls, *args)
        )
        error.args = args
        _furnish(error, node)
        _text(error)
    except Exception:  # noqa: BLE001 # whatever the class does when it is made
        return fallback
    return error


def _furnish(error: BaseException, node: _Node) -> None:
    """Give an exception its fields and notes; a note names the fields that it does not get."""
    missing = list(node.left_out)
    for name, value in _readable(node.slots, missing):
        _assign(error, name, value)
    error.__dict__.update(_readable(node.fields, missing))
    for note in node.notes:
        error.add_note(note)
    if missing:
        error.add_note(f"left out, because they cannot travel: {', '.join(missing)}")


def _readable(fields: dict[str, bytes], missing: list[str]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in fields.items():
        try:
            found.append((name, decode_anything(value)))
        except Exception:  # noqa: BLE001 # its class is not imported here, or refuses the value
            missing.append(name)
    return found


def _assign(error: BaseException, name: str, value: Any) -> None:
    try:
        setattr(error, name, value)
    except (AttributeError, TypeError):
        object.__setattr__(error, name, value)


def _find(node: _Node) -> type[BaseException] | None:
    """The class, if it is an exception class that this process has imported."""
    if "<locals>" in node.name or node.name in _NEVER:
        return None
    found: Any = sys.modules.get(node.module)
    for part in node.name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    if not isinstance(found, type) or not issubclass(found, BaseException):
        return None
    accepted: Any = (Exception, BaseExceptionGroup)
    return found if issubclass(found, accepted) else None


def _grouped(node: _Node, stand_in: BaseException, members: list[BaseException]) -> BaseException:
    cls: Any = _find(node)
    if cls is None or not issubclass(cls, BaseExceptionGroup) or not members:
        return stand_in
    group: Any = BaseExceptionGroup
    try:
        made: Any = group.__new__(cls, str(decode_anything(node.args)[0]), members)
    except Exception:  # noqa: BLE001
        return stand_in
    made.__cause__, made.__context__ = stand_in.__cause__, stand_in.__context__
    made.__suppress_context__ = stand_in.__suppress_context__
    _furnish(made, node)
    built: BaseException = made
    return built
