"""A rollout in which nothing fails, phase by phase."""

from rollout_scene import NEW, OLD, Scene, plan, view

from weaver.control.messages import Fault
from weaver.control.traffic import Traffic
from weaver.manager.rollout import effects, events


def test_a_new_version_serves_nobody_until_it_is_live() -> None:
    scene = Scene()
    assert scene.phase == "starting"
    assert scene.ordered(NEW) == Traffic(accepting=False, predecessor="/run/old/control")
    assert scene.all(effects.OrderTraffic) == [effects.OrderTraffic(OLD, {"h1": Traffic()})]


def test_the_ingress_begins_with_all_weight_on_the_old_version() -> None:
    scene = Scene().to("opening")
    assert scene.weights() == {OLD: 10_000, NEW: 0}
    assert scene.ordered(OLD).accepting


def test_the_old_version_stops_taking_connections_when_the_ingress_serves() -> None:
    scene = Scene().to("opening")
    scene.report(serving=1)
    assert not scene.ordered(OLD).accepting
    assert scene.weights() == {OLD: 9_500, NEW: 500}


def test_a_rollout_goes_through_all_its_phases() -> None:
    scene = Scene(plan(before=True, after=True)).to("done")
    assert scene.phases() == [
        "starting 0", "before 0", "opening 0", "shifting 0", "shifting 1", "shifting 2",
        "closing 2", "after 2", "warm 2", "retiring 2", "done 2",
    ]  # fmt: skip
    assert [hook.which for hook in scene.all(effects.RunHook)] == ["before", "after"]
    assert scene.all(effects.CancelHook) == []
    assert scene.all(effects.EndVersion) == [effects.EndVersion(OLD)]
    assert scene.all(effects.Finished) == [effects.Finished("promoted")]
    assert scene.ordered(NEW) == Traffic()
    assert scene.state.timers == {}


def test_a_timer_that_was_set_anew_does_not_fire_at_its_old_time() -> None:
    scene = Scene().to("shifting")
    for name in ("step", "phase", "capacity", "unknown"):
        scene.tell(events.TimerFired(name))
    assert (scene.phase, scene.state.rollout.step) == ("shifting", 0)
    scene.wait(30)
    assert scene.state.rollout.step == 1


def test_what_an_earlier_hook_says_late_is_ignored() -> None:
    scene = Scene(plan(before=True, after=True)).to("shifting")
    scene.tell(events.HookEnded("before", Fault("too late")))
    scene.tell(events.HookEnded("after", Fault("too early")))
    assert (scene.phase, scene.state.rollout.fault) == ("shifting", None)


def test_a_rollout_without_steps_to_watch_goes_straight_on() -> None:
    scene = Scene(plan(steps=(1.0,), keep_warm=0.0)).to("done")
    assert [s for s in scene.phases() if s.startswith("shifting")] == ["shifting 0"]
    assert scene.all(effects.Finished) == [effects.Finished("promoted")]


def test_every_decision_is_told() -> None:
    scene = Scene().to("done")
    texts = [report.text for report in scene.all(effects.Report)]
    assert "shop-2 gets 5.0% of the requests" in texts
    assert "shop-1 runs on for a rollback" in texts
    assert all(texts)


def test_the_old_version_serves_on_until_the_new_one_is_there_again_and_no_longer() -> None:
    scene = Scene(plan(keep_warm=5.0)).to("warm")
    scene.observe(NEW, ready=0)
    assert scene.ordered(OLD).accepting
    scene.wait(6)
    assert scene.phase == "warm"
    scene.observe(NEW)
    assert scene.phase == "retiring"


def test_nothing_goes_on_after_the_steps_while_the_new_version_is_ready_nowhere() -> None:
    scene = Scene(plan(after=True)).to("closing")
    scene.observe(NEW, ready=0, hosts={"h1": view(NEW, ready=0, attached=False)})
    scene.report(0)
    assert scene.phase == "closing"
    assert scene.ordered(OLD).accepting
    assert scene.all(effects.RunHook) == [], "there is nobody who could run it"
    scene.observe(NEW)
    scene.report(0)
    assert scene.phase == "after"


def test_an_envelope_of_either_version_finds_the_listeners_at_the_other() -> None:
    scene = Scene(plan(successors={"h1": "/run/new/control"})).to("shifting")
    assert scene.ordered(NEW).predecessor == "/run/old/control"
    assert scene.ordered(OLD).predecessor == "/run/new/control"
    scene.steer("abort")
    scene.to("withdrawing")
    assert scene.ordered(OLD) == Traffic(predecessor="/run/new/control")
    scene.to("withdrawn")
    assert scene.ordered(OLD) == Traffic()


def test_the_old_version_runs_on_while_a_host_is_out_of_reach_that_sends_it_requests() -> None:
    scene = Scene(plan(keep_warm=5.0), hosts=("h1", "h2")).to("shifting")
    away = {OLD: view(OLD, attached=False), NEW: view(NEW, attached=False)}
    for deployment, there in away.items():
        scene.observe(deployment, hosts={"h2": there})
    while scene.phase == "shifting":
        scene.wait(30)
    scene.report(0, hosts=["h1"])
    assert scene.phase == "warm"
    scene.wait(200)
    assert scene.phase == "warm"
    for deployment in away:
        scene.observe(deployment)
    assert scene.phase == "warm"
    scene.report(0, draining=1, hosts=["h2"])
    assert scene.phase == "retiring"


def test_what_a_host_said_before_it_was_started_anew_holds_nothing_up() -> None:
    scene = Scene(plan(keep_warm=5.0), hosts=("h1", "h2")).to("shifting")
    scene.observe(NEW, hosts={"h2": view(NEW, attached=False)})
    while scene.phase == "shifting":
        scene.wait(30)
    scene.report(0, hosts=["h1"])
    scene.wait(10)
    assert scene.phase == "warm"
    scene.observe(NEW, hosts={"h2": view(NEW, ready=0)})
    assert scene.phase == "warm"
    scene.observe(NEW)
    assert scene.phase == "retiring"
