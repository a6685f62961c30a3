"""Which failed calls are made again."""

import inspect

import pytest

from weaver.component.model import Method
from weaver.errors import (
    ConnectionLost,
    DeadlineExceeded,
    Overloaded,
    RemoteCallError,
    Unreachable,
)
from weaver.proclet.retrying import (
    ALWAYS,
    MOST_ATTEMPTS,
    MOST_PAUSE,
    SHARE,
    WINDOW,
    Attempts,
    Budget,
)


def method(*, idempotent: bool) -> Method:
    return Method("m", "async", inspect.Signature(), None, None, idempotent, "here:1")


def attempts(*, idempotent: bool = False, allowed: bool = True) -> Attempts:
    return Attempts(method(idempotent=idempotent), Budget(), allowed=allowed)


@pytest.mark.parametrize(
    ("error", "plainly", "idempotently"),
    [
        (ConnectionLost("never sent", executed="no"), True, True),
        (ConnectionLost("in flight", executed="maybe"), False, True),
        (RemoteCallError("draining", executed="no"), True, True),
        (RemoteCallError("failed", executed="maybe"), False, True),
        (Overloaded("shed"), True, True),
        (Unreachable("away"), True, True),
        (DeadlineExceeded("late", executed="maybe"), False, False),
        (DeadlineExceeded("expired", executed="no"), False, False),
    ],
)
def test_only_what_is_safe_is_made_again(
    error: RemoteCallError, plainly: bool, idempotently: bool
) -> None:
    assert (attempts().again(error, "r", 0.0, 0.5) is not None) is plainly
    assert (attempts(idempotent=True).again(error, "r", 0.0, 0.5) is not None) is idempotently
    assert attempts(idempotent=True, allowed=False).again(error, "r", 0.0, 0.5) is None


def test_attempts_are_few_and_pauses_grow_up_to_a_cap() -> None:
    made = attempts()
    pauses: list[float] = []
    while (pause := made.again(Overloaded("shed"), f"r{len(pauses)}", 0.0, 1.0)) is not None:
        pauses.append(pause)
    assert len(pauses) == MOST_ATTEMPTS - 1
    assert pauses == sorted(pauses)
    assert all(0 < pause <= MOST_PAUSE for pause in pauses)
    assert made.tried == ["r0", "r1", "r2"]


def test_retries_stay_within_their_share_of_the_calls() -> None:
    budget = Budget()
    budget.take(1000.0)
    budget.calls = 10_000
    allowed = sum(budget.take(1000.0) for _ in range(10_000))
    assert allowed == ALWAYS + SHARE * 10_000 - 1


def test_a_spent_budget_is_full_again_after_its_window() -> None:
    budget = Budget()
    while budget.take(1000.0):
        pass
    assert not budget.take(1000.0 + WINDOW / 2)
    assert budget.take(1000.0 + 2 * WINDOW)
