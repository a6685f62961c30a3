"""What the envelopes on hosts have kept of their last manager, for one on this machine to go on.

Blocks; hosts are asked side by side, and none of them is changed by it.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec

from weaver.control.succession import Memo
from weaver.deployers.estate import Estate, decode_estate, put_together
from weaver.deployers.recall import recall
from weaver.deployers.ssh.connection import Connection
from weaver.deployers.ssh.host_call import Call, RemotePython, call
from weaver.errors import WeaverError

PATIENCE: Final = 30.0
"""Seconds for one host."""


class Found(msgspec.Struct, frozen=True):
    """A deployment that runs on hosts; `attended` names those where a manager is attached.

    `hands_over`: another version can take its listeners over on all of them.
    """

    estate: Estate
    hosts: tuple[str, ...]
    attended: tuple[str, ...] = ()
    hands_over: bool = True


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
    shares: dict[str, dict[str, Estate]] = {}
    attended: dict[str, list[str]] = {}
    keeping: set[str] = set()
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, WeaverError):
            faults[name] = answer
        elif isinstance(answer, BaseException):
            faults[name] = WeaverError(f"{name} cannot be asked", where=name, why=str(answer))
        else:
            for memo in answer:
                if memo.memo:  # else no manager has left anything yet: it was just started
                    shares.setdefault(memo.deployment, {})[name] = decode_estate(memo.memo)
                if not memo.hands_over:
                    keeping.add(memo.deployment)
                if memo.attended:
                    attended.setdefault(memo.deployment, []).append(name)
    found = {
        deployment: Found(
            put_together(own),
            tuple(own),
            tuple(attended.get(deployment, ())),
            hands_over=deployment not in keeping,
        )
        for deployment, own in shares.items()
    }
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
