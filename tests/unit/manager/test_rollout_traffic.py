"""Weights, capacity and who takes connections, on several hosts and in every mode."""

import pytest
from rollout_scene import NEW, OLD, Scene, backends, plan, view

from weaver.control.ingress import Pinning
from weaver.control.traffic import IngressOrder, Traffic
from weaver.manager.observed import HostView, Observed
from weaver.manager.placement import Group
from weaver.manager.rollout import effects, events
from weaver.manager.rollout.numbers import numbers
from weaver.manager.rollout.state import Front, Rollout, initial
from weaver.manager.rollout.step import step

NOBODY = HostView(attached=True)


def ingress(scene: Scene, deployment: str = NEW, host: str = "h1") -> IngressOrder:
    return scene.ordered(deployment, host).ingress["http"]


# --- weights ---


@pytest.mark.parametrize(("ready", "share"), [(4, 5_000), (3, 5_000), (2, 5_000), (1, 2_500)])
def test_a_version_gets_no_more_than_its_ready_replicas_can_carry(ready: int, share: int) -> None:
    scene = Scene().to("shifting", 1)
    scene.observe(NEW, ready=ready, wanted=4)
    assert scene.weights() == {OLD: 10_000 - share, NEW: share}


def test_a_step_is_over_only_when_the_version_can_carry_it() -> None:
    scene = Scene().to("shifting", 1)
    scene.observe(NEW, ready=1, wanted=4)
    scene.wait(60)
    assert scene.state.rollout.step == 1
    scene.observe(NEW, ready=2, wanted=4)
    assert scene.state.rollout.step == 2
    assert scene.weights() == {OLD: 5_000, NEW: 5_000}


def test_where_nobody_of_one_version_is_ready_the_other_gets_everything() -> None:
    scene = Scene().to("shifting", 1)
    scene.observe(NEW, ready=0)
    assert scene.weights() == {OLD: 10_000, NEW: 0}
    scene.observe(NEW, ready=2)
    scene.observe(OLD, ready=0)
    assert scene.weights() == {OLD: 0, NEW: 10_000}


def test_each_host_has_its_own_weights() -> None:
    scene = Scene(hosts=("h1", "h2")).to("shifting", 1)
    scene.observe(NEW, hosts={"h2": view(NEW, ready=1, wanted=4)})
    assert scene.weights("h1") == {OLD: 5_000, NEW: 5_000}
    assert scene.weights("h2") == {OLD: 7_500, NEW: 2_500}


def test_the_table_names_the_ready_replicas_of_both_versions() -> None:
    pinning = Pinning(cookie="version")
    scene = Scene(plan(fronts={"http": Front(pinning=pinning)})).to("shifting")
    table = ingress(scene).table
    assert {share.version: share.backends for share in table.shares} == {
        OLD: backends(OLD, 2),
        NEW: backends(NEW, 2),
    }
    assert table.pinning == pinning


def test_an_order_is_given_only_when_something_has_changed() -> None:
    scene = Scene().to("shifting")
    number = ingress(scene).table.number
    assert scene.observe(NEW) == []
    assert scene.report() == []
    assert ingress(scene).table.number == number
    (order,) = scene.observe(OLD, ready=1)
    assert isinstance(order, effects.OrderTraffic)
    assert ingress(scene).table.number > number


def test_numbers_of_tables_never_go_back_over_managers() -> None:
    first = Scene(hosts=("h1", "h2")).to("shifting", 1)
    last = first.state.said[NEW]
    for epoch in (2, 9):  # the one of another version may be smaller
        rollout = first.state.rollout
        second = initial(first.state.plan, rollout, epoch=epoch)
        for event in (
            events.Began(),
            events.VersionObserved(OLD, first.state.observed[OLD]),
            events.VersionObserved(
                NEW,
                Observed(
                    phase="live",
                    hosts={"h1": view(NEW, ready=1), "h2": view(NEW, ready=1)},
                    traffic=last,
                ),
            ),
        ):
            second, _ = step(second, event, 0.0)
        for host, traffic in second.said[NEW].items():
            assert traffic.ingress["http"].table.number > last[host].ingress["http"].table.number


# --- hosts ---


def test_all_hosts_must_serve_before_the_first_step() -> None:
    scene = Scene(hosts=("h1", "h2")).to("opening")
    scene.report(hosts=["h1"])
    assert scene.phase == "opening"
    assert not scene.ordered(OLD, "h1").accepting
    assert scene.ordered(OLD, "h2").accepting
    scene.report(hosts=["h2"])
    assert scene.phase == "shifting"


def test_a_host_that_is_cut_off_does_not_hold_up_the_others() -> None:
    cut = view(NEW, attached=False)
    scene = Scene(hosts=("h1", "h2")).to("opening")
    scene.observe(NEW, hosts={"h2": cut})
    scene.report(hosts=["h1"])
    assert scene.phase == "shifting"
    assert scene.ordered(OLD, "h2").accepting


def test_a_host_that_comes_late_gets_the_present_weights() -> None:
    scene = Scene(hosts=("h1", "h2")).to("opening")
    scene.observe(NEW, hosts={"h2": view(NEW, attached=False)})
    scene.report(hosts=["h1"])
    scene.wait(30)
    assert scene.weights("h2") == scene.weights("h1") == {OLD: 5_000, NEW: 5_000}
    scene.observe(NEW)
    assert scene.ordered(OLD, "h2").accepting
    scene.report(hosts=["h2"])
    assert not scene.ordered(OLD, "h2").accepting


def test_nothing_is_decided_while_no_host_is_reached() -> None:
    scene = Scene().to("shifting")
    scene.observe(NEW, hosts={"h1": view(NEW, attached=False)})
    scene.observe(OLD, hosts={"h1": view(OLD, attached=False)})
    scene.wait(3600)
    assert (scene.phase, scene.state.rollout.step) == ("shifting", 0)
    assert scene.state.timers
    scene.observe(OLD)
    scene.observe(NEW)
    assert scene.state.rollout.step == 1


def test_where_only_the_old_version_is_it_serves_until_it_is_stopped() -> None:
    scene = Scene(hosts=("h1", "h2"))
    scene.observe(NEW, hosts={"h2": NOBODY})
    for phase in ("opening", "shifting", "closing", "warm"):
        scene.to(phase)
        assert scene.ordered(OLD, "h2") == Traffic()
    assert scene.ordered(OLD, "h1") == Traffic(accepting=False)


def test_where_only_the_new_version_is_it_serves_nobody_before_the_end() -> None:
    scene = Scene(hosts=("h1", "h2"))
    scene.observe(OLD, hosts={"h2": NOBODY})
    scene.to("shifting", 2)
    assert not scene.ordered(NEW, "h2").accepting
    scene.to("closing")
    assert scene.ordered(NEW, "h2").accepting


def test_versions_that_share_no_host_change_over_at_once() -> None:
    scene = Scene(hosts=("h1", "h2"))
    scene.observe(OLD, hosts={"h2": NOBODY})
    scene.observe(NEW, hosts={"h1": NOBODY})
    assert scene.phase == "warm"
    assert scene.ordered(NEW, "h2").accepting
    assert scene.ordered(OLD, "h1").accepting


def test_an_application_without_listeners_changes_over_when_it_is_live() -> None:
    scene = Scene(hosts=())
    scene.observe(NEW)
    assert scene.phase == "warm"
    assert not any(phase.startswith(("opening", "shifting")) for phase in scene.phases())


def test_an_old_version_takes_over_where_the_new_one_has_lost_all_replicas() -> None:
    scene = Scene().to("warm")
    scene.observe(NEW, ready=0)
    assert scene.ordered(OLD).accepting
    assert scene.ordered(NEW).accepting
    scene.observe(NEW, ready=1)
    assert not scene.ordered(OLD).accepting


def test_a_host_whose_new_envelope_cannot_be_told_is_left_to_the_old_version() -> None:
    cut = view(NEW, attached=False)
    scene = Scene(hosts=("h1", "h2")).to("opening")
    scene.observe(NEW, hosts={"h2": cut})
    scene.report(hosts=["h1"])
    for _ in range(3):
        scene.wait(30)
    scene.report(0, hosts=["h1"])
    assert scene.phase == "warm"
    assert scene.ordered(OLD, "h2").accepting
    scene.observe(NEW)
    assert not scene.ordered(OLD, "h2").accepting


# --- the ingress and its end ---


def test_when_its_workers_are_gone_the_old_version_takes_connections_again() -> None:
    scene = Scene().to("shifting")
    scene.report(0)
    assert scene.ordered(OLD).accepting
    scene.report(1)
    assert not scene.ordered(OLD).accepting


def test_what_an_envelope_said_that_is_gone_counts_no_more() -> None:
    scene = Scene().to("shifting")
    scene.observe(NEW, hosts={"h1": HostView(attached=False, wanted={"http": 2})})
    assert scene.ordered(OLD).accepting


def test_closing_waits_until_the_ingress_has_ended() -> None:
    scene = Scene().to("closing")
    assert scene.ordered(NEW) == Traffic(predecessor="/run/old/control")
    scene.report(0, draining=1)
    assert scene.phase == "closing"
    scene.report(0)
    assert scene.phase == "warm"


def test_closing_goes_on_where_the_ingress_does_not_end() -> None:
    scene = Scene().to("closing")
    scene.wait(scene.state.plan.waits.closing)
    assert scene.phase == "warm"


def test_a_version_that_is_taken_back_is_stopped_when_its_ingress_has_ended() -> None:
    scene = Scene().to("shifting")
    scene.steer("rollback")
    assert scene.phase == "withdrawing"
    scene.report(0, draining=1)
    assert scene.all(effects.EndVersion) == []
    scene.report(0)
    assert scene.all(effects.EndVersion) == [effects.EndVersion(NEW)]


def test_a_host_whose_old_envelope_cannot_be_told_keeps_its_ingress() -> None:
    scene = Scene().to("shifting", 1)
    scene.observe(OLD, hosts={"h1": view(OLD, attached=False)})
    scene.steer("rollback")
    assert scene.weights() == {OLD: 10_000}
    scene.report(0)
    scene.wait(3600)
    assert scene.phase == "withdrawing"
    scene.observe(OLD)
    assert scene.ordered(NEW).ingress == {}
    assert scene.phase == "removing"


def test_an_ingress_that_does_not_end_holds_up_nothing_for_good() -> None:
    scene = Scene().to("shifting")
    scene.steer("rollback")
    scene.wait(scene.state.plan.waits.closing)
    assert scene.phase == "removing"
    scene.wait(scene.state.plan.waits.ending)
    assert scene.phase == "withdrawn"


# --- managers ---


def test_nothing_is_ordered_before_replicas_have_been_found_again() -> None:
    first = Scene().to("shifting", 1)
    state = initial(first.state.plan, first.state.rollout, epoch=4)
    done: list[effects.Effect] = []

    def tell(event: events.Event) -> None:
        nonlocal state, done
        state, done = step(state, event, 0.0)

    tell(events.Began())
    for settled in (False, True):
        for name in (OLD, NEW):
            ready = 2 if settled else 0
            observed = Observed(
                phase="live",
                settled=settled,
                hosts={"h1": view(name, ready)},
                traffic=first.state.said[name],
            )
            tell(events.VersionObserved(name, observed))
            assert not any(isinstance(effect, effects.OrderTraffic) for effect in done) or settled
    assert not state.said[NEW]["h1"].accepting
    assert state.rollout == first.state.rollout


def test_a_rollback_does_not_wait_for_replicas_to_be_found_again() -> None:
    scene = Scene().to("shifting", 1)
    scene.observe(NEW, ready=0, settled=False)
    scene.steer("rollback")
    assert scene.ordered(OLD) == Traffic()


def test_another_manager_that_takes_over_is_left_everything() -> None:
    scene = Scene().to("shifting")
    done = scene.observe(NEW, phase="stopping", result="fenced")
    assert [type(effect) for effect in done] == [effects.CancelTimer, effects.Finished]
    assert scene.all(effects.Finished) == [effects.Finished("fenced")]
    assert scene.steer("rollback") == []
    assert scene.state.rollout.phase == "shifting"


def test_facts_of_other_versions_are_ignored() -> None:
    state = initial(plan(), Rollout(old=OLD, new=NEW), epoch=1)
    after, _ = step(state, events.VersionObserved("other", Observed(phase="live")), 0.0)
    assert after.observed == {}


# --- numbers of replicas ---


def test_a_version_begins_with_as_many_replicas_as_the_old_one_has_grown_to() -> None:
    groups = {
        "web": Group(components=("W",), replicas=1, least=1, most=8),
        "cart": Group(components=("C",), replicas=3, least=3, most=4),
        "mail": Group(components=("M",), replicas=2),
        "new": Group(components=("N",), replicas=1, least=1, most=4),
    }
    running = {"web": 6, "cart": 9, "mail": 5}
    assert numbers(groups, running) == {"web": 6, "cart": 4}
