"""A replica that is stopped keeps its connections and says nothing: no error tells of it."""

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path

import httpx
from ingress_parts import Running, proxying, replicas, table_of

from weaver.ingress.probing import is_alive
from weaver.ingress.upstream import Pool


async def asked(proxy: Running, count: int) -> Counter[str]:
    """Who answers `count` requests, one after the other on a new connection."""
    seen: Counter[str] = Counter()
    async with httpx.AsyncClient(timeout=30) as client:
        for _ in range(count):
            seen[(await client.get(proxy.url)).text] += 1
    return seen


async def test_a_stopped_replica_gets_no_requests_until_it_goes_on(tmp_path: Path) -> None:
    with replicas(tmp_path, "one", "two") as (one, two):
        async with proxying(table_of(v1=(1, [one, two]))) as proxy:
            assert set(await asked(proxy, 20)) == {"one", "two"}
            one.process.send_signal(signal.SIGSTOP)
            try:
                stuck = [asyncio.create_task(asked(proxy, 1)) for _ in range(6)]
                async with asyncio.timeout(20):
                    while sum(task.done() for task in stuck) < 3:
                        await asyncio.sleep(0.01)
                started = time.monotonic()
                seen = await asked(proxy, 1)  # may meet the stopped one, and then waits for it
                assert seen == {"two": 1}
                async with asyncio.timeout(20):
                    while await asked(proxy, 30) != {"two": 30}:
                        pass
                assert time.monotonic() - started < 20
            finally:
                one.process.send_signal(signal.SIGCONT)
            answered = [await asyncio.wait_for(task, 20) for task in stuck]
            assert sum(seen.total() for seen in answered) == 6, "what was asked of it was answered"
            async with asyncio.timeout(20):
                while set(await asked(proxy, 10)) != {"one", "two"}:
                    pass
            assert proxy.counts()["v1"][1] == 0


async def test_throughput_goes_on_while_one_of_two_is_stopped(tmp_path: Path) -> None:
    with replicas(tmp_path, "one", "two") as (one, two):
        async with proxying(table_of(v1=(1, [one, two]))) as proxy:
            done, stop = 0, asyncio.Event()

            async def ask() -> None:
                nonlocal done
                async with httpx.AsyncClient(timeout=30) as client:
                    while not stop.is_set():
                        assert (await client.get(proxy.url)).status_code == 200
                        done += 1

            async with asyncio.TaskGroup() as clients:
                for _ in range(8):
                    clients.create_task(ask())
                await asyncio.sleep(1)
                before, done = done, 0
                one.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(1.5)
                during = done
                one.process.send_signal(signal.SIGCONT)
                stop.set()
            assert during / 1.5 > 0.25 * before, "half of the capacity is gone, and no more"


async def test_a_long_answer_is_no_reason(tmp_path: Path) -> None:
    with replicas(tmp_path, "one", "two") as (one, two):
        async with (
            proxying(table_of(v1=(1, [one, two]))) as proxy,
            httpx.AsyncClient(timeout=30) as client,
        ):
            waiting = [asyncio.create_task(client.get(proxy.url + "/wait")) for _ in range(2)]
            until = time.monotonic() + 1.0
            seen: Counter[str] = Counter()
            while time.monotonic() < until:  # ten times as long as silence is tolerated
                seen += await asked(proxy, 10)
            assert set(seen) == {"one", "two"}
            one.gone.touch()
            two.gone.touch()
            assert {(await task).status_code for task in waiting} == {200}


async def test_a_probe_tells_whether_anybody_answers(tmp_path: Path) -> None:
    with replicas(tmp_path, "one") as (one,):
        pool = Pool(f"unix:{one.path}", 1)
        assert await is_alive(pool, 20)
        one.process.send_signal(signal.SIGSTOP)
        assert not await is_alive(pool, 0.1)
        one.process.send_signal(signal.SIGCONT)
        assert await is_alive(pool, 20)
        one.kill()
        assert not await is_alive(pool, 20)
