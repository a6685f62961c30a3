"""What is logged and printed, as records: whole lines, once each, with the component."""

import contextlib
import io
import logging
import sys
import threading
from collections.abc import Generator

import structlog

import weaver
from weaver.control.messages import LogRecord
from weaver.proclet import context
from weaver.proclet.definition import define
from weaver.proclet.log_capture import LONGEST, LogCapture
from weaver.proclet.whose import Whose

LOG = logging.getLogger("capture-test")


@weaver.component
class Talker:
    async def talk(self) -> None:
        self.speak()

    def speak(self) -> None:
        def inner() -> None:
            print("inner")
            LOG.warning("spoken")

        inner()


@weaver.component
class Teller:
    def tell(self) -> None:
        structlog.get_logger("teller").warning("sold", mugs=3)


class Loud(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage().upper()


@contextlib.contextmanager
def captured() -> Generator[list[LogRecord]]:
    taken: list[LogRecord] = []
    capture = LogCapture(taken.append, {"replica": "r-1"}, whose())
    before = (sys.stdout, sys.stderr, logging.getLogger().level, logging.getLogger().handlers[:])
    capture.install()
    try:
        yield taken
    finally:
        capture.remove()
    root = logging.getLogger()
    assert (sys.stdout, sys.stderr, root.level, root.handlers) == before


def whose() -> Whose:
    return Whose(define([Talker, Teller]).graph.components.values())


def messages(records: list[LogRecord]) -> list[str]:
    return [record.message for record in records]


def test_each_printed_line_is_a_record() -> None:
    with captured() as records:
        print("a", "b")
        print("c", end="")
        print("d\ne", file=sys.stderr)
        print("e")
        print("f", end="")
    assert messages(records) == ["a b", "d", "e", "ce", "f"]
    assert [r.stream for r in records] == ["stdout", "stderr", "stderr", "stdout", "stdout"]
    assert {r.replica for r in records} == {"r-1"}


def test_threads_do_not_mix_their_words() -> None:
    barrier = threading.Barrier(4)

    def run(name: str) -> None:
        barrier.wait()
        for _ in range(200):
            print(name, name)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    with captured() as records:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(messages(records)) == sorted(f"{n} {n}" for n in "abcd" for _ in range(200))


def test_the_innermost_component_on_the_stack_has_said_it() -> None:
    token = context.component.set("somebody else")
    try:
        with captured() as records:
            Talker().speak()
            print("outside")
    finally:
        context.component.reset(token)
    name = f"{__name__}.Talker"
    assert [(r.message, r.component) for r in records] == [
        ("inner", name), ("spoken", name), ("outside", "somebody else"),
    ]  # fmt: skip


def test_what_cannot_be_sent_as_it_is_is_sent_otherwise() -> None:
    with captured() as records:
        LOG.warning("x" * (LONGEST + 5))
        print("y" * (2 * LONGEST + 1))
        print("file \udcff")
    assert records[0].message.endswith("… (5 more characters)")
    assert [len(m) for m in messages(records[1:4])] == [LONGEST, LONGEST, 1]
    assert records[4].message == "file \\udcff"


def test_a_wrong_format_string_is_logged_as_it_is() -> None:
    records: list[LogRecord] = []
    capture = LogCapture(records.append, {}, whose())
    capture.handle(LOG.makeRecord("x", logging.INFO, "x.py", 1, "%d", ("no number",), None))
    assert "no number" in records[0].message


def test_a_handler_for_the_terminal_does_not_say_everything_twice() -> None:
    root = logging.getLogger()
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(Loud())
    elsewhere = logging.StreamHandler(io.StringIO())
    root.addHandler(terminal)
    root.addHandler(elsewhere)
    taken: list[LogRecord] = []
    capture = LogCapture(taken.append, {}, whose())
    try:
        capture.install()
        LOG.warning("once")
        capture.remove()
        assert terminal in root.handlers
        assert messages(taken) == ["ONCE"]
        assert elsewhere.stream.getvalue() == "once\n"
    finally:
        root.removeHandler(terminal)
        root.removeHandler(elsewhere)


def test_structlog_through_logging_keeps_its_form_and_its_component() -> None:
    shared: list[structlog.typing.Processor] = [structlog.stdlib.add_log_level]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    terminal = logging.StreamHandler(sys.stderr)
    renderer = structlog.processors.KeyValueRenderer(key_order=["event"])
    terminal.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    )
    root = logging.getLogger()
    root.addHandler(terminal)
    try:
        with captured() as records:
            Teller().tell()
            LOG.error("plain")
    finally:
        root.removeHandler(terminal)
        structlog.reset_defaults()
    assert [(r.message, r.level, r.component) for r in records] == [
        ("event='sold' mugs=3 level='warning'", "WARNING", f"{__name__}.Teller"),
        ("event='plain' level='error'", "ERROR", ""),
    ]


def test_structlog_as_it_comes_is_what_it_prints() -> None:
    with captured() as records:
        Teller().tell()
    (record,) = records
    assert (record.stream, record.component) == ("stdout", f"{__name__}.Teller")
    assert "sold" in record.message
    assert "mugs" in record.message
