"""What the envelopes on hosts have kept of their last manager, for one on this machine to go on.

Blocks; hosts are asked side by side, and none of them is changed by it.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec

from weaver.control.succession import Memo
from weaver.deployers.estate import Estate, decode_estate
from weaver.deployers.recall import recall
from weaver.deployers.ssh.connection import Connection
from weaver.deployers.ssh.host_call import Call, RemotePython, call
from weaver.errors import WeaverError

PATIENCE: Final = 30.0
"""Seconds for one host."""


class Found(msgspec.Struct, frozen=True):
    """A deployment that runs on hosts; `attended` names those where a manager is attached."""

    estate: Estate
    hosts: tuple[str, ...]
    attended: tuple[str, ...] = ()


def find(
    connections: Mapping[str, Connection], pythons: Mapping[str, RemotePython]
) -> tuple[dict[str, Found], dict[str, WeaverError]]:
    """The deployments on these hosts by their ids, and what went wrong by host.

    Of several memos of one deployment, that of the newest manager counts.
    """
    return asyncio.run(_find(connections, pythons))


async def _find(
    connections: Mapping[str, Connection], pythons: Mapping[str, RemotePython]
) -> tuple[dict[str, Found], dict[str, WeaverError]]:
    names = list(pythons)
    asked = [_ask(connections[name], pythons[name]) for name in names]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    faults: dict[str, WeaverError] = {}
    found: dict[str, Found] = {}
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, WeaverError):
            faults[name] = answer
        elif isinstance(answer, BaseException):
            faults[name] = WeaverError(f"{name} cannot be asked", where=name, why=str(answer))
        else:
            for memo in answer:
                _add(found, name, memo)
    return found, faults


async def _ask(connection: Connection, python: RemotePython) -> list[Memo]:
    """The memos of all envelopes of a host."""
    loop = asyncio.get_running_loop()

    def sockets() -> dict[str, str]:
        [found] = call(python, [Call("deployments", "deployments", {})])
        return msgspec.convert(found, dict[str, str])

    memos: list[Memo] = []
    async with asyncio.timeout(PATIENCE):
        for path in (await asyncio.to_thread(sockets)).values():
            link = await asyncio.to_thread(connection.open_unix, path, loop, python=python.python)
            if link is not None:
                memos.append(await recall(link, connection.name))
    return memos


def _add(found: dict[str, Found], host: str, memo: Memo) -> None:
    if not memo.memo:
        return  # no manager has ever left anything: it was just started
    estate = decode_estate(memo.memo)
    former = found.get(memo.deployment)
    hosts = (*former.hosts, host) if former is not None else (host,)
    attended = former.attended if former is not None else ()
    if memo.attended:
        attended = (*attended, host)
    if former is not None and former.estate.epoch > estate.epoch:
        estate = former.estate
    found[memo.deployment] = Found(estate, hosts, attended)
