"""`[listeners.X] tls`: HTTPS from replicas, with certificates that change while they serve."""

import asyncio
import logging
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from moving_parts import Client
from shown_certificates import shown, trusting, write
from versions_side_by_side import CODE, version

from weaver.control.messages import ListenerHeld, RegisterReplica
from weaver.control.traffic import Traffic
from weaver.errors import ListenerError
from weaver.transport.certificate import Certificate

TLS = '[listeners.http.tls]\ncert = "cert.pem"\nkey = "key.pem"\n'


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)


async def test_replicas_speak_tls_and_ask_clients_to_connect_anew_when_they_stop_accepting(
    tmp_path: Path,
) -> None:
    async with version("one", tmp_path) as one:
        write(one.folder, "first")
        one.order("127.0.0.1:0", Traffic(), config=TLS)
        await one.manager.until(lambda: bool(one.manager.said(RegisterReplica)), 30)
        port = int(one.manager.all(ListenerHeld)[-1].address.rpartition(":")[2])
        client = Client(*await asyncio.open_connection("127.0.0.1", port, ssl=trusting()))
        assert (await client.ask()).scheme == "https"
        write(one.folder, "second")
        await until(lambda: shown(port) == "second")
        assert (await client.ask()).scheme == "https"  # with the certificate it began with
        one.order("127.0.0.1:0", Traffic(accepting=False), config=TLS)

        async def asked_to_leave() -> bool:
            client.send()
            head = await client.reader.readuntil(b"\r\n\r\n")
            return b"connection: close" in head.lower() or not await client.reader.readuntil(b" 0")

        async with asyncio.timeout(20):
            while not await asked_to_leave():
                await asyncio.sleep(0.01)
        assert (await client.reader.read()).endswith(b" 0")
        client.close()


@pytest.mark.parametrize("command", ["run", "multi run"])
def test_an_application_in_the_foreground_speaks_tls(tmp_path: Path, command: str) -> None:
    (tmp_path / "twosided.py").write_text(CODE)
    (tmp_path / "weaver.toml").write_text(f'[app]\nname = "two"\nentry = "twosided:Web"\n{TLS}')
    write(tmp_path, "mine")
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-m", "weaver", *command.split()],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            said: list[str] = []
            for line in process.stdout:
                said.append(line)
                if "listener http" in line:
                    break
            else:
                pytest.fail("".join(said))
            assert "https://" in line
            assert shown(int(line.rpartition(":")[2].split()[0])) == "mine"
        finally:
            process.terminate()
            process.stdout.read()


def test_what_cannot_be_used_replaces_nothing(tmp_path: Path) -> None:
    chain, key = write(tmp_path, "first")
    certificate = Certificate(chain, key)
    good = key.read_bytes()
    assert not certificate.refresh()
    key.write_bytes(b"")
    with pytest.raises(ListenerError, match="cannot be used"):
        certificate.refresh()
    assert not certificate.refresh()  # said once
    write(tmp_path, "second")  # the key of another certificate, then its own
    other = key.read_bytes()
    key.write_bytes(good)
    with pytest.raises(ListenerError, match="cannot be used"):
        certificate.refresh()
    key.unlink()
    with pytest.raises(ListenerError, match="cannot be read"):
        certificate.refresh()
    key.write_bytes(other)
    assert certificate.refresh()


def test_a_key_with_a_password_asks_nobody(tmp_path: Path) -> None:
    chain, key = write(tmp_path, "secret", password=b"word")
    with pytest.raises(ListenerError, match="cannot be used") as caught:
        Certificate(chain, key)
    assert "protected by a password" in str(caught.value)


async def test_files_are_watched_and_trouble_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("weaver.transport.certificate.EVERY", 0.001)
    caplog.set_level(logging.INFO)
    chain, key = write(tmp_path, "first")
    certificate = Certificate(chain, key)
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context
    )
    port = server.sockets[0].getsockname()[1]
    certificate.watch()
    certificate.watch()
    assert await asyncio.to_thread(shown, port) == "first"
    key.write_bytes(b"no key")
    await until(lambda: "the former certificate stays in use" in caplog.text)
    assert await asyncio.to_thread(shown, port) == "first"
    assert caplog.text.count("the former certificate stays in use") == 1
    write(tmp_path, "second")
    await until(lambda: shown(port) == "second")
    certificate.close()
    server.close()
    await server.wait_closed()


def test_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    context = Certificate(*write(tmp_path, "one")).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
