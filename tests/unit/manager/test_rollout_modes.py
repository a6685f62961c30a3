"""Listeners behind an ingress that stays, ours or HAProxy, and versions that are the first."""

from rollout_scene import NEW, OLD, Scene, backends, plan, view

from weaver.control.traffic import IngressOrder, IngressReport, Traffic
from weaver.manager.rollout import effects, events
from weaver.manager.rollout.state import Front

PROXY = {"http": Front(mode="proxy", workers=2, certificate="/c.pem", key="/k.pem")}
HAPROXY = {"http": Front(mode="haproxy", socket="/run/haproxy.sock")}


def ingress(scene: Scene, deployment: str = NEW, host: str = "h1") -> IngressOrder:
    return scene.ordered(deployment, host).ingress["http"]


def test_an_ingress_that_stays_gets_everything_in_the_end() -> None:
    scene = Scene(plan(fronts=PROXY)).to("opening")
    order = ingress(scene)
    assert (order.mode, order.workers, order.certificate, order.key) == (
        "proxy", 2, "/c.pem", "/k.pem",
    )  # fmt: skip
    scene.to("warm")
    assert scene.weights() == {OLD: 0, NEW: 10_000}
    scene.to("done")
    assert scene.weights() == {NEW: 10_000}
    scene.observe(NEW, ready=1)
    assert ingress(scene).table.shares[0].backends == backends(NEW, 1)


def test_the_old_version_runs_on_until_the_ingress_goes_by_the_last_table() -> None:
    scene = Scene(plan(fronts=PROXY, keep_warm=0.0)).to("shifting", 1)
    known = scene.state.ingress[NEW, "h1", "http"].counts
    scene.steer("promote")
    assert scene.phase == "closing"
    scene.tell(events.IngressReported(NEW, "h1", IngressReport("http", 2, counts=known)))
    assert scene.phase == "closing"
    scene.report(2)
    assert scene.phase == "retiring"


def test_the_ingress_of_the_old_version_ends_when_that_of_the_new_one_serves() -> None:
    scene = Scene(plan(fronts=PROXY, old_fronts=PROXY)).to("opening")
    assert ingress(scene, OLD).table.shares[0].backends == backends(OLD, 2)
    scene.report()
    assert scene.ordered(OLD) == Traffic(accepting=False)


def test_the_new_ingress_stays_until_that_of_the_old_version_serves_again() -> None:
    scene = Scene(plan(fronts=PROXY, old_fronts=PROXY)).to("shifting", 1)
    scene.steer("rollback")
    assert ingress(scene, OLD).table.shares[0].version == OLD
    assert scene.weights() == {OLD: 10_000}
    scene.report(2, deployment=OLD)
    assert scene.ordered(NEW).ingress == {}
    scene.report(0)
    assert scene.phase == "removing"


def test_haproxy_is_told_where_it_is() -> None:
    scene = Scene(plan(fronts=HAPROXY)).to("opening")
    assert (ingress(scene).mode, ingress(scene).socket) == ("haproxy", "/run/haproxy.sock")


# --- a first version ---


def test_a_first_version_serves_when_it_is_live() -> None:
    scene = Scene(plan(before=True), old="")
    scene.observe(NEW)
    assert scene.phase == "before"
    assert not scene.ordered(NEW).accepting
    scene.tell(events.HookEnded("before"))
    assert scene.phase == "done"
    assert scene.ordered(NEW) == Traffic()
    assert scene.all(effects.Finished) == [effects.Finished("promoted")]


def test_a_first_version_behind_an_ingress_waits_for_it() -> None:
    scene = Scene(plan(fronts=PROXY), old="")
    scene.observe(NEW)
    assert scene.phase == "closing"
    assert scene.weights() == {NEW: 10_000}
    scene.report(2)
    assert scene.phase == "done"


def test_a_first_version_whose_ingress_never_serves_is_taken_away() -> None:
    scene = Scene(plan(fronts=PROXY), old="")
    scene.observe(NEW)
    scene.wait(scene.state.plan.waits.closing)
    scene.to("withdrawn")
    assert scene.state.rollout.outcome == "failed"
    assert scene.state.rollout.fault is not None


# --- a host that joins, with the new version alone ---


def test_a_host_that_joins_a_rollout_changes_no_weight_and_serves_users_from_its_end_on() -> None:
    scene = Scene().to("shifting", 1)
    weights = scene.weights()
    scene.observe(NEW, hosts={"h2": view(NEW)})
    assert scene.ordered(NEW, "h2") == Traffic(
        accepting=False, predecessor=scene.state.plan.predecessors["h2"]
    )
    assert scene.weights() == weights
    scene.steer("promote")
    assert scene.phase == "closing"
    assert scene.ordered(NEW, "h2").accepting
    scene.to("done")
    assert scene.ordered(NEW, "h2") == Traffic()


def test_a_host_that_joins_gets_the_ingress_that_stands_before_the_version() -> None:
    scene = Scene(plan(fronts=PROXY)).to("done")
    scene.observe(NEW, hosts={"h2": view(NEW, 1)})
    order = ingress(scene, host="h2")
    assert (order.mode, order.workers, order.certificate) == ("proxy", 2, "/c.pem")
    assert scene.weights("h2") == {NEW: 10_000}
    assert order.table.shares[0].backends[:1] == backends(NEW, 1)
