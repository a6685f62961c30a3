"""Each bad version is taken back by itself, with the reason, and no good one is."""

from collections.abc import Callable
from typing import Any

import pytest
from rollout_scene import NEW, OLD, Scene, plan, view

from weaver.control.ingress import FailedRequest, VersionCounts
from weaver.control.messages import Fault
from weaver.control.traffic import Traffic
from weaver.manager.observed import CrashLoop
from weaver.manager.rollout import effects, events
from weaver.telemetry.histogram import BUCKETS, bucket

FAST, SLOW = 0.003, 0.015


def histogram(number: int, seconds: float) -> tuple[int, ...]:
    counts = [0] * BUCKETS
    counts[bucket(int(seconds * 1e9))] = number
    return tuple(counts)


def counts(
    name: str, requests: int, errors: int = 0, seconds: float = FAST, in_flight: int = 1
) -> VersionCounts:
    return VersionCounts(name, requests, errors, 0, in_flight, histogram(requests, seconds))


def reason(scene: Scene) -> str:
    fault = scene.state.rollout.fault
    return "" if fault is None else f"{fault.what}: {fault.why}"


def failed(scene: Scene, phase: str = "withdrawing") -> bool:
    """Whether it is being taken back by itself, and the old version serves everybody again."""
    assert scene.phase == phase
    assert scene.ordered(OLD) == Traffic()
    return scene.state.rollout.outcome == "failed"


def shifting(**changes: Any) -> Scene:
    scene = Scene(plan(**changes)).to("shifting")
    scene.report(versions=[counts(OLD, 0), counts(NEW, 0)])
    return scene


# --- errors ---


def test_half_of_the_requests_failing_is_found_in_the_first_step() -> None:
    scene = shifting()
    scene.report(versions=[counts(OLD, 190), counts(NEW, 10, errors=5)])
    assert failed(scene)
    assert reason(scene) == (
        "shop-2 fails 50.0% of its requests: 5 of 10 against 0 of 190 of shop-1, and [rollout] "
        "abort_on.error_rate admits 1.00% more"
    )
    assert scene.state.rollout.step == 0


def test_an_old_version_that_fails_as_much_is_no_reason_to_go_back() -> None:
    scene = shifting()
    for n in range(1, 20):
        scene.report(versions=[counts(OLD, 190 * n, errors=95 * n), counts(NEW, 10 * n, 5 * n)])
    assert scene.phase == "shifting"


def test_more_errors_are_admitted_where_the_configuration_says_so() -> None:
    scene = shifting(error_rate=0.5)
    for n in range(1, 20):
        scene.report(versions=[counts(OLD, 190 * n), counts(NEW, 10 * n, 5 * n)])
    assert scene.phase == "shifting"


def test_what_was_counted_before_the_step_does_not_belong_to_it() -> None:
    scene = Scene().to("opening")
    scene.report(versions=[counts(NEW, 100, errors=100), counts(OLD, 1000)])
    assert scene.phase == "shifting"
    scene.report(versions=[counts(NEW, 100, errors=100), counts(OLD, 2000)])
    assert scene.phase == "shifting"
    scene.report(versions=[counts(NEW, 130, errors=130), counts(OLD, 2570)])
    assert failed(scene)


def test_an_envelope_that_counts_from_zero_again_is_understood() -> None:
    scene = shifting()
    scene.report(versions=[counts(OLD, 1000), counts(NEW, 50)])
    scene.report(versions=[counts(OLD, 10), counts(NEW, 2, errors=1)])
    assert scene.state.window[OLD].requests == 1010
    assert scene.state.window[NEW].requests == 52
    assert scene.state.window[NEW].errors == 1


def test_counts_of_all_hosts_are_added_up() -> None:
    scene = Scene(hosts=("h1", "h2")).to("shifting")
    scene.report(versions=[counts(OLD, 0), counts(NEW, 0)])
    scene.report(versions=[counts(OLD, 100), counts(NEW, 5, errors=3)])
    assert failed(scene)
    assert "6 of 10" in reason(scene)


def test_the_last_step_is_compared_with_the_one_before() -> None:
    scene = shifting()
    scene.report(versions=[counts(OLD, 500), counts(NEW, 25)])
    scene.to("shifting", 1)
    scene.report(versions=[counts(OLD, 1000), counts(NEW, 500)])
    scene.to("shifting", 2)
    assert scene.weights() == {OLD: 0, NEW: 10_000}
    scene.report(versions=[counts(OLD, 1000), counts(NEW, 520, errors=10)])
    assert failed(scene)
    assert "10 of 20 against 0 of 500" in reason(scene)


def test_in_a_step_only_what_happens_at_the_same_time_is_compared() -> None:
    """A database that fails at the beginning of a step fails for both."""
    scene = shifting()
    scene.report(versions=[counts(OLD, 5000), counts(NEW, 250)])
    scene.to("shifting", 1)
    scene.report(versions=[counts(OLD, 5020, errors=20), counts(NEW, 270, errors=20)])
    assert scene.phase == "shifting"


@pytest.mark.parametrize(("errors", "found"), [(1, False), (20, True)])
def test_a_version_that_gets_everything_at_once_has_itself_to_speak_for_it(
    errors: int, *, found: bool
) -> None:
    scene = Scene(plan(steps=(1.0,))).to("shifting")
    scene.report(versions=[counts(NEW, 0)])
    scene.report(versions=[counts(NEW, 40, errors=errors)])
    assert (scene.phase == "withdrawing") is found
    assert ("nothing to compare with" in reason(scene)) is found


# --- latency and saturation ---


def test_a_version_five_times_slower_is_found_in_the_first_step() -> None:
    scene = shifting()
    scene.report(versions=[counts(OLD, 1900), counts(NEW, 100, seconds=SLOW)])
    assert failed(scene)
    assert "shop-2 is slower than shop-1" in reason(scene)
    assert "abort_on.p99_factor is 2" in reason(scene)


def test_an_old_version_as_slow_is_no_reason_to_go_back() -> None:
    scene = shifting()
    scene.report(versions=[counts(OLD, 1900, seconds=SLOW), counts(NEW, 100, seconds=SLOW)])
    assert scene.phase == "shifting"


def test_a_larger_factor_admits_a_slower_version() -> None:
    scene = shifting(p99_factor=8.0)
    scene.report(versions=[counts(OLD, 1900), counts(NEW, 100, seconds=SLOW)])
    assert scene.phase == "shifting"


def test_a_version_that_never_answers_is_found_by_what_waits_for_it() -> None:
    scene = shifting()
    for second in range(8):
        waiting = counts(NEW, 0, in_flight=70 + second)
        scene.report(versions=[counts(OLD, 100 * second, in_flight=2), waiting])
        scene.wait(1)
        if scene.phase != "shifting":
            break
    assert failed(scene)
    assert "does not answer" in reason(scene)


def test_a_version_that_answers_again_is_left_alone() -> None:
    scene = shifting()
    for second in range(20):
        waiting = counts(NEW, 0, in_flight=0 if second % 4 == 3 else 100)
        scene.report(versions=[counts(OLD, 100 * second, in_flight=2), waiting])
        scene.wait(1)
    assert scene.phase == "shifting"


def test_many_requests_in_flight_are_no_reason_where_the_old_version_has_as_many() -> None:
    scene = shifting()
    for second in range(10):
        scene.report(versions=[counts(OLD, 0, in_flight=1900), counts(NEW, 0, in_flight=100)])
        scene.wait(1)
        assert second < 10
    assert scene.phase == "shifting"


# --- what replicas and envelopes say ---

LOOP = CrashLoop("web-2", Fault("web-2 ends again and again", why="boom"))


@pytest.mark.parametrize("phase", ["before", "opening", "shifting", "closing", "after", "warm"])
def test_a_crash_loop_takes_the_version_back_in_every_phase(phase: str) -> None:
    scene = Scene(plan(before=True, after=True)).to(phase)
    scene.observe(NEW, ready=1, crash_loop=LOOP)
    assert scene.state.rollout.outcome == "failed"
    assert reason(scene) == "web-2 ends again and again: boom"
    assert scene.ordered(OLD) == Traffic()


def test_a_crash_loop_in_both_versions_is_no_reason() -> None:
    scene = Scene().to("shifting")
    scene.observe(OLD, ready=1, crash_loop=LOOP)
    scene.observe(NEW, ready=1, crash_loop=LOOP)
    assert scene.phase == "shifting"


def test_a_version_that_never_gets_healthy_is_taken_back_before_anybody_sees_it() -> None:
    scene = Scene()
    fault = Fault("the deployment was not live within 120 s")
    scene.observe(NEW, phase="stopping", ready=0, result="failed", fault=fault)
    assert failed(scene, "removing")
    scene.observe(NEW, phase="stopped", ready=0, result="failed", fault=fault)
    assert scene.phase == "withdrawn"
    assert scene.all(effects.Finished) == [effects.Finished("failed", fault)]
    assert all(order.deployment == OLD for order in scene.all(effects.OrderTraffic))


def test_a_version_that_is_stopped_halfway_leaves_everything_to_the_old_one() -> None:
    scene = Scene().to("shifting")
    scene.observe(NEW, phase="stopping", result="stopped")
    assert failed(scene, "removing")
    assert reason(scene) == "shop-2 has ended: stopped"


def test_a_migration_that_fails_takes_the_version_back_with_its_last_lines() -> None:
    scene = Scene(plan(before=True)).to("before")
    scene.tell(events.HookEnded("before", Fault("exit code 1"), ("no such table", "bye")))
    assert failed(scene, "removing")
    assert reason(scene) == "exit code 1: its last lines:\nno such table\nbye"


def test_a_migration_that_never_ends_is_cancelled() -> None:
    scene = Scene(plan(before=True)).to("before")
    scene.wait(scene.state.plan.waits.hook)
    assert failed(scene, "removing")
    assert scene.all(effects.CancelHook) == [effects.CancelHook("before")]
    scene.tell(events.HookEnded("before"))
    assert scene.phase == "removing"


def test_a_last_hook_that_fails_is_told_and_takes_nothing_back() -> None:
    scene = Scene(plan(after=True)).to("after")
    scene.tell(events.HookEnded("after", Fault("exit code 1")))
    assert scene.phase == "warm"
    assert scene.to("done").all(effects.Finished)[0].fault == Fault("exit code 1")


def test_a_rollback_after_a_last_hook_that_failed_is_not_put_down_to_it() -> None:
    scene = Scene(plan(after=True)).to("after")
    scene.tell(events.HookEnded("after", Fault("exit code 1")))
    scene.steer("rollback")
    assert (scene.state.rollout.outcome, scene.state.rollout.fault) == ("rolled back", None)
    assert "is taken back: rolled back" in scene.all(effects.Report)[-2].text


def test_too_few_ready_replicas_take_the_version_back_in_the_end() -> None:
    scene = Scene(hosts=("h1", "h2")).to("shifting", 1)
    scene.observe(NEW, hosts={"h2": view(NEW, ready=0)})
    scene.wait(scene.state.plan.waits.capacity)
    assert failed(scene)
    assert scene.state.rollout.fault is not None
    assert scene.state.rollout.fault.where == "h2"
    assert "it could not take 50% of the requests for 120 s" in reason(scene)


def test_an_ingress_that_never_serves_takes_the_version_back() -> None:
    scene = Scene().to("opening")
    scene.report(0)
    scene.wait(scene.state.plan.waits.opening)
    assert failed(scene, "removing")
    assert "has not taken connections" in reason(scene)


def test_an_ingress_that_serves_no_more_takes_the_version_back() -> None:
    scene = Scene().to("shifting")
    scene.report(0)
    assert scene.ordered(OLD).accepting
    scene.wait(scene.state.plan.waits.opening)
    assert failed(scene, "removing")
    assert "no worker has served for 30 s" in reason(scene)


def test_the_latest_failed_requests_of_the_new_version_are_kept_as_evidence() -> None:
    def requests(name: str, first: int) -> tuple[FailedRequest, ...]:
        return tuple(FailedRequest(name, i, "GET", f"/{i}", 500) for i in range(first, first + 15))

    scene = shifting()
    scene.report(failures=requests(NEW, 0) + requests(OLD, 0), versions=[counts(OLD, 190)])
    scene.report(failures=requests(NEW, 15), versions=[counts(OLD, 500), counts(NEW, 30, 30)])
    assert failed(scene)
    evidence = scene.state.rollout.evidence
    assert [request.path for request in evidence] == [f"/{i}" for i in range(10, 30)]
    assert {request.version for request in evidence} == {NEW}
    assert scene.to("withdrawn").all(effects.Finished)[0].evidence == evidence


BAD: dict[str, Callable[[Scene], object]] = {
    "errors": lambda s: s.report(versions=[counts(OLD, 190), counts(NEW, 10, 10)]),
    "crash loop": lambda s: s.observe(NEW, ready=1, crash_loop=LOOP),
    "end": lambda s: s.observe(NEW, phase="stopping", result="failed"),
}


@pytest.mark.parametrize("bad", BAD)
def test_nothing_is_taken_back_to_a_version_that_has_ended(bad: str) -> None:
    scene = shifting()
    scene.observe(OLD, phase="stopping", result="stopped")
    assert scene.phase == "closing"
    assert scene.ordered(NEW).accepting
    BAD[bad](scene)
    ended = bad == "end"
    assert scene.phase == ("removing" if ended else "closing")
