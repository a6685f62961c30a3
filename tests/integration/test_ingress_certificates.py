"""TLS that ends at an ingress worker, and a certificate that is renewed while it serves."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import shown_certificates as certificates
from ingress_parts import Replica, read_answer, replicas, table_of
from ingress_workers import Led

from weaver.control.ingress import NotTaken, ReloadCertificate, Serving
from weaver.transport.listening import bind

GET = b"GET /headers HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with replicas(tmp_path_factory.mktemp("ingress"), "one") as made:
        yield made[0]


async def shown_on(port: int, name: str) -> bool:
    """Whether new connections show `name`."""
    return await asyncio.to_thread(certificates.shown, port) == name


async def test_new_connections_get_the_new_certificate_and_open_ones_go_on(
    tmp_path: Path, one: Replica
) -> None:
    chain, key = certificates.write(tmp_path, "first")
    with bind("127.0.0.1:0") as listening:
        port: int = listening.getsockname()[1]
        worker = Led(listening, certificate=str(chain), key=str(key))
        try:
            await worker.say(table_of(1, v1=(1, [one])))
            await worker.hear(Serving)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=certificates.trusting()
            )
            writer.write(GET)
            assert b"x-forwarded-proto: https" in (await read_answer(reader))[1]
            assert await shown_on(port, "first")

            certificates.write(tmp_path, "second")
            await worker.say(ReloadCertificate())
            async with asyncio.timeout(20):
                while not await shown_on(port, "second"):
                    await asyncio.sleep(0.01)
            writer.write(GET)
            await read_answer(reader)
            session: ssl.SSLObject = writer.get_extra_info("ssl_object")
            assert certificates.name_in(session.getpeercert(binary_form=True)) == "first"

            chain.write_text("no certificate")
            await worker.say(ReloadCertificate())
            fault = (await worker.hear(NotTaken)).fault
            assert "certificate" in fault.what
            assert str(chain) in fault.where
            assert await shown_on(port, "second")

            certificates.write(tmp_path, "third")  # which nobody tells: the files are watched
            async with asyncio.timeout(20):
                while not await shown_on(port, "third"):
                    await asyncio.sleep(0.05)
            writer.write(GET)
            await read_answer(reader)
            writer.close()
        finally:
            worker.close()


async def test_a_worker_whose_certificate_cannot_be_used_says_why_and_ends(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    chain, key = certificates.write(tmp_path, "first")
    key.write_text("no key")
    with bind("127.0.0.1:0") as listening:
        worker = Led(listening, certificate=str(chain), key=str(key))
        try:
            assert await worker.ended() == 1
        finally:
            worker.close()
    said = capfd.readouterr().err
    assert str(key) in said
    assert "Traceback" not in said
