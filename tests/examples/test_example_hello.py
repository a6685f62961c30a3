"""examples/hello: the smallest application, in one process or over codec and connection."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hello import Greeter, Hello

from weaver.testing import TestApp

FOLDER = Path(__file__).parents[2] / "examples" / "hello"


async def test_the_greeter_greets(weaver_app: Callable[..., TestApp]) -> None:
    async with weaver_app(Hello, main=False) as app:
        assert await app.get(Greeter).greet("Ada") == "Hello, Ada!"


@pytest.mark.parametrize("command", [["hello.py"], ["-m", "weaver", "run"]])
def test_it_greets_the_world_and_ends(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "Hello, world!\n"), done.stderr


def test_it_has_20_lines() -> None:
    assert len((FOLDER / "hello.py").read_text().splitlines()) <= 20
