"""How links to envelopes end, and what the manager makes of it."""

import asyncio
from pathlib import Path

import pytest
from manager_fakes import FakeDeployer, FakeLink
from manager_runs import managing

from weaver.deployers.control_loop import Outcome


class BrokenLinks(FakeDeployer):
    """Its links end as sockets do when the other side has closed with something unread."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    async def connect(self, host: str) -> FakeLink | None:
        link = await super().connect(host)
        if link is not None:
            receive = link.receive

            async def breaking() -> bytes:
                data = await receive()
                if not data:
                    raise self.error
                return data

            link.receive = breaking  # type: ignore[method-assign]
        return link


@pytest.mark.parametrize("error", [BrokenPipeError(32, "x"), ConnectionResetError(104, "x")])
async def test_an_envelope_whose_link_breaks_at_its_end_has_ended(
    tmp_path: Path, error: OSError
) -> None:
    async with managing(tmp_path, BrokenLinks(error)) as running:
        await running.live()
        async with asyncio.timeout(30):
            await running.loop.stop(at_once=False)
        assert (await running.outcome()) == Outcome("stopped", None)
