"""What a co-located call costs: through a reference, counted per edge, against a plain await.

    python bench/local_call.py [rounds]

Alternating rounds in one process; the figure is the median of the rounds' ratios of CPU time.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import weaver
from weaver.component import registry
from weaver.config.load import load
from weaver.deployers.in_process import InProcess
from weaver.proclet.definition import define

CALLS = 100_000
BUDGET = 1.8


@weaver.component
class Callee:
    async def echo(self, text: str) -> str:
        return text


@weaver.component
class Caller:
    callee: Callee

    async def main(self) -> None:
        rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
        await compare(Callee(), self.callee, rounds)


async def spend(call: Callable[[str], Awaitable[Any]]) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        await call("x")
    return (time.process_time() - began) / CALLS * 1e9


async def compare(plain: Callee, reference: Callee, rounds: int) -> None:
    base: list[float] = []
    through: list[float] = []
    for _ in range(rounds):
        base.append(await spend(plain.echo))
        through.append(await spend(reference.echo))
    ratio = statistics.median(b / a for a, b in zip(base, through, strict=True))
    print(f"plain await            {statistics.median(base):6.1f} ns")
    print(f"through a reference    {statistics.median(through):6.1f} ns")
    print(f"ratio                  {ratio:6.2f}   (budget {BUDGET})")


async def main() -> None:
    definition = define([Caller])
    entry = registry.full_name(Caller)
    async with InProcess(definition, load(""), entry=entry) as application:
        await application.run_main()


if __name__ == "__main__":
    asyncio.run(main())
