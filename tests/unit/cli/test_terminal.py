"""Lines for a terminal that nobody reads for a while, or ever."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from weaver.cli.terminal import Terminal

PATIENCE = 40.0
Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """The end that is read, and the one that is written to."""
    read, write = os.pipe()
    yield read, write
    for descriptor in (read, write):
        try:
            os.close(descriptor)
        except OSError:
            continue  # the test has closed it


def test_lines_come_in_order_and_whole(pipe: Pipe) -> None:
    terminal = Terminal(pipe[1], lambda: None)
    for text in ("one", "two \u00e9", "three \udcff"):
        terminal.put(text)
    terminal.close(PATIENCE)
    assert os.read(pipe[0], 100).decode() == "one\ntwo \u00e9\nthree \\udcff\n"


def test_who_does_not_read_holds_nobody_up_and_is_told_what_is_missing(pipe: Pipe) -> None:
    terminal = Terminal(pipe[1], lambda: None, "! {}".format, most=10)
    for number in range(300):
        terminal.put(f"{number} {'x' * 1000}")  # more than a pipe holds
    terminal.close(0.0)
    found = b""
    while b"299 " not in found or not found.endswith(b"\n"):
        found += os.read(pipe[0], 1 << 20)
    terminal.close(PATIENCE)
    lines = found.decode().splitlines()
    missing = [line for line in lines if line.startswith("! (")]
    assert all("lines are left out: they were not read in time" in line for line in missing)
    numbers = [int(line.split()[0]) for line in lines if line not in missing]
    assert numbers == sorted(numbers)
    assert sum(int(line[3:].split()[0]) for line in missing) == 300 - len(numbers) > 0


def test_a_reader_that_has_gone_is_told_of_once(pipe: Pipe) -> None:
    gone = threading.Event()
    terminal = Terminal(pipe[1], gone.set)
    os.close(pipe[0])
    terminal.put("one")
    assert gone.wait(PATIENCE)
    gone.clear()
    terminal.put("two")
    terminal.close(PATIENCE)
    assert not gone.is_set()


def test_a_full_disk_costs_what_comes_then_only(capfd: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        terminal = Terminal(full.fileno(), lambda: None)
        terminal.put("one")
        terminal.put("two")
        terminal.close(PATIENCE)
    assert capfd.readouterr().err == "the log cannot be written: No space left on device\n"
