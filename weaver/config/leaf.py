"""One value that is no table and no list of weaver's own reading: from TOML to its type.

Decides, with msgspec, what a scalar becomes and how its refusal is worded. It must not know where
the value stands.
"""

import contextlib
import datetime as dt
import enum
import ipaddress
import pathlib
import re
import typing
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from weaver.config import units, words
from weaver.config.records import element_of, is_record, mapping_of, members, strip, type_name

Hook = Callable[[Any, Any], Any]
"""`(type, value) -> instance` for types that msgspec does not know; ValueError refuses."""

_PARSED: dict[Any, tuple[str, Callable[[object], Any]]] = {
    units.Duration: (units.DURATION, units.Duration.parse),
    units.Size: (units.SIZE, units.Size.parse),
    units.Percent: (units.PERCENT, units.Percent.parse),
    words.Name: (words.NAME, words.Name.parse),
    words.Target: (words.TARGET, words.Target.parse),
    words.Address: (words.ADDRESS, words.Address.parse),
    words.ManagerLost: (words.POLICY, words.ManagerLost.parse),
}
_IP: dict[type[Any], str] = {
    ipaddress.IPv4Address: "an IPv4 address",
    ipaddress.IPv6Address: "an IPv6 address",
    ipaddress.IPv4Network: "an IPv4 network",
    ipaddress.IPv6Network: "an IPv6 network",
    ipaddress.IPv4Interface: "an IPv4 interface",
    ipaddress.IPv6Interface: "an IPv6 interface",
}
_EXPECTED: dict[Any, str] = {
    **{type_: text for type_, (text, _) in _PARSED.items()},
    **_IP,
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    bytes: "base64 text",
    pathlib.Path: "a path",
    dt.datetime: "a date with a time",
    dt.date: "a date",
    dt.time: "a time",
    dt.timedelta: units.DURATION,
}
_MSGSPEC = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "array": "a list",
    "object": "a table",
}
_WRONG_TYPE = re.compile(r"Expected `[^`]*`, got |Invalid enum value")


class Mismatch(Exception):
    """The value is not of the type; `reason` says more if the type alone does not."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


def convert_leaf(value: Any, type_: Any, hook: Hook | None, *, strict: bool = True) -> Any:
    """The value as `type_`; not strict: text may stand for numbers. Raises Mismatch."""
    bare = strip(type_)
    if is_record(type_) and not isinstance(value, dict):
        if isinstance(value, typing.get_origin(bare) or bare):
            return value
        raise Mismatch
    if bare is dt.timedelta and isinstance(value, (str, int, float)):
        try:
            return dt.timedelta(seconds=units.Duration.parse(value))
        except ValueError:
            pass  # an ISO 8601 duration, perhaps: msgspec reads those

    def dec_hook(wanted: Any, written: Any) -> Any:
        return _construct(wanted, written, hook)

    try:
        return msgspec.convert(value, type_, strict=strict, dec_hook=dec_hook)
    except (msgspec.ValidationError, TypeError) as error:
        text = "" if bare is dt.timedelta else str(error).partition(" - at `$")[0]
        raise Mismatch("" if not text or _WRONG_TYPE.match(text) else _reworded(text)) from error


def expected(type_: Any) -> str:
    """What may be written for a type, for people."""
    choices = members(type_)
    if len(choices) > 1:
        return " or ".join(expected(choice) for choice in choices)
    (bare,) = map(strip, choices)
    if bare in _EXPECTED:
        return _EXPECTED[bare]
    valid = options(bare)
    if valid:
        return ("one of " if len(valid) > 1 else "") + ", ".join(show(option) for option in valid)
    if is_record(bare) or mapping_of(bare) is not None:
        return "a table"
    if element_of(bare) is not None:
        return "a list"
    return f"a value of type {type_name(bare)}"


def options(type_: Any) -> list[Any]:
    """The values that an enumeration or Literal allows; empty for other types."""
    valid: list[Any] = []
    for choice in members(type_):
        bare = strip(choice)
        if typing.get_origin(bare) is Literal:
            valid += typing.get_args(bare)
        elif isinstance(bare, type) and issubclass(bare, enum.Enum):
            valid += [member.value for member in bare]
    return valid


def show(value: Any) -> str:
    """A value as TOML would write it, shortened."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            text = msgspec.json.encode(value).decode()
            return text if len(text) <= 60 else f'{text[:56]}…"'
        case dict():
            return "a table"
        case list():
            return "a list"
        case dt.date() | dt.time():
            return value.isoformat()
        case _:
            return str(value)


def _reworded(text: str) -> str:
    """A message of msgspec in our words: "Expected `int` >= 1" is "expected an integer >= 1"."""
    for known, words_ in _MSGSPEC.items():
        text = text.replace(f"`{known}`", words_)
    return text[:1].lower() + text[1:]


def _construct(wanted: Any, written: Any, hook: Hook | None) -> Any:
    """What msgspec does not know itself."""
    if isinstance(wanted, type):
        if isinstance(written, wanted):
            return written
        if wanted in _PARSED:
            return _PARSED[wanted][1](written)
        if issubclass(wanted, pathlib.PurePath):
            if isinstance(written, str):
                return wanted(written)
            raise ValueError("expected a path")
        if wanted in _IP:
            try:
                return wanted(written if isinstance(written, str) else None)
            except ValueError:
                raise ValueError(f"expected {_IP[wanted]}") from None
    if hook is not None:
        with contextlib.suppress(NotImplementedError):  # how a msgspec hook says: not mine
            return hook(wanted, written)
    raise ValueError(f"values of type {type_name(wanted)} cannot be read from TOML")
