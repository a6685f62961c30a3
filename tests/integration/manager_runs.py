"""A control loop that runs over envelopes in memory, with a journal on the disk."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import msgspec
from manager_fakes import Behaviour, FakeDeployer, FakeEnvelope

from weaver.control.messages import Application
from weaver.deployers.control_loop import ControlLoop, Outcome
from weaver.deployers.journal import Journal
from weaver.manager.hosts import HostSpec
from weaver.manager.placement import Group
from weaver.manager.state import Spec, Waits

GROUPS = {
    "front": Group(
        components=("shop.Web",),
        replicas=2,
        entry="shop.Web",
        listeners={"http": "127.0.0.1:8080"},
    ),
    "cart": Group(components=("shop.Cart",), replicas=1, most=4, routed=True),
}
QUICK = Waits(retry=0.01, retry_most=0.05)
SPEC = Spec(
    application=Application("shop", "build-1", "dep-1", "shop:Web", environment={"KEY": "secret!"}),
    groups=GROUPS,
    hosts={"here": HostSpec()},
    waits=QUICK,
)


class Running:
    """A control loop that runs, and the one envelope of its deployer."""

    def __init__(self, loop: ControlLoop, deployer: FakeDeployer) -> None:
        self.loop = loop
        self.deployer = deployer
        self.ending = asyncio.ensure_future(loop.run())

    @property
    def envelope(self) -> FakeEnvelope:
        return self.deployer.envelopes["here"]

    async def live(self) -> None:
        async with asyncio.timeout(30):
            await self.loop.wait_live()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that some change of state makes true."""
        async with asyncio.timeout(30):
            with self.loop.changes.follow() as changes:
                while not condition():
                    await changes.take()

    async def outcome(self) -> Outcome:
        async with asyncio.timeout(30):
            return await asyncio.shield(self.ending)

    def states(self, group: str) -> list[str]:
        report = self.loop.status().report
        (found,) = (g for g in report.groups if g.name == group)
        return [replica.state for replica in found.replicas]

    def routed(self, group: str) -> list[str]:
        return [e.replica for e in self.envelope.routing.groups[group].endpoints]


@contextlib.asynccontextmanager
async def managing(
    folder: Path, deployer: FakeDeployer | None = None, spec: Spec = SPEC, **behave: Behaviour
) -> AsyncGenerator[Running]:
    deployer = deployer or FakeDeployer(**behave)
    with Journal(folder) as journal:
        running = Running(ControlLoop(spec, journal, deployer, started=1.0), deployer)
        try:
            yield running
        finally:
            running.ending.cancel()
            await asyncio.wait((running.ending,))


def waits(**changes: float) -> Spec:
    return msgspec.structs.replace(SPEC, waits=msgspec.structs.replace(QUICK, **changes))
