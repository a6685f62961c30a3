"""examples/collatz: two components that call each other, call within call."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from collatz import Collatz, Even, Odd

from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]

FOLDER = Path(__file__).parents[2] / "examples" / "collatz"


def run(**environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "weaver", "run"],
        cwd=FOLDER,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("number", "steps"), [(1, 0), (3, 7), (27, 111), (871, 178)])
async def test_an_odd_number(weaver_app: MakeApp, number: int, steps: int) -> None:
    async with weaver_app(Collatz, main=False) as app:
        assert await app.get(Odd).steps(number) == steps


@pytest.mark.parametrize(("number", "steps"), [(2, 1), (6, 8), (54, 112), (2**70, 70)])
async def test_an_even_number(weaver_app: MakeApp, number: int, steps: int) -> None:
    async with weaver_app(Collatz, main=False) as app:
        assert await app.get(Even).steps(number) == steps


def test_it_counts_the_number_of_its_configuration() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (0, "27 takes 111 steps\n"), done.stderr
    done = run(WEAVER__COMPONENTS__COLLATZ__NUMBER="6")
    assert (done.returncode, done.stdout) == (0, "6 takes 8 steps\n"), done.stderr


def test_a_number_without_a_way_to_1_is_refused() -> None:
    done = run(WEAVER__COMPONENTS__COLLATZ__NUMBER="0")
    assert done.returncode == 1
    assert "0 is not a positive number" in done.stderr
