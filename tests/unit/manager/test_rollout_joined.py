"""A host where only the new version is to serve: it follows the rollout as all others do."""

import msgspec
import pytest
from rollout_scene import NEW, OLD, PLAN, Scene, backends, plan, view
from test_rollout_beyond import remote

from weaver.control.traffic import Traffic
from weaver.manager.observed import HostView
from weaver.manager.rollout import effects
from weaver.manager.rollout.state import Front

NOBODY = HostView(attached=True)


def old_views(ready: int = 2) -> dict[str, HostView]:
    """The old version, which is on h1 only."""
    own = HostView(
        True, {"http": 2}, {"http": backends(OLD, ready)}, {"http": remote(OLD, "h1", ready)}
    )
    return {"h1": own, "h2": NOBODY}


def joined(mode: str = "shared") -> Scene:
    """The new version, which is on h2 as well."""
    scene = Scene(plan(fronts={"http": Front(mode=mode)}), hosts=("h1", "h2"))  # type: ignore[arg-type]
    scene.observe(OLD, hosts=old_views())
    return scene


def test_it_has_the_weights_of_the_others_from_replicas_that_are_elsewhere() -> None:
    scene = joined().to("opening")
    assert scene.weights("h2") == {OLD: 10_000, NEW: 0}
    scene.to("shifting", 1)
    assert scene.weights("h2") == scene.weights("h1") == {OLD: 5_000, NEW: 5_000}
    old, new = scene.ordered(NEW, "h2").ingress["http"].table.shares
    assert (old.backends, old.beyond) == ((), remote(OLD, "h1"))
    assert new.backends == backends(NEW, 2)
    assert not scene.ordered(NEW, "h2").accepting
    scene.to("closing")
    assert scene.ordered(NEW, "h2") == Traffic(predecessor=PLAN.predecessors["h2"])


def test_it_holds_up_nothing_and_comes_with_the_present_weights() -> None:
    scene = joined().to("opening")
    scene.observe(NEW, hosts={"h2": HostView()})
    scene.report(hosts=["h1"])
    scene.wait(30)
    assert scene.weights("h1") == {OLD: 5_000, NEW: 5_000}
    scene.observe(NEW, hosts={"h2": view(NEW, ready=0)})
    assert scene.weights("h2") == {OLD: 10_000, NEW: 0}
    scene.observe(NEW)
    assert scene.weights("h2") == {OLD: 5_000, NEW: 5_000}


def test_it_goes_on_while_the_old_version_is_ready_nowhere() -> None:
    scene = joined().to("shifting", 1)
    scene.observe(OLD, hosts=old_views(ready=0))
    assert scene.weights("h2") == {OLD: 0, NEW: 10_000}
    scene.observe(OLD, hosts=old_views())
    assert scene.weights("h2") == {OLD: 5_000, NEW: 5_000}


def test_it_serves_no_more_when_the_new_version_is_taken_back() -> None:
    scene = joined().to("shifting")
    scene.steer("abort")
    assert scene.ordered(NEW, "h2") == Traffic(accepting=False, predecessor=PLAN.predecessors["h2"])
    scene.to("withdrawn")


@pytest.mark.parametrize("restarted", [False, True])
def test_the_old_version_runs_on_for_it_until_it_has_followed(*, restarted: bool) -> None:
    scene = joined().to("shifting", 2)
    scene.observe(NEW, hosts={"h2": view(NEW, attached=False)})
    scene.to("closing")
    scene.report(0, hosts=["h1"])
    assert scene.phase == "warm"
    if restarted:
        scene.state = msgspec.structs.replace(scene.state, ingress={})
    scene.wait(3600)
    assert scene.phase == "warm"
    assert "still serves on h2" in scene.all(effects.Report)[-1].text
    scene.observe(NEW)
    if not restarted:
        assert scene.phase == "warm"
        scene.report(0, hosts=["h2"])
    assert scene.phase == "retiring"


def test_a_haproxy_there_begins_at_the_end() -> None:
    scene = joined("haproxy").to("shifting", 2)
    assert not scene.ordered(NEW, "h2").ingress
    assert not scene.ordered(NEW, "h2").accepting
    scene.to("closing")
    assert scene.weights("h2") == {OLD: 0, NEW: 10_000}


def test_a_host_of_the_old_version_that_gets_its_replicas_late_takes_the_present_weights() -> None:
    scene = Scene(hosts=("h1", "h2"))
    scene.observe(NEW, hosts={"h2": HostView()})  # it was out of reach, and left out
    scene.report(hosts=["h1"])
    scene.wait(30)
    assert scene.ordered(OLD, "h2") == Traffic()
    scene.observe(NEW)
    assert scene.weights("h2") == {OLD: 5_000, NEW: 5_000}
    assert scene.ordered(OLD, "h2").accepting, "the ingress does not serve yet"
    scene.report(hosts=["h2"])
    assert not scene.ordered(OLD, "h2").accepting
