"""What a manager leaves: each host keeps its own key, and the next manager gets all of them."""

import msgspec
import pytest

from weaver.control.certificates import Certificates
from weaver.control.messages import Application
from weaver.deployers.estate import Estate, decode_estate, encode_estate, put_together, share_of
from weaver.errors import ProtocolError
from weaver.manager.hosts import HostSpec
from weaver.manager.state import Desired, Spec


def certificates(name: str) -> Certificates:
    return Certificates(name, b"ca", b"certificate", f"key of {name}".encode())


def estate(epoch: int, replicas: int) -> Estate:
    hosts = {name: HostSpec(certificates=certificates(name)) for name in ("a", "b", "c")}
    spec = Spec(application=Application("shop", "v", "d", "m:A"), groups={}, hosts=hosts)
    desired = Desired(replicas={"front": replicas})
    return Estate(spec=spec, desired=desired, epoch=epoch, pythons={"a": "/p"})


def own(name: str) -> bytes:
    """A key as it stands in encoded messages."""
    return msgspec.msgpack.encode(certificates(name).key)[2:]


def test_a_host_keeps_no_key_of_another() -> None:
    kept = encode_estate(share_of(estate(1, 2), "b"))
    assert own("b") in kept
    assert own("a") not in kept
    assert own("c") not in kept


def test_the_shares_make_the_newest_estate_again() -> None:
    old, new = estate(1, 2), estate(2, 5)
    shares = {"a": share_of(old, "a"), "b": share_of(new, "b"), "c": share_of(new, "c")}
    assert put_together({k: decode_estate(encode_estate(v)) for k, v in shares.items()}) == new


def test_a_host_that_cannot_be_asked_is_without_its_key() -> None:
    one = estate(1, 2)
    found = put_together({"a": share_of(one, "a")})
    assert found.spec.hosts["a"].certificates == certificates("a")
    assert found.spec.hosts["b"].certificates is None
    assert set(found.spec.hosts) == {"a", "b", "c"}


def test_what_is_no_estate_is_refused() -> None:
    with pytest.raises(ProtocolError, match="what the last manager has left"):
        decode_estate(b"\x93\x01\x02\x03")
