"""Rollouts of the boutique under mixed load: requests, failures, answers of two versions at once.

Kept, idle, new and slow connections, GET and POST, WebSockets, all strict: a request without its
answer is a failure, whatever the reason. One more version is taken back at the end, while the one
before is warm, and that is timed. `--rollouts 100` is the long form. `--kill` ends one
process by SIGKILL in each phase of each rollout, in turn the manager, an ingress worker, a replica
and the envelope of either version, and takes every other round of rollouts back: 12 rollouts kill
each role in each phase. Then requests in flight in the killed process may be lost; how many, is
told by phase and role.
"""

import argparse
import asyncio
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "boutique" / "rollouts"))

from clients import Crowd  # noqa: E402 - beside this script
from killing import ROLES, Killer  # noqa: E402

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

    async def weaver(self, *words: str, may_fail: bool = False) -> int:
        """A command of weaver, which has to succeed, or may fail; its exit code."""
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
        if process.returncode and not may_fail:
            raise SystemExit(f"weaver {' '.join(words)} failed:\n{said.decode()}")
        return process.returncode or 0

    async def deploy(self, number: int, *, may_fail: bool = False) -> int:
        (self.project / "boutique" / "number.py").write_text(f"NUMBER = {number}\n")
        return await self.weaver("deploy", may_fail=may_fail)

    async def roll_back(self, number: int) -> float:
        """Take a version back while the one before is warm; the seconds of the whole command."""
        described = self.project / "weaver.toml"
        described.write_text(described.read_text().replace('keep_warm = "1s"', 'keep_warm = "1h"'))
        await self.deploy(number)
        began = time.monotonic()
        await self.weaver("rollback")
        return time.monotonic() - began

    async def attach(self) -> None:
        """Have another manager take over."""
        await self.weaver("attach", "rollouts")


async def roll_out_and_kill(shop: Shop, killer: Killer, number: int) -> None:
    """One rollout, in each phase of which a process is killed."""
    back = bool((number - 1) // len(ROLES) % 2)
    killing = asyncio.create_task(killer.follow(number, back=back))
    try:
        await shop.deploy(number, may_fail=True)
        while len(killer.running()) > 1:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    finally:
        killing.cancel()
    print(f"  {number} {killer.result()}", flush=True)


async def run(options: argparse.Namespace, folder: Path) -> bool:
    shop = Shop(folder, options.pause)
    await shop.deploy(0)
    began = time.monotonic()
    try:
        async with Crowd("127.0.0.1", shop.port, patient=options.kill) as crowd:
            tally = crowd.tally
            killer = Killer(
                folder / "state/weaver/deployments/rollouts",
                shop.attach,
                lambda: len(tally.failures),
            )
            for number in range(1, options.rollouts + 1):
                if options.kill:
                    await roll_out_and_kill(shop, killer, number)
                else:
                    await shop.deploy(number)
                failed, total = len(tally.failures), tally.answers.total()
                seconds = time.monotonic() - began
                print(f"{number:4} rollouts {seconds:7.1f} s {total:8} answers {failed} failed")
                sys.stdout.flush()
            if not options.kill:
                took = await shop.roll_back(options.rollouts + 1)
                print(f"rolled back while the version before was warm: {took:.2f} s")
    finally:
        await shop.weaver("stop", "rollouts")
    for line in killer.lines():
        print(line)
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
