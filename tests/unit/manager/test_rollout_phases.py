"""A rollout in which nothing fails, phase by phase."""

from rollout_scene import NEW, OLD, Scene, plan

from weaver.control.traffic import Traffic
from weaver.manager.rollout import effects


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
