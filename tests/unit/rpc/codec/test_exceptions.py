"""Exceptions arrive as themselves, or say what they were."""

import asyncio
import dataclasses
import decimal
import json
import threading
import traceback
from typing import Any

import pytest

from weaver.errors import CodecError, DeadlineExceeded, Overloaded, RemoteApplicationError
from weaver.rpc.codec import decode_exception, encode_exception


def travel(error: BaseException) -> BaseException:
    return decode_exception(encode_exception(error), where="Bank.pay")


@dataclasses.dataclass(frozen=True)
class Account:
    name: str
    balance: decimal.Decimal


class BankError(Exception): ...


class Overdrawn(BankError):
    def __init__(self, account: Account, *, missing: int) -> None:
        super().__init__(f"{account.name} lacks {missing}")
        self.account = account
        self.missing = missing
        self.when = {"day": (1, 2), "tags": {"a"}}


class Slotted(Exception):
    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Strict(Exception):
    def __init__(self) -> None:
        raise AssertionError("constructed")


class Guarded(Exception):
    __slots__ = ("_code",)

    def __getattribute__(self, name: str) -> Any:
        if name == "_code":
            raise ValueError("not today")
        return super().__getattribute__(name)


class Faulty(Exception):
    def __str__(self) -> str:
        raise ValueError("no message today")


def test_class_fields_and_arguments_survive() -> None:
    error = travel(Overdrawn(Account("bob", decimal.Decimal("1.5")), missing=3))
    assert type(error) is Overdrawn
    assert isinstance(error, BankError)
    assert error.account == Account("bob", decimal.Decimal("1.5"))
    assert (error.missing, error.when) == (3, {"day": (1, 2), "tags": {"a"}})
    assert error.args == ("bob lacks 3",)
    assert str(error) == "bob lacks 3"


BUILTINS: list[BaseException] = [
    ValueError("x", 1),
    KeyError("k"),
    OSError(2, "No such file", "/x"),
    FileNotFoundError(2, "No such file", "/x"),
    ConnectionResetError(104, "reset"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    StopIteration(5),
    StopAsyncIteration(),
    ZeroDivisionError("division by zero"),
    ImportError("nope", name="m", path="/p"),
    SyntaxError("bad", ("f.py", 1, 2, "x =", 1, 3)),
    AttributeError("no"),
    TimeoutError(),
    NotImplementedError("later"),
    RecursionError("deep"),
    AssertionError(),
    decimal.InvalidOperation(),
    json.JSONDecodeError("bad", "doc", 1),
]


@pytest.mark.parametrize("error", BUILTINS, ids=lambda e: type(e).__name__)
def test_builtin_exceptions_survive(error: BaseException) -> None:
    back = travel(error)
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert back.args == error.args
    for name in ("errno", "strerror", "filename", "encoding", "start", "reason", "value", "name"):
        assert getattr(back, name, None) == getattr(error, name, None)


def test_cause_context_and_suppression_survive() -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise BankError("outer") from inner
    except BankError as outer:
        back = travel(outer)
    assert isinstance(back.__cause__, KeyError)
    assert back.__context__ is back.__cause__
    assert back.__suppress_context__
    assert "inner" in "".join(traceback.format_exception(back))


def test_a_circle_of_causes_ends() -> None:
    first, second = BankError("1"), BankError("2")
    first.__cause__, second.__cause__ = second, first
    back = travel(first)
    assert back.__cause__ is not None
    assert back.__cause__.__cause__ is back


def test_a_long_chain_is_cut() -> None:
    error: BaseException = BankError("0")
    for i in range(500):
        outer = BankError(str(i))
        outer.__cause__ = error
        error = outer
    back: BaseException | None = travel(error)
    length = 0
    while back is not None:
        length += 1
        back = back.__cause__
    assert 10 < length <= 50


def test_notes_and_the_remote_traceback_are_notes() -> None:
    try:
        raise BankError("x")
    except BankError as error:
        error.add_note("mine")
        back = travel(error)
    assert back.__notes__[0] == "mine"
    assert "Remote traceback of Bank.pay" in back.__notes__[-1]
    assert "test_notes_and_the_remote_traceback" in back.__notes__[-1]


def test_groups_keep_their_members() -> None:
    group = ExceptionGroup("many", [ValueError("a"), ExceptionGroup("in", [BankError("b")])])
    back: Any = travel(group)
    assert back.__class__ is ExceptionGroup
    assert back.message == "many"
    first, second = back.exceptions
    assert isinstance(first, ValueError)
    assert second.__class__ is ExceptionGroup
    assert second.exceptions[0].__class__ is BankError


def test_slots_survive() -> None:
    back = travel(Slotted(7))
    assert type(back) is Slotted
    assert back.code == 7


def test_a_constructor_that_fails_is_not_called() -> None:
    error = Strict.__new__(Strict)
    error.args = ("made by hand",)
    assert type(travel(error)) is Strict


def test_a_field_that_cannot_travel_is_left_out_and_named() -> None:
    error = BankError("x")
    fields: Any = error
    fields.lock, fields.code = threading.Lock(), 7
    back: Any = travel(error)
    assert back.code == 7
    assert not hasattr(back, "lock")
    assert any("lock" in note for note in back.__notes__)


def test_an_argument_that_cannot_travel_becomes_its_text() -> None:
    back = travel(BankError(threading.Event()))
    assert type(back) is BankError
    assert "Event" in back.args[0]


def test_local_classes_arrive_as_remote_application_errors() -> None:
    class Local(Exception): ...

    back = travel(Local("only here"))
    assert isinstance(back, RemoteApplicationError)
    assert back.type_name.endswith("Local")
    assert back.message == "only here"
    assert "Local" in back.remote_traceback


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError(), GeneratorExit()],
    ids=repr,
)
def test_exceptions_that_end_things_do_not_end_the_caller(error: BaseException) -> None:
    assert isinstance(travel(error), RemoteApplicationError)


def test_a_faulty_message_does_not_hide_the_error() -> None:
    assert type(travel(Faulty())) is Faulty


def test_errors_of_the_runtime_keep_their_fields() -> None:
    back = travel(DeadlineExceeded("late", executed="no", why="slow"))
    assert isinstance(back, DeadlineExceeded)
    assert (back.executed, back.what, back.why) == ("no", "late", "slow")
    assert isinstance(travel(Overloaded("full")), Overloaded)


def test_long_messages_are_cut() -> None:
    class Local(Exception): ...

    back = travel(Local("x" * 10**6))
    assert isinstance(back, RemoteApplicationError)
    assert len(back.message) < 10**5
    assert len(encode_exception(Local("x" * 10**6))) < 10**6


def test_bytes_that_are_no_exception_give_a_codec_error() -> None:
    assert isinstance(decode_exception(b""), CodecError)
    assert isinstance(decode_exception(b"\xff" * 100), CodecError)


def test_one_that_cannot_be_looked_at_arrives_bare_and_says_so() -> None:
    back = travel(Guarded("shut"))
    assert type(back) is Guarded
    assert "not today" in back.__notes__[0]


def test_the_bytes_of_a_name_that_is_no_text_are_escaped() -> None:
    back = travel(ValueError("cannot read a\udcff", "b\udcfe"))
    assert back.args == ("cannot read a\\udcff", "b\\udcfe")
    odd = BankError("x")
    odd.add_note("of c\udcfd")
    assert travel(odd).__notes__[0] == "of c\\udcfd"
