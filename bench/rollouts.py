"""Rollouts of the boutique under mixed load: requests, failures, answers of two versions at once.

Kept, idle, new and slow connections, GET and POST, WebSockets, all strict: a request without its
answer is a failure, whatever the reason. `--rollouts 100` is the long form. `--kill` ends the
manager, an ingress worker or a replica by SIGKILL now and then; then requests in flight in the
killed process may be lost, and are shown apart from nothing: judge the number.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "boutique" / "rollouts"))

from clients import Crowd  # noqa: E402 - beside this script

TOML = """
[app]
name = "rollouts"
entry = "boutique.front:Front"
stop_timeout = "5s"
[groups.front]
components = ["Front"]
replicas = 2
[groups.far]
components = ["Far"]
[groups.rest]
components = ["Ads", "Catalog", "Cart", "CartCache", "Checkout", "Currency", "Email", "Payment",
  "Recommendation", "Shipping", "Near"]
[listeners.http]
address = "127.0.0.1:{port}"
[rollout]
steps = ["20%", "60%", "100%"]
pause = "{pause}s"
keep_warm = "1s"
"""


class Shop:
    """The project that is deployed again and again, on directories of its own."""

    def __init__(self, folder: Path, pause: float) -> None:
        self.project = folder / "shop"
        example = HERE.parent / "examples" / "boutique"
        hidden = shutil.ignore_patterns("__pycache__", "*.egg-info", "weaver.toml", "tests")
        shutil.copytree(example, self.project, ignore=hidden)
        shutil.copy(HERE / "boutique" / "rollouts" / "front.py", self.project / "boutique")
        described = self.project / "pyproject.toml"
        text = described.read_text()
        assert "dependencies = [" in text
        extended = text.replace("dependencies = [", 'dependencies = ["websockets", ', 1)
        described.write_text(extended)  # with it, uvicorn speaks WebSocket
        self.port = random.randrange(20_000, 32_000)
        toml = TOML.format(port=self.port, pause=pause)
        (self.project / "weaver.toml").write_text(toml)
        (folder / "run").mkdir(mode=0o700)
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("WEAVER__")},
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
        }

    async def weaver(self, *words: str) -> None:
        """A command of weaver, which has to succeed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "weaver",
            *words,
            cwd=self.project,
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise SystemExit(f"weaver {' '.join(words)} failed:\n{said.decode()}")

    async def deploy(self, number: int) -> None:
        (self.project / "boutique" / "number.py").write_text(f"NUMBER = {number}\n")
        await self.weaver("deploy")

    def processes(self, word: str) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                mine = process.environ().get("XDG_RUNTIME_DIR") == self.env["XDG_RUNTIME_DIR"]
                if mine and word in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found


async def kill_now_and_then(shop: Shop) -> None:
    while True:
        await asyncio.sleep(random.uniform(1.0, 4.0))
        word = random.choice(["weaver.ingress.main", "zygote"])
        victims = shop.processes(word)
        if victims:
            victim = random.choice(victims)
            print(f"  kill -9 {victim.pid} ({word})", flush=True)
            victim.send_signal(signal.SIGKILL)


async def run(options: argparse.Namespace, folder: Path) -> bool:
    shop = Shop(folder, options.pause)
    await shop.deploy(0)
    began = time.monotonic()
    try:
        async with Crowd("127.0.0.1", shop.port, patient=options.kill) as crowd:
            killing = asyncio.create_task(kill_now_and_then(shop)) if options.kill else None
            tally = crowd.tally
            for number in range(1, options.rollouts + 1):
                await shop.deploy(number)
                failed, total = len(tally.failures), tally.answers.total()
                seconds = time.monotonic() - began
                print(f"{number:4} rollouts {seconds:7.1f} s {total:8} answers {failed} failed")
                sys.stdout.flush()
            if killing is not None:
                killing.cancel()
    finally:
        await shop.weaver("stop", "rollouts")
    for kind, count in sorted(tally.answers.items()):
        print(f"{kind:30} {count:8}")
    cuts = statistics.quantiles(tally.times, n=1000)
    print(
        f"p50 {cuts[499] * 1e3:.1f} ms, p99 {cuts[989] * 1e3:.1f} ms, p99.9 {cuts[998] * 1e3:.1f}"
    )
    print(f"failed {len(tally.failures)}, answered by two versions {len(tally.mixed)}")
    print(*tally.failures[:40], *tally.mixed[:10], sep="\n")
    return not tally.failures and not tally.mixed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=3)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds of each step")
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weaver-ro-") as folder:
        return 0 if asyncio.run(run(options, Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
