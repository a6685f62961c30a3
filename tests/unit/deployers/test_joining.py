"""Hosts that join a deployment: what its next manager is told of them."""

import msgspec
import pytest
from cryptography import x509

from weaver.deployers.estate import Estate, decode_estate, encode_estate, share_of
from weaver.deployers.identities import acquainted
from weaver.deployers.joining import enlarged, relisted
from weaver.deployers.launch import spec_of
from weaver.errors import ConfigError, UsageError
from weaver.manager.hosts import HostSpec
from weaver.manager.state import Desired
from weaver.packaging.manifest import Manifest, ManifestComponent

MANIFEST = Manifest("0.1", "shop", "shop:Web", components=(ManifestComponent("shop.Web", "Web"),))
JOINING = {"c": HostSpec(labels=("big",), slots=4, address="10.0.0.3")}


def estate_of(*hosts: str, config: str = "") -> Estate:
    manifest = msgspec.structs.replace(MANIFEST, config=config)
    listed = {name: HostSpec(address=f"10.0.0.{number}") for number, name in enumerate(hosts, 1)}
    spec = spec_of(manifest, "build", foreground=False, hosts=listed)
    pythons = {name: f"/{name}/python" for name in hosts}
    return Estate(spec=spec, desired=Desired(live=True), epoch=3, pythons=pythons)


def test_a_host_that_joins_shows_a_certificate_that_all_others_trust() -> None:
    # As it comes back from an envelope: what signs must have been left with it.
    before = decode_estate(encode_estate(share_of(estate_of("a", "b"), "a")))
    after = enlarged(before, JOINING, {"c": "/c/python"}, {"c": "shop.service"})
    own, others = after.spec.hosts["c"].certificates, before.spec.hosts["a"].certificates
    assert own is not None
    assert others is not None
    assert (own.name, own.ca) == (others.name, others.ca)
    assert own.key != others.key
    authority = x509.load_pem_x509_certificate(own.ca)
    x509.load_pem_x509_certificate(own.certificate).verify_directly_issued_by(authority)


def test_what_is_known_stays_as_it_is_beside_a_host_that_joins() -> None:
    before = estate_of("a", "b", config='[app]\ntls = "always"\n')
    after = enlarged(before, JOINING, {"c": "/c/python"}, {})
    assert list(after.spec.hosts) == ["a", "b", "c"]
    assert {k: after.spec.hosts[k] for k in "ab"} == before.spec.hosts
    joined = after.spec.hosts["c"]
    assert (joined.labels, joined.slots, joined.address) == (("big",), 4, "10.0.0.3")
    assert joined.certificates is not None
    assert joined.certificates.always
    assert after.pythons == before.pythons | {"c": "/c/python"}
    assert (after.desired, after.epoch, after.units) == (before.desired, before.epoch, {})


def test_none_joins_a_deployment_that_began_on_one_host() -> None:
    with pytest.raises(UsageError, match="no host can join") as caught:
        enlarged(estate_of("a"), JOINING, {}, {})
    assert "weaver stop shop, then weaver deploy" in caught.value.fix


def test_a_host_that_others_cannot_dial_does_not_join() -> None:
    with pytest.raises(ConfigError, match="host c has no address"):
        enlarged(estate_of("a", "b"), {"c": HostSpec(address="0.0.0.0")}, {}, {})


def test_what_signs_keeps_its_key_to_itself() -> None:
    spec = estate_of("a", "b").spec
    assert spec.signer is not None
    assert b"PRIVATE KEY" in spec.signer.key
    assert "PRIVATE KEY" not in repr(spec)


def test_each_host_can_reach_the_versions_before_its_own() -> None:
    new, old, alone = estate_of("a", "b", "c"), estate_of("a", "b"), estate_of("a")
    found = acquainted([new, old, alone])
    deployment = old.spec.application.deployment
    for host in found[0].spec.hosts.values():
        own = host.identities[deployment]
        assert list(host.identities) == [deployment], "replicas of one host listen for no other"
        authority = x509.load_pem_x509_certificate(own.ca)
        x509.load_pem_x509_certificate(own.certificate).verify_directly_issued_by(authority)
        assert old.spec.signer is not None
        assert own.ca == old.spec.signer.certificate
    assert all(not host.identities for each in found[1:] for host in each.spec.hosts.values())


def test_what_is_shown_to_other_versions_is_left_with_no_envelope() -> None:
    found, _ = acquainted([estate_of("a", "b"), estate_of("a", "b")])
    assert found.spec.hosts["a"].identities
    left = share_of(found, "a")
    assert all(not host.identities for host in left.spec.hosts.values())
    assert left.spec.hosts["a"].certificates == found.spec.hosts["a"].certificates


SELECTING = '[groups.web]\ncomponents = ["Web"]\nreplicas = 2\nhosts = ["tag:big"]\n'


def listed_estate() -> Estate:
    """Two replicas of a group that may run where a host is labelled "big"."""
    manifest = msgspec.structs.replace(MANIFEST, config=SELECTING)
    hosts = {name: HostSpec(labels=("big",), slots=1, address=name) for name in ("a", "b")}
    spec = spec_of(manifest, "build", foreground=False, hosts=hosts)
    return Estate(spec=spec, desired=Desired(live=True), epoch=3)


def test_what_the_list_says_now_of_a_host_counts_and_all_else_of_it_stays() -> None:
    before = listed_estate()
    after = relisted(before, {"b": HostSpec(labels=("big", "ssd"), groups=("x",), slots=4)})
    found, was = after.spec.hosts["b"], before.spec.hosts["b"]
    assert (found.labels, found.groups, found.slots) == (("big", "ssd"), ("x",), 4)
    assert (found.address, found.certificates) == (was.address, was.certificates)
    assert after.spec.hosts["a"] == before.spec.hosts["a"]
    assert msgspec.structs.replace(after, spec=before.spec) == before


@pytest.mark.parametrize("now", [HostSpec(labels=("big",), slots=0), HostSpec(slots=1)])
def test_a_list_that_leaves_too_little_room_is_refused(now: HostSpec) -> None:
    with pytest.raises(ConfigError, match="is to have 2 replicas, but there is room for 1"):
        relisted(listed_estate(), {"b": now})


def test_a_list_that_leaves_no_host_for_a_group_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="may run on no host there is"):
        relisted(listed_estate(), {"a": HostSpec(), "b": HostSpec()})
