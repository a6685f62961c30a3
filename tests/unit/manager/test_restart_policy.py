import pytest

from weaver.control.restarts import Restarts
from weaver.manager.restart import RestartPolicy

NONE = 0.5  # in the middle: the nominal delay


def exits(policy: RestartPolicy, times: list[float]) -> list[float]:
    delays: list[float] = []
    for at in times:
        policy.started(at)
        delays.append(policy.exited(at, NONE).delay)
    return delays


def test_the_first_restart_is_at_once_then_delays_double_up_to_the_longest() -> None:
    policy = RestartPolicy(Restarts())
    assert exits(policy, [float(i) for i in range(10)]) == pytest.approx(
        [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]
    )


def test_delays_stay_finite_however_many_exits_there_are() -> None:
    policy = RestartPolicy(Restarts())
    assert exits(policy, [float(i) for i in range(5000)])[-1] == 10.0


def test_jitter_moves_a_delay_by_a_fifth_at_most_and_never_beyond_the_longest() -> None:
    low, high = RestartPolicy(Restarts()), RestartPolicy(Restarts())
    for policy in (low, high):
        policy.exited(0.0, NONE)
    assert low.exited(0.0, 0.0).delay == pytest.approx(0.08)
    assert high.exited(0.0, 1.0).delay == pytest.approx(0.12)
    for _ in range(20):
        assert high.exited(0.0, 1.0).delay <= 10.0


def test_a_replica_that_was_healthy_starts_as_new() -> None:
    policy = RestartPolicy(Restarts(healthy=60))
    exits(policy, [0.0, 1.0, 2.0, 3.0])
    policy.started(10.0)
    verdict = policy.exited(70.0, NONE)
    assert verdict == (0.0, False)
    policy.started(70.0)
    assert policy.exited(70.1, NONE).delay == pytest.approx(0.1)


def test_five_crashes_within_thirty_seconds_are_a_crash_loop() -> None:
    policy = RestartPolicy(Restarts())
    found = [policy.exited(at, NONE).crash_loop for at in (0.0, 5.0, 10.0, 15.0, 29.0)]
    assert found == [False, False, False, False, True]


def test_crashes_that_are_further_apart_are_no_crash_loop() -> None:
    policy = RestartPolicy(Restarts())
    assert not any(policy.exited(at * 8.0, NONE).crash_loop for at in range(20))


def test_a_crash_loop_ends_when_crashes_become_rare() -> None:
    policy = RestartPolicy(Restarts())
    for _ in range(5):
        policy.exited(0.0, NONE)
    assert policy.exited(1.0, NONE).crash_loop
    assert not policy.exited(40.0, NONE).crash_loop


def test_exits_without_a_start_are_counted_too() -> None:
    policy = RestartPolicy(Restarts(crashes=2))
    policy.exited(0.0, NONE)
    assert policy.exited(0.0, NONE).crash_loop
