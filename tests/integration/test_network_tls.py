"""Connections that leave the host: encrypted, and only within one deployment."""

import asyncio
import ssl
from pathlib import Path

import pytest
from network_replicas import Replica, Replicas, ending, routing

from weaver.deployers.certificates import Authority, create_authority
from weaver.errors import Unreachable
from weaver.transport.tls import Identity


@pytest.fixture(scope="module")
def authority() -> Authority:
    return create_authority("d1")


@pytest.fixture
def make() -> Replicas:
    return Replicas(lambda _name: "127.0.0.1:0")


async def pair(
    make: Replicas, callee: Identity | None, caller: Identity | None
) -> tuple[Replica, Replica]:
    one = await make("shop-1", tls=callee)
    two = await make("front-1", hosts=False, tls=caller)
    two.network.update(routing(1, one))
    return two, one


@ending
async def test_calls_go_over_tls_between_processes_of_one_deployment(
    make: Replicas, authority: Authority
) -> None:
    caller, callee = await pair(make, authority.issue("shop-1"), authority.issue("front-1"))
    blob = bytes(range(256)) * 4096
    assert await caller.method("blob")(blob) == blob
    assert await caller.method("echo")("x") == "x"
    host, _, port = callee.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\0" * 64)  # no TLS: cut off
    assert await asyncio.wait_for(reader.read(), 30) is not None
    writer.close()
    await writer.wait_closed()


@ending
async def test_another_deployment_is_refused_by_both_sides(
    make: Replicas, authority: Authority
) -> None:
    stranger = create_authority("d1").issue("front-1")
    caller, callee = await pair(make, authority.issue("shop-1"), stranger)
    caller.network.timeout = 0.3
    with pytest.raises(Unreachable, match="certificate verify failed"):
        await caller.method("echo")("x")
    assert callee.network.incoming == 0


@ending
async def test_a_certificate_of_the_same_authority_for_another_name_is_refused(
    make: Replicas, authority: Authority
) -> None:
    other = Authority("d2", authority.certificate, authority.key).issue("front-1")
    careless = Identity("d1.weaver", other.ca, other.certificate, other.key)
    caller, _ = await pair(make, authority.issue("shop-1"), careless)
    caller.network.timeout = 0.3
    with pytest.raises(Unreachable):
        await caller.method("echo")("x")


@ending
async def test_a_caller_without_certificate_is_refused(
    make: Replicas, authority: Authority
) -> None:
    caller, _ = await pair(make, authority.issue("shop-1"), None)
    caller.network.timeout = 0.3
    with pytest.raises(Unreachable):
        await caller.method("echo")("x")


@ending
async def test_unix_sockets_are_encrypted_only_if_always(
    make: Replicas, authority: Authority, tmp_path: Path
) -> None:
    def address(name: str) -> str:
        return f"unix:{tmp_path}/{name}"

    make.address = address
    always = authority.issue("shop-1", always=True), authority.issue("front-1", always=True)
    caller, callee = await pair(make, *always)
    assert await caller.method("echo")("x") == "x"
    reader, writer = await asyncio.open_unix_connection(callee.address.removeprefix("unix:"))
    writer.write(b"\0" * 64)
    await asyncio.wait_for(reader.read(), 30)
    writer.close()
    await writer.wait_closed()


def test_broken_pem_is_an_error_and_keys_are_not_shown(authority: Authority) -> None:
    identity = authority.issue("shop-1")
    assert "PRIVATE" not in repr(identity)
    assert "PRIVATE" not in repr(authority)
    with pytest.raises(ssl.SSLError):
        Identity("n", identity.ca, b"no pem", b"").server()
