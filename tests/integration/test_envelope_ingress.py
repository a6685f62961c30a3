"""The ingress that an envelope runs for a listener: its workers, whatever becomes of them."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import psutil
from moving_parts import Client
from versions_side_by_side import Version, version

from weaver.control.ingress import Backend, Counts, Table, VersionShare
from weaver.control.messages import End, ListenerHeld, RegisterReplica
from weaver.control.traffic import IngressOrder, IngressReport, Traffic


def report_of(one: Version) -> IngressReport:
    reports = one.manager.all(IngressReport)
    return reports[-1] if reports else IngressReport("")


async def until_serving(one: Version, serving: int, draining: int = 0) -> None:
    def as_wanted() -> bool:
        report = report_of(one)
        return (report.serving, report.draining) == (serving, draining)

    await one.manager.until(as_wanted, 30)


async def table_of(one: Version, number: int) -> Table:
    await one.manager.until(lambda: bool(one.manager.said(RegisterReplica)), 30)
    serving = one.manager.said(RegisterReplica)[-1].serving
    return Table(number, (VersionShare(one.name, 1, (Backend("r", serving["http"]),)),))


def proxied(table: Table, workers: int = 2, *, accepting: bool = False) -> Traffic:
    return Traffic(accepting, {"http": IngressOrder(table, workers=workers)})


def workers_of(one: Version) -> list[int]:
    found: list[int] = []
    for child in psutil.Process(one.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just been killed
            if "weaver.ingress.main" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found


def port_of(one: Version) -> int:
    return int(one.manager.all(ListenerHeld)[-1].address.rpartition(":")[2])


def requests(counts: Counts) -> int:
    return sum(each.requests for each in counts.versions)


async def until_asked(one: Version, count: int) -> None:
    await one.manager.until(lambda: requests(report_of(one).counts) >= count, 30)


async def test_an_ingress_comes_and_goes_and_clients_notice_nothing(tmp_path: Path) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic())
        table = await table_of(one, 1)
        done = asyncio.Event()
        asked = 0

        async def keep_asking(path: str) -> None:
            nonlocal asked
            client = await Client.open(port_of(one))
            while not done.is_set():
                client.send(path)
                await client.receive()
                asked += 1
            client.close()

        async def connect_anew() -> None:
            while not done.is_set():
                client = await Client.open(port_of(one))
                client.send()
                await client.receive()
                client.close()

        async with asyncio.TaskGroup() as group:
            for path in ("/", "/", "/slow"):
                group.create_task(keep_asking(path))
            group.create_task(connect_anew())
            for turn in range(2):
                one.order("127.0.0.1:0", proxied(table, accepting=True))
                await until_serving(one, 2)
                one.order("127.0.0.1:0", proxied(table))
                before = requests(report_of(one).counts)
                await until_asked(one, before + 100)
                one.order("127.0.0.1:0", Traffic())
                await until_serving(one, 0)
                assert workers_of(one) == []
                before = asked
                async with asyncio.timeout(20):
                    while asked < before + 100:
                        await asyncio.sleep(0.01)
                assert turn < 2
            done.set()


async def test_a_worker_that_dies_is_replaced_and_what_it_has_counted_is_kept(
    tmp_path: Path,
) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic(accepting=False))
        table = await table_of(one, 1)
        one.order("127.0.0.1:0", proxied(table, workers=1))
        await until_serving(one, 1)
        for _ in range(5):
            client = await Client.open(port_of(one))
            client.send()
            await client.receive()
            client.close()
        await one.manager.until(lambda: requests(report_of(one).counts) == 5)
        (pid,) = workers_of(one)
        os.kill(pid, signal.SIGKILL)
        await until_serving(one, 0)
        client = await Client.open(port_of(one))  # waits in the queue
        client.send()
        await client.receive()
        client.close()
        assert workers_of(one) != [pid]
        await one.manager.until(lambda: requests(report_of(one).counts) == 6)


async def test_more_and_fewer_workers(tmp_path: Path) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic(accepting=False))
        table = await table_of(one, 1)
        one.order("127.0.0.1:0", proxied(table, workers=1))
        await until_serving(one, 1)
        first = workers_of(one)
        one.order("127.0.0.1:0", proxied(table, workers=3))
        await until_serving(one, 3)
        assert set(first) < set(workers_of(one))
        one.order("127.0.0.1:0", proxied(table, workers=1))
        await until_serving(one, 1)
        assert workers_of(one) == first
        newer = await table_of(one, 7)
        one.order("127.0.0.1:0", proxied(newer, workers=1))
        await one.manager.until(lambda: report_of(one).counts.number == 7)
        assert workers_of(one) == first
        cores = IngressOrder(newer, workers=1, most_workers=2)
        one.order("127.0.0.1:0", Traffic(accepting=False, ingress={"http": cores}))
        await until_serving(one, min(2, len(os.sched_getaffinity(0))))
        assert set(first) <= set(workers_of(one))


async def test_no_worker_outlives_its_envelope(tmp_path: Path) -> None:
    for number in (signal.SIGKILL, signal.SIGTERM):
        async with version(f"by-{number.name.lower()}", tmp_path) as one:
            one.order("127.0.0.1:0", Traffic(accepting=False))
            one.order("127.0.0.1:0", proxied(await table_of(one, 1)))
            await until_serving(one, 2)
            workers = [psutil.Process(pid) for pid in workers_of(one)]
            one.process.send_signal(number)
            _, alive = await asyncio.to_thread(psutil.wait_procs, workers, 20)
            assert not alive


async def test_the_end_of_a_deployment_ends_its_ingress_in_order(tmp_path: Path) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic(accepting=False))
        one.order("127.0.0.1:0", proxied(await table_of(one, 1)))
        await until_serving(one, 2)
        client = await Client.open(port_of(one))
        client.send("/slow")
        await asyncio.sleep(0.1)
        one.manager.send(End())
        await asyncio.wait_for(client.reader.readuntil(b" http 0"), 20)
        client.close()
        await one.manager.until_closed(20)


async def test_a_worker_that_hangs_does_not_keep_a_deployment_from_ending(tmp_path: Path) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic(accepting=False), stop_timeout=0.5)
        one.order("127.0.0.1:0", proxied(await table_of(one, 1)), stop_timeout=0.5)
        await until_serving(one, 2)
        workers = [psutil.Process(pid) for pid in workers_of(one)]
        workers[0].suspend()
        one.manager.send(End())
        await one.manager.until_closed(20)
        _, alive = await asyncio.to_thread(psutil.wait_procs, workers, 20)
        assert not alive


async def test_a_worker_that_cannot_start_is_tried_again_less_and_less_often(
    tmp_path: Path,
) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic())
        order = IngressOrder(await table_of(one, 1), certificate="/nowhere.pem", key="/nowhere.pem")
        one.order("127.0.0.1:0", Traffic(ingress={"http": order}))

        def failures() -> int:
            return sum("has ended: exit code 1" in r.message for r in one.manager.records())

        await one.manager.until(lambda: failures() >= 3, 30)
        assert report_of(one).serving == 0
        assert any("nowhere.pem" in record.message for record in one.manager.records())
        one.order("127.0.0.1:0", proxied(await table_of(one, 2), workers=1))
        await until_serving(one, 1)


async def test_clients_lose_only_what_a_killed_worker_had_in_flight(tmp_path: Path) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic(accepting=False))
        one.order("127.0.0.1:0", proxied(await table_of(one, 1)))
        await until_serving(one, 2)
        answered, lost, done = 0, 0, asyncio.Event()

        async def connect_anew() -> None:
            nonlocal answered, lost
            while not done.is_set():
                client = await Client.open(port_of(one))  # nobody is ever refused
                try:
                    client.send()
                    await client.receive()
                    answered += 1
                except (ConnectionError, asyncio.IncompleteReadError):
                    lost += 1
                client.close()

        clients = 4
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(connect_anew())
            for _ in range(3):
                before = answered
                os.kill(workers_of(one)[0], signal.SIGKILL)
                async with asyncio.timeout(20):
                    while answered < before + 50:
                        await asyncio.sleep(0.01)
                await until_serving(one, 2)
            done.set()
        assert lost <= 3 * clients
