"""CPU of a small call, both ends in one process: the sources, the compiled core, the echo.

Run: `python bench/cores.py [--slices N] [folder ...]`. A folder holds a package `weaver`, such as
build/core after `make unit-core`, or another commit's sources. Every contestant has a process that
stays; short slices alternate, and the best and the middle one are shown: others use the cores, too.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = HERE.parent / "build" / "core"
CALLS = {"one at a time": 250, "64 in flight": 640}

PROGRAM = """
import asyncio, sys, tempfile, time
import calls_contestants as c

async def main(name, path):
    serving = asyncio.create_task(c.SERVERS[name](path))
    await asyncio.sleep(0.3)
    client = await c.CLIENTS[name](path if name == "echo" else "unix:" + path)
    print("ready", flush=True)
    while line := sys.stdin.readline():
        calls = int(line.split()[0])
        began = time.process_time()
        if "flight" in line:
            await client.burst(calls)
        else:
            for _ in range(calls):
                await client.call(c.TEXT)
        print((time.process_time() - began) / calls * 1e6, flush=True)
    serving.cancel()

with tempfile.TemporaryDirectory() as folder:
    c.run_loop(main(sys.argv[1], folder + "/s"))
"""


class Contestant:
    def __init__(self, label: str, folder: Path, name: str) -> None:
        self.label = label
        path = os.pathsep.join((str(folder), str(HERE)))
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": path}, cwd="/",
        )  # fmt: skip
        self.samples: dict[str, list[float]] = {kind: [] for kind in CALLS}
        while self.said() != "ready\n":
            pass

    def said(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"{self.label} has ended"
        return line

    def slice(self, kind: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{CALLS[kind]} {kind}\n")
        self.process.stdin.flush()
        self.samples[kind].append(float(self.said()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--slices", type=int, default=40)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    folders = options.folders or [f for f in (HERE.parent, CORE) if f.is_dir()]
    entrants = [Contestant("echo", HERE.parent, "echo")]
    try:
        entrants += [Contestant(str(f), f.resolve(), "weaver") for f in folders]
        for _ in range(options.slices):
            for entrant in entrants:
                for kind in CALLS:
                    entrant.slice(kind)
    finally:
        for entrant in entrants:
            entrant.process.kill()
            entrant.process.communicate()
    for kind in CALLS:
        print(f"{kind}, us of CPU per call")
        for entrant in entrants:
            values, echo = entrant.samples[kind], entrants[0].samples[kind]
            best, middle = min(values), statistics.median(values)
            print(
                f"  {entrant.label:40} best {best:6.1f} ({best / min(echo):.2f} of the echo)"
                f"  median {middle:6.1f} ({middle / statistics.median(echo):.2f})"
            )


if __name__ == "__main__":
    main()
