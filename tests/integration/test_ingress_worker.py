"""Worker processes of the ingress on one inherited socket, led over their control sockets."""

import asyncio
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from ingress_parts import Replica, replicas, table_of
from ingress_workers import Led

from weaver.control.ingress import (
    Backend,
    Counts,
    Drain,
    Drained,
    FailedRequest,
    Failures,
    NotTaken,
    Pinning,
    Report,
    Serving,
    Table,
    VersionShare,
)
from weaver.transport.listening import bind


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    with replicas(tmp_path_factory.mktemp("ingress"), "one", "two") as made:
        yield made


@asynccontextmanager
async def leading(
    count: int, table: Table, **settings: float | str
) -> AsyncGenerator[tuple[list[Led], str]]:
    with bind("127.0.0.1:0") as listening:
        led = [Led(listening, None, **settings) for _ in range(count)]
        try:
            for worker in led:
                await worker.say(table)
            for worker in led:
                assert (await worker.hear(Serving)).pid == worker.process.pid
            yield led, f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            for worker in led:
                worker.close()


async def test_the_newest_table_of_those_that_come_before_it_serves_counts(
    pair: list[Replica],
) -> None:
    one, two = pair
    with bind("127.0.0.1:0") as listening:
        worker = Led(listening)
        try:
            await worker.say(table_of(1, old=(1, [one]), new=(0, [two])))
            await worker.say(table_of(3, old=(0, [one]), new=(1, [two])))
            await worker.say(table_of(2, old=(1, [one]), new=(0, [two])))
            await worker.hear(Serving)
            await worker.say(Report())
            assert (await worker.hear(Counts)).number == 3
            async with httpx.AsyncClient() as client:
                url = f"http://127.0.0.1:{listening.getsockname()[1]}"
                assert (await client.get(url)).text == "two"
        finally:
            worker.close()


async def test_a_table_counts_from_the_next_request_and_is_reported(pair: list[Replica]) -> None:
    one, two = pair
    async with leading(1, table_of(1, old=(1, [one]), new=(0, [two]))) as ((worker,), url):
        async with httpx.AsyncClient() as client:
            assert [(await client.get(url)).text for _ in range(5)] == ["one"] * 5
            await worker.say(table_of(2, old=(0, [one]), new=(1, [two])))
            await worker.say(Report())
            assert (await worker.hear(Counts)).number == 2
            assert [(await client.get(url)).text for _ in range(5)] == ["two"] * 5
            assert (await client.get(url + "/broken")).status_code == 500
        await worker.say(Report())
        counts = await worker.hear(Counts)
        found = {v.version: (v.requests, v.errors, sum(v.histogram)) for v in counts.versions}
        assert found == {"old": (5, 0, 5), "new": (6, 1, 6)}


async def test_requests_that_fail_are_told_with_the_next_report_and_the_first_ones_of_many(
    pair: list[Replica], tmp_path: Path
) -> None:
    one, _ = pair
    dead = VersionShare("gone", 0, (Backend("nobody", f"unix:{tmp_path}/nobody"),))
    pins = Pinning(header="x-version", trusted=("127.0.0.0/8",))
    table = table_of(1, pins, old=(1, [one]))
    table = msgspec.structs.replace(table, shares=(*table.shares, dead))
    async with (
        leading(1, table) as ((worker,), url),
        httpx.AsyncClient(base_url=url) as client,
    ):
        started = time.time()
        for i in range(25):
            assert (await client.post(f"/broken?secret={i}")).status_code == 500
        assert (await client.get("/", headers={"X-Version": "gone"})).status_code == 502
        assert (await client.get("/early")).status_code == 413, "which is the client's own fault"
        await worker.say(Report())
        *failures, refused = (await worker.hear(Failures)).requests
        assert len(failures) == 20
        assert {msgspec.structs.replace(f, time=0.0) for f in failures} == {
            FailedRequest("old", 0.0, "POST", "/broken", 500, "one")
        }
        assert all(started - 1 <= f.time <= time.time() for f in failures)
        assert (refused.version, refused.method, refused.path) == ("gone", "GET", "/")
        assert (refused.status, refused.backend, refused.why) == (
            502, "nobody", "no replica can be reached",
        )  # fmt: skip
        assert (await client.get("/broken")).status_code == 500
        await worker.say(Report())
        assert len((await worker.hear(Failures)).requests) == 1, "each is told once"


async def test_a_table_that_is_wrong_is_answered_and_changes_nothing(pair: list[Replica]) -> None:
    async with leading(1, table_of(1, old=(1, pair[:1]))) as ((worker,), url):
        await worker.say(Table(2, (VersionShare("new", -1, (Backend("x", "unix:/x"),)),)))
        fault = (await worker.hear(NotTaken)).fault
        assert "table 2" in fault.what
        assert "negative" in fault.why
        async with httpx.AsyncClient() as client:
            assert (await client.get(url)).text == "one"


async def test_a_drained_worker_says_so_and_ends(pair: list[Replica]) -> None:
    async with leading(1, table_of(1, v1=(1, pair[:1]))) as ((worker,), url):
        async with httpx.AsyncClient() as client:
            assert (await client.get(url)).text == "one"
        await worker.say(Drain(10))
        assert (await worker.hear(Counts)).versions[0].requests == 1
        assert await worker.hear(Drained) == Drained(0)
        assert await worker.ended() == 0


async def test_sigterm_and_the_end_of_the_control_socket_drain_too(pair: list[Replica]) -> None:
    async with leading(2, table_of(1, v1=(1, pair[:1])), grace=5.0) as ((first, second), _):
        first.process.send_signal(signal.SIGTERM)
        assert await first.hear(Drained) == Drained(0)
        assert await first.ended() == 0
        second.control.close()
        assert await second.ended() == 0


async def test_a_worker_without_a_table_ends(pair: list[Replica]) -> None:
    with bind("127.0.0.1:0") as listening:
        worker = Led(listening, patience=0.1)
        try:
            assert await worker.ended() == 1
        finally:
            worker.close()


async def test_nonsense_on_the_control_socket_drains_the_worker(pair: list[Replica]) -> None:
    async with leading(1, table_of(1, v1=(1, pair[:1])), grace=1.0) as ((worker,), _):
        await asyncio.get_running_loop().sock_sendall(worker.control, b"\xff" * 100)
        assert await worker.ended() == 0


async def test_a_killed_worker_loses_no_connection_that_it_had_not_accepted(
    pair: list[Replica],
) -> None:
    async with leading(2, table_of(1, v1=(1, pair))) as ((first, second), url):
        first.process.kill()
        await first.ended()
        async with httpx.AsyncClient(headers={"Connection": "close"}) as client:
            for _ in range(20):
                assert (await client.get(url)).status_code == 200
        await second.say(Report())
        assert (await second.hear(Counts)).versions[0].requests == 20


async def test_a_replica_killed_under_load_costs_at_most_what_was_in_flight(
    tmp_path: Path, pair: list[Replica]
) -> None:
    clients, failed, done = 4, 0, 0
    with replicas(tmp_path, "victim") as (victim,):
        async with leading(1, table_of(1, v1=(1, [*pair, victim]))) as (_, url):
            killed = asyncio.Event()

            async def ask() -> None:
                nonlocal failed, done
                async with httpx.AsyncClient() as client:
                    rest = 60
                    while rest:
                        try:
                            answer = await client.post(url + "/size", content=b"x" * 100)
                            failed += answer.status_code != 200
                        except httpx.RemoteProtocolError:  # killed between head and body
                            failed += 1
                        done += 1
                        rest -= killed.is_set()
                        if done == 60:
                            victim.kill()
                            killed.set()

            await asyncio.gather(*(ask() for _ in range(clients)))
    assert done >= 60 * clients
    assert failed <= clients


async def test_tls_may_end_at_the_worker(tmp_path: Path, pair: list[Replica]) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    await asyncio.to_thread(
        subprocess.run,
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    trust = ssl.create_default_context(cafile=str(certificate))
    table = table_of(1, v1=(1, pair[:1]))
    async with (
        leading(1, table, certificate=str(certificate), key=str(key)) as (_, url),
        httpx.AsyncClient(verify=trust) as client,
    ):
        answer = await client.get(url.replace("http", "https") + "/headers")
        assert "x-forwarded-proto: https" in answer.text
