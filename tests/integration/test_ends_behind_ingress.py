"""Replicas behind an ingress end after it: whoever is admitted while it drains has an answer."""

import asyncio
from pathlib import Path

import pytest
from moving_parts import Client
from test_envelope_ingress import port_of, proxied, report_of, requests, table_of, until_serving
from versions_side_by_side import Version, version

from weaver.control.messages import End
from weaver.control.traffic import Traffic

DEADLINE = 30.0


class Users:
    """Clients that ask until nobody serves any more. Answers are what they were told."""

    def __init__(self, port: int) -> None:
        self.answers: list[bytes] = []
        self.over = False
        self._port = port

    async def ask(self, path: str, *, keep: bool) -> None:
        client: Client | None = None
        while not self.over:
            try:
                client = client or await Client.open(self._port)
                client.send(path)
                async with asyncio.timeout(DEADLINE):
                    head = (await client.reader.readuntil(b"\r\n\r\n")).lower()
                    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                    await client.reader.readexactly(length)
            except ConnectionRefusedError:
                self.over = True  # nobody listens; who was let in has had an answer
                break
            self.answers.append(head.split(b"\r\n")[0])
            if not keep or b"connection: close" in head:
                client.close()
                client = None
        if client is not None:
            client.close()


async def until_asked(one: Version, count: int) -> None:
    await one.manager.until(lambda: requests(report_of(one).counts) >= count, DEADLINE)


@pytest.mark.parametrize("how", ["the version ends", "its replicas do"])
async def test_no_request_is_failed_by_the_end_of_what_stands_before_users(
    tmp_path: Path, how: str
) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic(accepting=False), replicas=2)
        traffic = proxied(await table_of(one, 1))
        one.order("127.0.0.1:0", traffic, replicas=2)
        await until_serving(one, 2)
        users = Users(port_of(one))
        idle = await Client.open(port_of(one))
        idle.send()
        await idle.receive()
        async with asyncio.TaskGroup() as group:
            for path, keep in [("/", True), ("/", False), ("/slow", True), ("/slow", False)] * 2:
                group.create_task(users.ask(path, keep=keep))
            await until_asked(one, 50)
            if how == "the version ends":
                one.manager.send(End())
            else:
                one.order("127.0.0.1:0", traffic, replicas=0)
            await one.manager.until(lambda: report_of(one).serving == 0, DEADLINE)
            await asyncio.sleep(
                0.6
            )  # within what idle connections have, and beyond what replicas need
            idle.send()
            assert await idle.reader.readuntil(b" http 0")  # one answer more
            idle.close()
        assert set(users.answers) == {b"http/1.1 200 ok"}
