"""Replicas on several hosts: which address is dialled, and who is preferred."""

import itertools
from pathlib import Path

import pytest
from network_replicas import COMPONENT, Replica, Replicas, ending, until

from weaver.deployers.certificates import Authority, create_authority
from weaver.errors import Unreachable
from weaver.proclet.balancing import FAILURES
from weaver.routing import Endpoint, Route, Routing

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return create_authority("d1")


@pytest.fixture
def make(tmp_path: Path) -> Replicas:
    return Replicas(lambda name: f"unix:{tmp_path}/{name}-{next(NUMBERS)}.sock")


class Site:
    """Three hosts: a caller on h1, and a replica on each of h1 and h2."""

    def __init__(self, caller: Replica, near: Replica, far: Replica, remotes: list[str]) -> None:
        self.caller = caller
        self.near = near
        self.far = far
        self.remotes = remotes

    async def called(self, number: int = 100) -> set[str]:
        who = self.caller.method("who")
        return {await who() for _ in range(number)}

    def route(self, version: int, *replicas: Replica) -> None:
        known = {"shop-1": "h1", "shop-2": "h2"}
        endpoints = tuple(
            Endpoint(
                r.network.replica,
                r.address,
                known[r.network.replica],
                self.remotes[r is self.far],
            )
            for r in replicas
        )
        self.caller.network.update(Routing(version, {"shop": Route((COMPONENT,), endpoints)}))


async def site(make: Replicas, authority: Authority, prefer: str = "any") -> Site:
    near = await make("shop-1", host="h1", tls=authority.issue("h1"))
    far = await make("shop-2", host="h2", tls=authority.issue("h2"))
    remotes = [await replica.network.listen("127.0.0.1:0") for replica in (near, far)]
    caller = await make(
        "front-1", hosts=False, host="h1", prefer=prefer, tls=authority.issue("h1 too")
    )
    found = Site(caller, near, far, remotes)
    found.route(1, near, far)
    await caller.method("echo")("x")
    await until(lambda: all(peer.connected for peer in caller.network.statistics))
    return found


@ending
async def test_the_socket_file_is_dialled_on_one_host_and_tls_between_hosts(
    make: Replicas, authority: Authority
) -> None:
    found = await site(make, authority)
    dialled = {peer.replica: peer.address for peer in found.caller.network.statistics}
    assert dialled == {"shop-1": found.near.address, "shop-2": found.remotes[1]}
    assert await found.called() == {"shop-1", "shop-2"}


@ending
async def test_calls_between_hosts_are_not_taken_in_plain_text(
    make: Replicas, authority: Authority
) -> None:
    found = await site(make, authority)
    plain = await make("front-2", hosts=False, host="h3")
    plain.network.timeout = 0.3
    plain.network.update(found.caller.network.routing)
    with pytest.raises(Unreachable):
        await plain.method("echo")("x")
    assert found.near.network.incoming == found.far.network.incoming == 0


@ending
async def test_the_own_host_is_preferred_only_where_that_is_asked_for(
    make: Replicas, authority: Authority
) -> None:
    found = await site(make, authority, "local")
    assert await found.called() == {"shop-1"}
    found.route(2, found.far)
    assert await found.called() == {"shop-2"}
    found.route(3, found.near, found.far)
    await until(lambda: all(peer.connected for peer in found.caller.network.statistics))
    assert await found.called() == {"shop-1"}


@ending
async def test_a_replica_on_the_own_host_that_is_away_is_replaced_by_others(
    make: Replicas, authority: Authority
) -> None:
    found = await site(make, authority, "local")
    await found.near.network.aclose()
    await until(lambda: not all(peer.connected for peer in found.caller.network.statistics))
    assert await found.called() == {"shop-2"}


@ending
async def test_a_replica_on_the_own_host_that_fails_is_left_out_for_a_while(
    make: Replicas, authority: Authority
) -> None:
    found = await site(make, authority, "local")
    pool = found.caller.network.pools[COMPONENT]
    near = next(peer for peer in pool.peers if peer.replica == "shop-1")
    for _ in range(FAILURES):
        pool.failed(near)
    assert await found.called() == {"shop-2"}
    near.load.ejected = 1.0  # its time to come back has come
    assert await found.called(1) == {"shop-1"}
    assert await found.called() == {"shop-1"}
