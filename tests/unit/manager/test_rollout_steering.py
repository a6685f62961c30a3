"""What people may do to a rollout, and when it is refused."""

import pytest
from rollout_scene import NEW, OLD, Scene, plan, view

from weaver.control.messages import Fault
from weaver.control.traffic import Traffic
from weaver.manager.rollout import effects, events
from weaver.manager.rollout.steering import refusal

AHEAD = ["starting", "before", "opening", "shifting"]
MOVED = ["closing", "after", "warm"]
OVER = ["retiring", "done"]
AGAIN = "deploy it again"
HOOKS = plan(before=True, after=True)


def test_a_paused_rollout_stays_at_its_step_until_it_is_resumed() -> None:
    scene = Scene().to("shifting")
    scene.steer("pause")
    scene.wait(3600)
    assert (scene.phase, scene.state.rollout.step, scene.state.timers) == ("shifting", 0, {})
    scene.steer("resume")
    assert (scene.phase, scene.state.rollout.step) == ("shifting", 1)


def test_a_paused_rollout_goes_on_in_time_if_it_is_resumed_before() -> None:
    scene = Scene().to("shifting")
    scene.steer("pause")
    scene.wait(10)
    scene.steer("resume")
    scene.wait(19)
    assert scene.state.rollout.step == 0
    scene.wait(1)
    assert scene.state.rollout.step == 1


@pytest.mark.parametrize("phase", ["starting", "before", "opening"])
def test_a_rollout_that_is_paused_early_gives_the_new_version_nothing(phase: str) -> None:
    scene = Scene(plan(before=True)).to(phase)
    scene.steer("pause")
    scene.observe(NEW)
    scene.tell(events.HookEnded("before"))
    scene.report()
    scene.wait(3600)
    assert scene.phase in {"before", "opening"}
    scene.steer("resume")
    scene.tell(events.HookEnded("before"))
    scene.report()
    assert scene.phase == "shifting"
    assert scene.all(effects.RunHook) == [effects.RunHook("before")]


@pytest.mark.parametrize("action", ["resume", "promote"])
def test_no_migration_begins_while_a_rollout_is_paused(action: events.Action) -> None:
    scene = Scene(HOOKS)
    scene.steer("pause")
    scene.observe(NEW)
    scene.wait(3600)
    assert (scene.phase, scene.all(effects.RunHook)) == ("before", [])
    scene.steer(action)
    assert scene.all(effects.RunHook) == [effects.RunHook("before")]
    scene.wait(scene.state.plan.waits.hook)
    assert scene.state.rollout.outcome == "failed", "it has its time from when it begins"


def test_a_migration_that_had_not_begun_is_run_under_the_next_manager() -> None:
    scene = Scene(HOOKS, phase="before", held=True)
    scene.observe(NEW)
    assert (scene.phase, scene.all(effects.RunHook)) == ("before", [])
    scene.steer("resume")
    assert scene.all(effects.RunHook) == [effects.RunHook("before")]
    begun = Scene(HOOKS, phase="before", held=True, migrated=True)
    assert begun.state.rollout.outcome == "failed"


def test_a_paused_rollout_is_still_watched() -> None:
    scene = Scene().to("shifting")
    scene.steer("pause")
    scene.observe(NEW, phase="stopping", result="failed")
    assert scene.state.rollout.outcome == "failed"


def test_promote_skips_the_remaining_steps() -> None:
    scene = Scene().to("shifting")
    scene.steer("promote")
    assert scene.phase == "closing"
    assert scene.ordered(NEW).accepting


def test_promote_never_exceeds_what_is_ready() -> None:
    scene = Scene().to("shifting")
    scene.observe(NEW, ready=1)
    scene.steer("promote")
    assert (scene.phase, scene.weights()) == ("shifting", {OLD: 5_000, NEW: 5_000})
    scene.observe(NEW, ready=2)
    assert scene.phase == "closing"


@pytest.mark.parametrize("phase", ["starting", "before", "opening"])
def test_promote_before_the_first_step_skips_all_of_them(phase: str) -> None:
    scene = Scene(plan(before=True)).to(phase)
    scene.steer("promote")
    scene.to("closing")
    assert [p for p in scene.phases() if p.startswith("shifting")] in ([], ["shifting 2"])
    assert "opening 0" in scene.phases()


def test_promote_of_a_warm_rollout_ends_the_old_version() -> None:
    scene = Scene().to("warm")
    scene.steer("promote")
    assert scene.all(effects.EndVersion) == [effects.EndVersion(OLD)]


def test_promote_of_a_warm_rollout_leaves_the_old_version_where_it_is_needed() -> None:
    scene = Scene().to("warm")
    scene.observe(NEW, ready=0)
    assert scene.ordered(OLD).accepting
    scene.steer("promote")
    assert (scene.phase, scene.all(effects.EndVersion)) == ("warm", [])
    scene.observe(NEW)
    assert scene.all(effects.EndVersion) == [effects.EndVersion(OLD)]


@pytest.mark.parametrize("phase", AHEAD + MOVED)
def test_a_rollback_gives_everything_back_at_once(phase: str) -> None:
    scene = Scene(HOOKS).to(phase)
    scene.steer("rollback")
    assert scene.ordered(OLD) == Traffic()
    standby = Traffic(accepting=False, predecessor="/run/old/control")
    assert scene.ordered(NEW) == standby
    scene.to("withdrawn")
    assert scene.all(effects.EndVersion) == [effects.EndVersion(NEW)]
    assert scene.all(effects.Finished) == [effects.Finished("rolled back")]


def test_a_rollback_while_a_hook_runs_cancels_it() -> None:
    scene = Scene(HOOKS).to("before")
    scene.steer("rollback")
    assert scene.all(effects.CancelHook) == [effects.CancelHook("before")]


def test_the_old_version_takes_connections_before_the_new_one_stops() -> None:
    scene = Scene().to("warm")
    done = scene.steer("rollback")
    kinds = [type(effect).__name__ for effect in done]
    orders = [effect for effect in done if isinstance(effect, effects.OrderTraffic)]
    assert [order.deployment for order in orders] == [OLD, NEW]
    assert kinds[0] == "Save"
    assert kinds.index("EndVersion") > kinds.index("OrderTraffic")


def test_nothing_is_done_about_a_rollout_that_is_taken_back() -> None:
    scene = Scene().to("shifting")
    scene.steer("rollback")
    scene.steer("promote")
    assert scene.phase == "withdrawing"
    assert refusal(scene.state, "promote") == Fault(f"{NEW} is being taken back", fix=AGAIN)
    assert refusal(scene.state, "rollback") is None
    scene.to("withdrawn")
    assert refusal(scene.state, "resume") == Fault(f"{NEW} has been taken back", fix=AGAIN)


@pytest.mark.parametrize("phase", OVER)
def test_a_rollback_is_refused_when_the_old_version_is_gone(phase: str) -> None:
    scene = Scene().to(phase)
    scene.steer("rollback")
    assert scene.phase == phase
    fault = refusal(scene.state, "rollback")
    assert fault is not None
    assert fault.what == "shop-1 does not run any more"


def test_a_rollback_to_a_version_that_was_stopped_is_refused() -> None:
    scene = Scene().to("shifting")
    scene.observe(OLD, phase="stopping", result="stopped")
    fault = refusal(scene.state, "rollback")
    assert fault is not None
    assert fault.what == "there is no version to go back to"


@pytest.mark.parametrize("phase", MOVED)
def test_an_abort_is_refused_when_the_new_version_serves_everybody(phase: str) -> None:
    scene = Scene(HOOKS).to(phase)
    scene.steer("abort")
    assert scene.phase == phase
    fault = refusal(scene.state, "abort")
    assert fault is not None
    assert fault.what == "shop-2 serves everybody already"


@pytest.mark.parametrize("phase", MOVED + OVER)
def test_there_is_nothing_to_pause_when_the_new_version_serves_everybody(phase: str) -> None:
    scene = Scene(HOOKS).to(phase)
    fault = refusal(scene.state, "pause")
    assert fault is not None
    assert fault.what == "there is nothing to pause"


def test_there_is_nothing_to_resume_that_is_not_paused() -> None:
    assert refusal(Scene().state, "resume") is not None


@pytest.mark.parametrize("phase", AHEAD)
def test_a_newer_version_takes_this_one_back(phase: str) -> None:
    scene = Scene(HOOKS).to(phase)
    scene.steer("supersede")
    scene.to("withdrawn")
    assert scene.all(effects.Finished) == [effects.Finished("superseded")]


def test_a_newer_version_ends_the_wait_of_one_that_serves() -> None:
    scene = Scene().to("warm")
    scene.steer("supersede")
    scene.to("done")
    assert scene.all(effects.Finished) == [effects.Finished("promoted")]


def test_a_first_version_can_be_aborted() -> None:
    scene = Scene(old="")
    assert refusal(scene.state, "abort") is None
    scene.steer("abort")
    scene.to("withdrawn")
    assert scene.all(effects.EndVersion) == [effects.EndVersion(NEW)]


def test_the_old_version_runs_on_until_the_new_one_serves_everywhere() -> None:
    scene = Scene(hosts=("h1", "h2")).to("warm")
    scene.observe(NEW, hosts={"h2": view(NEW, ready=0)})
    assert scene.ordered(OLD, "h2").accepting
    assert not scene.ordered(OLD, "h1").accepting
    scene.wait(1000)
    assert scene.phase == "warm"
    scene.observe(NEW)
    assert not scene.ordered(OLD, "h2").accepting
    scene.wait(60)
    assert scene.phase == "retiring"


def test_a_restarted_manager_holds_what_was_held() -> None:
    scene = Scene(phase="shifting", step=1, held=True)
    scene.observe(NEW)
    scene.report()
    scene.wait(3600)
    assert (scene.phase, scene.state.rollout.step) == ("shifting", 1)
    scene.tell(events.Steered("resume"))
    assert scene.state.rollout.step == 2
