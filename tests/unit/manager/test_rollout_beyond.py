"""Which replicas of other hosts an ingress is told of, and what that means for weights."""

from rollout_scene import NEW, OLD, Scene, backends, plan

from weaver.control.ingress import Backend, VersionShare
from weaver.manager.observed import HostView
from weaver.manager.rollout.beyond import MOST
from weaver.manager.rollout.state import Front

HOSTS = ("h1", "h2", "h3")


def remote(deployment: str, host: str, number: int = 2) -> tuple[Backend, ...]:
    ids = (f"web-{host}-{i + 1}" for i in range(number))
    return tuple(Backend(name, f"tls:{deployment}.{host}:80") for name in ids)


def views(deployment: str, number: int = 2, ready: int = 2, lost: str = "") -> dict[str, HostView]:
    """Each host with replicas that others reach, too; on `lost` none is ready."""
    return {
        host: HostView(
            True,
            {"http": 2},
            {"http": backends(deployment, ready)} if host != lost else {},
            {"http": remote(deployment, host, number)} if host != lost else {},
        )
        for host in HOSTS
    }


def shares(scene: Scene, host: str) -> dict[str, VersionShare]:
    found = scene.ordered(NEW, host).ingress["http"].table.shares
    return {share.version: share for share in found}


def shifting(number: int = 2, mode: str = "shared") -> Scene:
    scene = Scene(plan(fronts={"http": Front(mode=mode)}), hosts=HOSTS)  # type: ignore[arg-type]
    scene.observe(OLD, hosts=views(OLD, number))
    scene.to("opening")
    scene.observe(NEW, hosts=views(NEW, number))
    return scene.to("shifting", 1)


def test_a_table_names_replicas_of_all_other_hosts_in_turns_beginning_with_the_next() -> None:
    scene = shifting()
    for version in (OLD, NEW):
        (b1, b2), (c1, c2) = remote(version, "h2"), remote(version, "h3")
        assert shares(scene, "h1")[version].beyond == (b1, c1, b2, c2)
        (a1, a2) = remote(version, "h1")
        assert shares(scene, "h2")[version].beyond == (c1, a1, c2, a2)
        assert shares(scene, "h1")[version].backends == backends(version, 2)


def test_there_are_not_more_in_a_table_than_are_of_use() -> None:
    found = shares(shifting(100), "h1")[OLD].beyond
    assert len(found) == MOST
    assert len([one for one in found if "h2" in one.address]) == MOST // 2


def test_a_version_on_one_host_has_nobody_beyond_it() -> None:
    scene = Scene().to("shifting")
    assert all(not share.beyond for share in shares(scene, "h1").values())


def test_the_old_version_keeps_its_share_of_a_host_that_has_lost_it_while_others_have_it() -> None:
    scene = shifting()
    scene.observe(OLD, hosts=views(OLD, lost="h1"))
    assert scene.weights("h1") == {OLD: 5_000, NEW: 5_000}
    found = shares(scene, "h1")[OLD]
    assert found.backends == ()
    assert len(found.beyond) == 4
    scene.observe(OLD, hosts=dict.fromkeys(HOSTS, HostView(True, {"http": 2})))
    assert scene.weights("h1") == {OLD: 0, NEW: 10_000}


def test_a_haproxy_of_the_host_turns_to_no_other_host() -> None:
    scene = shifting(mode="haproxy")
    scene.observe(OLD, hosts=views(OLD, lost="h1"))
    assert scene.weights("h1") == {OLD: 0, NEW: 10_000}
    assert scene.weights("h2") == {OLD: 5_000, NEW: 5_000}


def test_the_new_version_gets_no_more_on_a_host_than_its_own_replicas_there_carry() -> None:
    scene = shifting()
    scene.observe(NEW, hosts=views(NEW, lost="h2"))
    assert scene.weights("h2") == {OLD: 10_000, NEW: 0}
    assert scene.weights("h1") == {OLD: 5_000, NEW: 5_000}


def test_an_ingress_that_stays_turns_to_other_hosts_when_no_version_is_left_on_its_own() -> None:
    scene = shifting(mode="proxy").to("warm")
    scene.observe(NEW, hosts=views(NEW, lost="h1"))
    assert scene.weights("h1") == {OLD: 10_000, NEW: 0}, "it is warm, and of this host"
    scene.to("done")
    found = shares(scene, "h1")[NEW]
    assert (found.weight, found.backends, len(found.beyond)) == (10_000, (), 4)
