"""What an envelope decides, with times that the test gives."""

import msgspec
import pytest

from weaver.control.messages import GroupOrder, Orders, RegisterReplica
from weaver.control.restarts import Heartbeats, Restarts
from weaver.envelope.supervision import FIRST_WORD, START_TIMEOUT, Phase, Replica, Supervision

GROUPS = {"front": GroupOrder(("Web",)), "shop": GroupOrder(("Cart",))}


def orders(number: int, **replicas: str) -> Orders:
    return Orders(
        number,
        GROUPS,
        replicas,
        restarts=Restarts(first=1.0, most=4.0, healthy=60.0, crashes=3, window=30.0),
        heartbeats=Heartbeats(every=1.0, missed=3),
    )


def names(replicas: list[Replica]) -> list[str]:
    return [replica.name for replica in replicas]


def started(supervision: Supervision, now: float = 0.0) -> list[Replica]:
    """Everything that is due runs and has registered."""
    found = supervision.startable(now)
    for replica in found:
        supervision.starting(replica, now)
        replica.pid, replica.phase = 100 + replica.incarnation, Phase.RUNNING
        replica.registered = RegisterReplica("unix:/x")
    return found


def running(**replicas: str) -> Supervision:
    supervision = Supervision()
    supervision.apply(orders(1, **replicas), 0.0)
    started(supervision)
    return supervision


def test_ordered_replicas_are_due_at_once() -> None:
    supervision = Supervision()
    supervision.apply(orders(1, a="front", b="shop"), 5.0)
    assert names(supervision.startable(5.0)) == ["a", "b"]
    assert names(supervision.startable(5.0, without=["front"])) == ["b"]


def test_a_group_that_is_not_described_has_no_replicas() -> None:
    supervision = Supervision()
    supervision.apply(orders(1, a="unknown"), 0.0)
    assert supervision.replicas == {}


def test_orders_said_twice_change_nothing() -> None:
    supervision = running(a="front")
    assert supervision.apply(orders(1, a="front"), 1.0) == ([], [])
    assert supervision.apply(orders(2, a="front"), 1.0) == ([], [])
    assert supervision.startable(1.0) == []


def test_older_orders_are_ignored() -> None:
    supervision = running(a="front")
    supervision.apply(orders(3, a="front"), 1.0)
    assert supervision.apply(orders(2), 1.0) == ([], [])
    assert list(supervision.replicas) == ["a"]


def test_what_is_not_listed_is_stopped_and_forgotten_when_it_has_ended() -> None:
    supervision = running(a="front")
    unwanted = supervision.apply(orders(2), 1.0)
    assert names(unwanted.stopping) == ["a"]
    assert supervision.apply(orders(3), 1.0) == ([], [])
    assert supervision.exited(unwanted.stopping[0], 2.0, 0.5) == (None, False)
    assert supervision.replicas == {}


def test_what_is_not_listed_and_does_not_run_is_forgotten_at_once() -> None:
    supervision = Supervision()
    supervision.apply(orders(1, a="front"), 0.0)
    unwanted = supervision.apply(orders(2), 0.0)
    assert (unwanted.stopping, names(unwanted.forgotten)) == ([], ["a"])


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": {"a": "shop"}},
        {"groups": {**GROUPS, "front": GroupOrder(("Web", "Cart"))}},
    ],
)
def test_a_replica_with_another_purpose_is_replaced(change: dict[str, object]) -> None:
    supervision = running(a="front")
    new = msgspec.structs.replace(orders(2, a="front"), **change)
    (old,) = supervision.apply(new, 1.0).stopping
    assert supervision.startable(1.0) == []
    assert supervision.exited(old, 2.0, 0.5) == (0.0, False)
    (successor,) = started(supervision, 2.0)
    assert successor.incarnation == 2
    assert successor.order == new.groups[new.replicas["a"]]


def test_a_crash_restarts_at_once_then_with_growing_delays() -> None:
    supervision = running(a="front")
    replica = supervision.replicas["a"]
    delays: list[float | None] = []
    now = looping = 0.0
    for _ in range(3):
        delay, looping = supervision.exited(replica, now, 0.5)
        delays.append(delay)
        assert supervision.next_due(now) == (delay or None)
        assert delay is not None
        now += delay
        started(supervision, now)
    assert delays == [0.0, 1.0, 2.0]
    assert looping
    assert replica.incarnation == 4
    assert replica.state().restarts == 3


def test_a_replica_that_ran_for_longer_than_its_delay_is_restarted_at_once() -> None:
    supervision = running(a="front")
    replica = supervision.replicas["a"]
    for now in (5.0, 10.0, 15.0):
        assert supervision.exited(replica, now, 0.5)[0] == 0.0
        started(supervision, now)
    delay, looping = supervision.exited(replica, 15.5, 0.5)
    assert (delay, looping) == (3.5, True)


def test_an_exit_on_demand_is_no_crash() -> None:
    supervision = running(a="front")
    replica = supervision.restart("a", 1)
    assert replica is not None
    assert supervision.restart("a", 1) is None
    assert supervision.exited(replica, 1.0, 0.5) == (0.0, False)
    assert names(started(supervision, 1.0)) == ["a"]
    assert supervision.restart("a", 1) is None
    assert supervision.restart("b", 1) is None


def test_an_application_that_has_ended_stays_ended() -> None:
    supervision = running(a="front")
    replica = supervision.replicas["a"]
    replica.finished = True
    assert supervision.exited(replica, 1.0, 0.5) == (None, False)
    assert supervision.startable(100.0) == []
    assert replica.state().state == "ended"


def test_silence_is_a_hang_after_the_missed_heartbeats() -> None:
    supervision = running(a="front", b="front")
    for now in (1.0, 2.0, 3.0):
        supervision.replicas["b"].heard = now
        assert supervision.hung(now) == []
    assert names(supervision.hung(3.5)) == ["a"]


def test_a_replica_that_still_starts_may_be_silent_for_longer() -> None:
    supervision = running(a="front")
    supervision.replicas["a"].phase = Phase.STARTING
    now = 0.0
    while now < START_TIMEOUT:
        now += 1.0
        assert supervision.hung(now) == []
    assert names(supervision.hung(now + 1.0)) == ["a"]


def test_a_forked_replica_must_say_something_soon() -> None:
    supervision = running(a="front")
    replica = supervision.replicas["a"]
    replica.phase, replica.young = Phase.STARTING, True
    now = 0.0
    while now < FIRST_WORD:
        now += 1.0
        assert supervision.hung(now) == []
    assert names(supervision.hung(now + 1.0)) == ["a"]


def test_silence_means_nothing_when_the_envelope_itself_did_not_run() -> None:
    supervision = running(a="front")
    supervision.hung(1.0)
    assert supervision.hung(100.0) == []
    assert supervision.hung(101.0) == []
    assert names(supervision.hung(102.5)) == ["a"]


def test_at_the_end_all_are_stopped_and_none_is_started() -> None:
    supervision = running(a="front", b="shop")
    supervision.exited(supervision.replicas["b"], 1.0, 0.5)
    unwanted = supervision.end()
    assert (names(unwanted.stopping), names(unwanted.forgotten)) == (["a"], ["b"])
    assert supervision.apply(orders(9, a="front", c="shop"), 2.0) == ([], [])
    assert supervision.exited(unwanted.stopping[0], 2.0, 0.5) == (None, False)
    assert supervision.replicas == {}
