"""A run ends in time and in order, though parts of the application ignore that they should."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

APP = """
import asyncio
import time
import weaver

async def ignore_cancellation() -> None:
    print("ready", flush=True)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            print("ignored", flush=True)

class Polite:
    async def stop(self) -> None:
        print("polite stopped", flush=True)

@weaver.component
class First(Polite): ...

@weaver.component
class Main:
    first: First
    async def main(self) -> None:
        await ignore_cancellation()

@weaver.component
class Background:
    first: First
    async def main(self) -> None:
        self._task = asyncio.create_task(ignore_cancellation())
        await asyncio.Event().wait()

@weaver.component
class Blocker:
    first: First
    async def main(self) -> None:
        await asyncio.to_thread(self._block)
    def _block(self) -> None:
        print("ready", flush=True)
        time.sleep(3600)
"""
STOP = """
from app import *

@weaver.component
class Stop:
    first: First
    async def stop(self) -> None:
        await ignore_cancellation()
    async def main(self) -> None:
        print("ready", flush=True)
        await asyncio.Event().wait()
"""
START = """
from app import *

@weaver.component
class Start:
    first: First
    async def start(self) -> None:
        await ignore_cancellation()
    async def main(self) -> None: ...
"""

Start = Callable[[str, str], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Runs a target until it is ready."""
    for name, text in (("app", APP), ("stop", STOP), ("begin", START)):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    processes: list[subprocess.Popen[str]] = []

    def run(target: str, timeout: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "weaver", "run", target],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "WEAVER__APP__STOP_TIMEOUT": timeout},
        )
        processes.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if line == "ready\n":
                break
        return process

    yield run
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]", code: int) -> str:
    output, _ = process.communicate(timeout=50)
    assert process.returncode == code, output
    assert "Traceback" not in output
    return output


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("app:Main", "main did not end within 0.3 s of being cancelled"),
        ("app:Background", "ignore_cancellation (Task-"),
        ("app:Blocker", "ending without threads that did not within 0.3 s: weaver-worker_0"),
        ("stop:Stop", "Stop.stop did not end within 0.3 s; it was cancelled"),
        ("begin:Start", "stopping before the start was complete"),
    ],
)
def test_what_ignores_the_stop_is_named_and_left_behind(
    start: Start, target: str, said: str
) -> None:
    process = start(target, "0.3s")
    process.send_signal(signal.SIGTERM)
    output = finish(process, 0)
    assert said in output
    if target != "begin:Start":
        assert "polite stopped" in output


@pytest.mark.parametrize("target", ["app:Main", "app:Background", "app:Blocker", "begin:Start"])
def test_a_second_ctrl_c_ends_at_once_what_ignores_the_first(start: Start, target: str) -> None:
    process = start(target, "60s")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    for line in process.stdout:
        if "stopping" in line:
            break
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    finish(process, 130)
    assert time.monotonic() - began < 30
