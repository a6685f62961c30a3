"""Many at the same time: results in order, and no wait for others after a fault."""

import threading

import pytest

from weaver.deployers.ssh.preflight.side_by_side import side_by_side


def test_results_are_in_the_order_of_the_items() -> None:
    second_is_done = threading.Event()

    def double(number: int) -> int:
        if number == 1:
            assert second_is_done.wait(20)
        second_is_done.set()
        return number * 2

    assert side_by_side(double, [1, 2], at_once=2) == [2, 4]


def test_after_a_fault_nothing_is_waited_for_and_nothing_begun() -> None:
    release = threading.Event()
    begun: list[int] = []
    workers: set[threading.Thread] = set()

    def work(number: int) -> None:
        begun.append(number)
        workers.add(threading.current_thread())
        if number == 0:
            raise LookupError("a fault")
        assert release.wait(20)

    with pytest.raises(LookupError):
        side_by_side(work, [0, 1, 2, 3], at_once=2)
    assert not release.is_set()
    assert 3 not in begun
    release.set()
    for worker in workers:
        worker.join(20)


def test_nothing_to_do_is_done() -> None:
    assert side_by_side(str, [], at_once=16) == []
