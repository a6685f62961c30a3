"""What loads the shop in the benchmark: how much the tasks ask for, and Locust as a driver."""

import asyncio
import json
import sys
from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "boutique"
DUE = {b"/setCurrency": b"302 Found", b"/cart": b"302 Found", b"/cart/checkout": b"200 OK"}


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))  # pyright: ignore[reportUnknownMemberType]


def test_each_task_makes_as_many_requests_as_the_rate_of_tasks_is_computed_from() -> None:
    shoppers: Any = import_module("shoppers")
    shopper = shoppers.Shopper(1, 1)
    made = {name: len(list(getattr(shopper, f"_{name}")(Random(1)))) for name in shoppers.WEIGHTS}
    assert made == shoppers.REQUESTS


class Shop:
    """Answers as the shop does, and counts."""

    def __init__(self) -> None:
        self.asked: Counter[bytes] = Counter()
        self.cookies: set[bytes] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_length_of(head))
                method, path = head.split(b" ", 2)[:2]
                self.asked[method + b" " + path] += 1
                self.cookies |= {s for s in head.split(b"\r\n") if s.lower().startswith(b"cookie")}
                status = DUE[path] if method == b"POST" else b"200 OK"
                writer.write(
                    b"HTTP/1.1 " + status + b"\r\nlocation: /\r\ncontent-length: 2\r\n"
                    b"set-cookie: shop_session-id=%d; Path=/\r\n\r\nok" % id(writer)
                )
        except asyncio.IncompleteReadError:
            writer.close()


def _length_of(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


@pytest.mark.skipif(not find_spec("locust"), reason="the dependency group bench is not installed")
async def test_locust_keeps_the_rate_and_reports_as_the_lean_driver_does() -> None:
    shop = Shop()
    server = await asyncio.start_server(shop.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(BENCH / "locust_load.py"), f"127.0.0.1:{port}", "--rate=80",
            "--warm=0.5", "--seconds=2", "--shoppers=8", stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 40)
    begin, report = out.decode().splitlines()
    found = json.loads(report)
    assert begin == "begin"
    assert (found["errors"], process.returncode) == (0, 0)
    assert 80 <= found["requests"] <= 240
    assert sum(found["statuses"].values()) == found["requests"]
    assert 0 < found["p50"] <= found["p99"] <= found["worst"]
    assert len(shop.cookies) == 8
    assert shop.asked[b"GET /"] > 8
    assert sum(n for asked, n in shop.asked.items() if b"/product/" in asked) > 20


def test_the_drivers_of_a_recording_are_told_and_shown_side_by_side() -> None:
    tables: Any = import_module("tables")
    phase = {
        "cpu_ms": 1.0, "p50_ms": 2.0, "p99_ms": 3.0, "per_second": 40.0, "noisy": False,
        "errors": 0, "requests": 100, "driver_ms": 0.5, "foreign_cores": 0.0,
    }  # fmt: skip
    run = {
        "system": "together",
        "rate": phase,
        "rate by locust": {**phase, "p50_ms": 7.0},
        "full": phase,
        "size": {"pss_mib": 10.0, "processes": 3},
    }
    recorded: dict[str, Any] = {
        "runs": [run],
        "settings": {
            "rate": 40.0, "rounds": 1, "seconds": 5.0, "shoppers": 16, "noise": 0.05,
            "drivers": ["lean", "locust"],
        },
        "machine": {
            "packages": {}, "taken": "", "processor": "", "cores": 2, "system": "", "python": "",
        },
    }  # fmt: skip
    row = tables.markdown(recorded).splitlines()[-1]
    assert row == "| weaver, together | 2.00 | 7.00 | 3.00 | 3.00 | 1.00 | 1.00 | 0.50 | 0.50 |"
    assert "by the driver lean and again by locust" in tables.about(recorded)


def test_rates_that_different_drivers_kept_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check: Any = import_module("check")
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(json.dumps({"runs": []}))  # of before there was a choice
    new.write_text(json.dumps({"runs": [], "settings": {"drivers": ["locust"]}}))
    monkeypatch.setattr(sys, "argv", ["check", "--recorded", str(old), "--latest", str(new)])
    with pytest.raises(SystemExit, match=r"not comparable.* lean then, and by locust now"):
        check.main()
