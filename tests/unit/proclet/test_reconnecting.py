"""A replica that cannot be reached is dialled again, ever more rarely up to a cap."""

import asyncio
from pathlib import Path

import pytest

from weaver.proclet.leases import Terms
from weaver.proclet.peer import FIRST_PAUSE, MOST_PAUSE, Peer
from weaver.routing import Endpoint
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits

TIMES = 12


async def test_pauses_grow_up_to_a_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    enough = asyncio.Event()
    turn = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == TIMES:
            enough.set()
        await turn(0)

    hello = Hello(deployment="d", build="b", methods=b"m")
    terms = Terms(hello, Limits(), 30.0)
    peer = Peer(Endpoint("shop-1", f"unix:{tmp_path}/nobody.sock"), terms, lambda: None)
    monkeypatch.setattr(asyncio, "sleep", note)
    peer.dial()
    async with asyncio.timeout(30):
        await enough.wait()
    monkeypatch.undo()
    await peer.aclose()
    assert FIRST_PAUSE / 2 <= pauses[0] <= FIRST_PAUSE
    for number, pause in enumerate(pauses):
        longest = min(FIRST_PAUSE * 2**number, MOST_PAUSE)
        assert longest / 2 <= pause <= longest  # spread, so that not all dial at once
    assert pauses[-1] >= MOST_PAUSE / 2
    assert peer.failure == "No such file or directory"
