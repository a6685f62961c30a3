"""A script whose first call starts the application in a thread of its process."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio
import weaver

@weaver.component
class Stock:
    async def start(self) -> None:
        self.task = asyncio.create_task(self.wait())

    async def wait(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            print("task ended", flush=True)

    async def stop(self) -> None:
        print("stopped", flush=True)

    async def count(self, item: str) -> int:
        return len(item)

    def plain(self, item: str) -> int:
        return len(item)

stock = weaver.use(Stock)
print(weaver.wait(stock.count("mug")), stock.plain("cups"), flush=True)
"""


def test_the_application_ends_in_order_and_in_silence_with_the_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stderr == ""
    assert (done.stdout, done.returncode) == ("3 4\nstopped\ntask ended\n", 0)
