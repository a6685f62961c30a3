"""Starts and ends the systems that are compared; each is found by its address and its processes.

Those of weaver are started as a user does, by `weaver multi run` with a weaver.toml; they differ in
nothing but that file. A baseline is eleven processes of `baseline.py`.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wiring import CLASSES

HERE = Path(__file__).parent
WEAVER = Path(sys.executable).with_name("weaver")
TOMLS = {
    "split": HERE / "split" / "weaver.toml",
    "grouped": HERE.parents[1] / "examples" / "boutique" / "weaver.toml",
    "together": HERE / "together" / "weaver.toml",
}
SYSTEMS = ("grpc", "rest", *TOMLS)
PATIENCE = 180.0
"""Seconds until a system must answer; the first start of one of weaver's builds its PEX."""


@dataclass(frozen=True)
class System:
    """A system that answers at `address`; `roots` and their descendants are its processes."""

    name: str
    address: str
    roots: tuple[int, ...]


@contextlib.contextmanager
def running(name: str) -> Iterator[System]:
    """The system, from when it shows its first page until it has ended."""
    with tempfile.TemporaryDirectory(prefix="shop-") as folder, contextlib.ExitStack() as stack:
        log = stack.enter_context(Path(folder, "log").open("w+"))
        start = _weaver if name in TOMLS else _baseline
        processes, address_in = start(name, folder, stack, log)
        address = _until_matching(address_in, log, processes)
        _until_answering(f"http://{address}/", log, processes)
        yield System(name, address, tuple(process.pid for process in processes))


def _weaver(
    name: str, folder: str, stack: contextlib.ExitStack, log: IO[str]
) -> tuple[list[subprocess.Popen[bytes]], re.Pattern[str]]:
    environment = {
        **os.environ,
        "WEAVER__APP__NAME": f"bench-{name}",
        "WEAVER__LISTENERS__HTTP__ADDRESS": "127.0.0.1:0",
    }
    command = (str(WEAVER), "multi", "run", str(TOMLS[name]))
    return [stack.enter_context(_ending(command, log, folder, environment))], re.compile(
        r"listener http: http://(\S+)"
    )


def _baseline(
    name: str, folder: str, stack: contextlib.ExitStack, log: IO[str]
) -> tuple[list[subprocess.Popen[bytes]], re.Pattern[str]]:
    processes = []
    for service in (*CLASSES, "frontend"):
        command = (sys.executable, str(HERE / "baseline.py"), name, service, folder)
        processes.append(stack.enter_context(_ending(command, log, str(HERE), dict(os.environ))))
    deadline = time.monotonic() + PATIENCE
    while missing := [service for service in CLASSES if not Path(folder, service).is_socket()]:
        _check(processes, log, deadline, f"no socket of {', '.join(missing)}")
    return processes, re.compile(r"^(127\.0\.0\.1:\d+)$", re.MULTILINE)


@contextlib.contextmanager
def _ending(
    command: tuple[str, ...], log: IO[str], folder: str, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_matching(
    pattern: re.Pattern[str], log: IO[str], processes: list[subprocess.Popen[bytes]]
) -> str:
    deadline = time.monotonic() + PATIENCE
    while not (found := pattern.search(_text(log))):
        _check(processes, log, deadline, "no address")
    return found[1]


def _until_answering(url: str, log: IO[str], processes: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            if answer.status == 200:
                return
        _check(processes, log, deadline, "no page")


def _check(
    processes: list[subprocess.Popen[bytes]], log: IO[str], deadline: float, what: str
) -> None:
    """Pause, unless waiting is pointless."""
    ended = [process.args for process in processes if process.poll() is not None]
    if ended or time.monotonic() > deadline:
        raise RuntimeError(f"{what}; ended: {ended}; log:\n{_text(log)[-2000:]}")
    time.sleep(0.05)


def _text(log: IO[str]) -> str:
    return Path(log.name).read_text(errors="replace")
