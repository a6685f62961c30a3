"""A real HAProxy, configured as the documentation says, driven over its runtime socket."""

import asyncio
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from ingress_parts import Replica, replicas, table_of
from ingress_workers import Led

from weaver.control.ingress import (
    Counts,
    Drain,
    Drained,
    Failures,
    NotTaken,
    Pinning,
    Report,
    Serving,
)
from weaver.ingress.haproxy import Settings

PROGRAM = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "haproxy.md"

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="haproxy is not installed")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    with replicas(tmp_path_factory.mktemp("ingress"), "one", "two") as made:
        yield made


class HAProxy:
    """HAProxy with the configuration of the page, but for its paths and its port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port: int = sock.getsockname()[1]
        (found,) = re.findall(r"```haproxy\n(.*?)```", PAGE.read_text(), re.DOTALL)
        text = str(found).replace("127.0.0.1:8080", f"127.0.0.1:{port}")
        text = text.replace("/etc/haproxy", str(folder)).replace("/run/haproxy", str(folder))
        config = folder / "haproxy.cfg"
        config.write_text(text.replace(" user weaver", ""))
        for kind in ("weights", "pins"):
            (folder / f"weaver.{kind}.map").touch()
        self.url = f"http://127.0.0.1:{port}"
        self.socket = str(folder / "weaver.sock")
        self._command = [str(PROGRAM), "-db", "-f", str(config)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(30)


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[HAProxy]:
    running = HAProxy(tmp_path)
    yield running
    running.stop()


class Driven(Led):
    """A driver process, and this end of its control socket."""

    def command(self, control: int) -> list[str]:
        said = msgspec.json.encode(Settings(control, self.runtime, report=0.1)).decode()
        return [sys.executable, "-m", "weaver.ingress.haproxy", said]

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self.begin(())


@pytest.fixture
def driver(haproxy: HAProxy) -> Iterator[Driven]:
    driven = Driven(haproxy.socket)
    yield driven
    driven.close()


async def asked(url: str, count: int, **headers: str) -> Counter[str]:
    """Who answers so many requests on one connection."""
    seen: Counter[str] = Counter()
    async with httpx.AsyncClient(headers=headers) as client:
        for _ in range(count):
            seen[(await client.get(url)).text] += 1
    return seen


async def answers_are(url: str, count: int, expected: set[str]) -> None:
    """Wait until only these replicas answer."""
    async with asyncio.timeout(30):
        while set(await asked(url, count)) != expected:
            await asyncio.sleep(0.05)


async def test_weights_hold_and_versions_are_counted(
    haproxy: HAProxy, driver: Driven, pair: list[Replica]
) -> None:
    one, two = pair
    await driver.say(table_of(1, v1=(1, [one])))
    assert (await driver.hear(Serving)).pid == driver.process.pid
    await answers_are(haproxy.url, 5, {"one"})
    await driver.say(table_of(2, v1=(90, [one]), v2=(10, [two])))
    await answers_are(haproxy.url, 40, {"one", "two"})
    seen = await asked(haproxy.url, 1000)
    assert abs(seen["two"] - 100) <= 10, "one percentage point of 1,000"
    async with httpx.AsyncClient() as client:
        assert (await client.get(haproxy.url + "/broken")).status_code == 500
    async with asyncio.timeout(30):
        while True:
            await driver.say(Report())
            failures = (await driver.hear(Failures)).requests
            counts = {v.version: v for v in (await driver.hear(Counts)).versions}
            if failures:
                break
    assert failures[0].status == 500
    assert sum(v.errors for v in counts.values()) == 1
    assert counts["v2"].requests >= 90
    await driver.say(table_of(3, v2=(1, [two])))
    await answers_are(haproxy.url, 20, {"two"})
    await driver.say(Drain())
    assert await driver.hear(Drained) == Drained(0)
    assert await driver.ended() == 0
    assert await asked(haproxy.url, 5) == {"two": 5}, "it goes on as it was told last"


async def test_cookies_and_headers_pin(
    haproxy: HAProxy, driver: Driven, pair: list[Replica]
) -> None:
    one, two = pair
    pins = Pinning(cookie="weaver", secret=b"s", header="X-Weaver-Version")
    await driver.say(table_of(1, pins, v1=(1, [one]), v2=(1, [two])))
    await driver.hear(Serving)
    await answers_are(haproxy.url, 1, {"one"})
    async with httpx.AsyncClient() as client:
        assert len({(await client.get(haproxy.url)).text for _ in range(10)}) == 1
    first = httpx.Response(200)
    async with httpx.AsyncClient() as client:
        first = await client.get(haproxy.url)
        assert "HttpOnly" in first.headers["set-cookie"]
    assert set(await asked(haproxy.url, 20, Cookie="weaver=v2.forged")) == {"one", "two"}
    await driver.say(table_of(2, pins, v1=(1, [one]), v2=(0, [two])))
    await answers_are(haproxy.url, 20, {"one"})
    assert await asked(haproxy.url, 5, **{"X-Weaver-Version": "v2"}) == {"two": 5}


async def test_what_is_missing_is_said_and_a_haproxy_that_begins_anew_is_told_again(
    tmp_path: Path, pair: list[Replica]
) -> None:
    driver = Driven(str(tmp_path / "weaver.sock"))
    try:
        await driver.say(table_of(1, v1=(1, pair[:1])))
        fault = (await driver.hear(NotTaken)).fault
        assert "cannot be asked" in fault.what
        assert fault.where == str(tmp_path / "weaver.sock")
        haproxy = HAProxy(tmp_path)
        try:
            await driver.hear(Serving)
            await answers_are(haproxy.url, 5, {"one"})
            haproxy.stop()
            haproxy.start()
            async with asyncio.timeout(30):
                while True:
                    try:
                        if await asked(haproxy.url, 5) == {"one": 5}:
                            break
                    except httpx.ConnectError:
                        pass
                    await asyncio.sleep(0.05)
        finally:
            haproxy.stop()
    finally:
        driver.close()


async def test_a_configuration_without_our_backends_is_said(tmp_path: Path) -> None:
    haproxy = HAProxy(tmp_path)
    driver = Driven(haproxy.socket + "#shop")
    try:
        await driver.say(table_of(1))
        async with asyncio.timeout(30):
            while "has no map shop.weights.map" not in (await driver.hear(NotTaken)).fault.what:
                pass
    finally:
        driver.close()
        haproxy.stop()
