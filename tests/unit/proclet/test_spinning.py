"""Spinning after a read: earned by answers that come soon, given up when they do not."""

import asyncio
import os

import pytest

from weaver.proclet.spinning import (
    BUSY,
    EXAMINED_EVERY,
    LONGEST,
    MOST,
    PROBED_EVERY,
    WINDOW,
    Credit,
    Spinner,
    worth_it,
)


class Clock:
    """A credit whose reads come after given gaps, and whose windows run out as time passes."""

    def __init__(self) -> None:
        self.credit = Credit()
        self.now = 100.0
        self.spun = 0.0

    def read_after(self, gap: float, happened: int = 1) -> bool:
        """Whether the loop still turned when the read came, or slept."""
        until, begun = self.credit.until, self.now
        self.now += gap
        turning = bool(until) and self.now <= until
        if until:
            self.spun += min(self.now, until) - begun
            if not turning:
                self.credit.expired()
        self.credit.heard(self.now, happened)
        return turning


def test_nothing_is_spun_before_the_first_probe() -> None:
    clock = Clock()
    for _ in range(PROBED_EVERY - 1):
        clock.read_after(0.00001)
    assert clock.credit.until == 0.0
    clock.read_after(0.00001)
    assert clock.credit.until > clock.now


def test_a_peer_that_answers_soon_is_waited_for_after_one_probe() -> None:
    clock = Clock()
    caught = [clock.read_after(0.000015) for _ in range(PROBED_EVERY + 1000)]
    assert not any(caught[:PROBED_EVERY])
    assert all(caught[PROBED_EVERY:])
    assert clock.credit.credit == MOST


def test_a_peer_that_wakes_slowly_is_caught_by_the_longer_window_of_a_probe() -> None:
    clock = Clock()
    for _ in range(PROBED_EVERY):
        clock.read_after(0.00009)  # both ends sleep and have to be woken
    assert clock.credit.until - clock.now > 0.00009
    assert clock.read_after(0.00009)


def test_a_probe_that_finds_nothing_costs_one_window_in_64_reads() -> None:
    clock = Clock()
    reads = PROBED_EVERY * 100
    for _ in range(reads):
        assert not clock.read_after(0.001)
    assert 0.0 < clock.spun <= reads / PROBED_EVERY * LONGEST
    assert clock.credit.credit == 0


def test_credit_is_gone_after_a_few_windows_without_an_answer() -> None:
    clock = Clock()
    for _ in range(PROBED_EVERY + 2 * MOST):
        clock.read_after(0.000015)
    assert clock.credit.credit == MOST
    clock.spun = 0.0
    for _ in range(PROBED_EVERY - 1):
        clock.read_after(0.01)
    assert clock.credit.credit == 0
    assert clock.credit.until == 0.0
    assert clock.spun <= (MOST / 2 + 1) * LONGEST


def test_answers_that_come_half_of_the_time_are_not_worth_it() -> None:
    clock = Clock()
    for _ in range(PROBED_EVERY + MOST):
        clock.read_after(0.000015)
    for _ in range(50):
        clock.read_after(0.000015)
        clock.read_after(0.01)
    assert clock.credit.credit == 0


@pytest.mark.parametrize("gap", [0.000001, 0.00005, 0.0003, 0.1])
def test_a_window_is_within_its_bounds(gap: float) -> None:
    clock = Clock()
    for _ in range(1000):
        clock.read_after(gap)
        if clock.credit.until:
            assert WINDOW * 0.999 <= clock.credit.until - clock.now <= LONGEST * 1.001


def test_a_read_with_much_to_do_is_not_followed_by_a_window() -> None:
    clock = Clock()
    for _ in range(2 * PROBED_EVERY):
        clock.read_after(0.000015)
    clock.read_after(0.000015, BUSY)
    assert clock.credit.until == 0.0


@pytest.mark.parametrize(
    ("displaced", "left"), [(0, MOST), (EXAMINED_EVERY // 2 - 1, MOST), (EXAMINED_EVERY, 0)]
)
def test_a_peer_on_the_same_core_ends_it(displaced: int, left: int) -> None:
    clock = Clock()
    for _ in range(PROBED_EVERY + 2 * MOST):
        clock.read_after(0.000015)
    clock.credit.displaced(displaced)
    assert clock.credit.credit == left
    assert bool(clock.credit.until) == bool(left)


async def test_the_loop_sleeps_again_when_the_window_is_over_and_timers_ran_meanwhile() -> None:
    loop = asyncio.get_running_loop()
    spinner = Spinner()
    spinner.credit.credit = 1
    fired = loop.create_future()
    loop.call_later(0.00001, fired.set_result, None)
    spinner.heard(loop.time(), 1)
    assert spinner.credit.until
    await asyncio.wait_for(fired, 30)
    async with asyncio.timeout(30):
        while spinner.credit.until:
            await asyncio.sleep(0)
    assert spinner.credit.credit == 0  # the window cost what there was


async def test_a_read_in_the_window_makes_it_longer_not_a_second_one() -> None:
    loop = asyncio.get_running_loop()
    spinner = Spinner()
    spinner.credit.credit = 1
    now = loop.time() + 60.0  # in the future: only a read can end the window
    spinner.heard(now, 1)
    first = spinner.credit.until
    spinner.heard(now + 0.00001, 1)
    assert spinner.credit.until > first
    assert spinner.credit.credit == 2
    spinner.credit.until = 0.0
    await asyncio.sleep(0)


def test_nobody_spins_on_the_only_core_or_against_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cores(count: int) -> None:
        def affinity(_pid: int) -> set[int]:
            return set(range(count))

        monkeypatch.setattr(os, "sched_getaffinity", affinity, raising=False)

    cores(1)
    assert not worth_it("auto")
    cores(2)
    assert worth_it("auto")
    assert not worth_it("off")


async def test_nobody_spins_where_more_processes_than_cores_may_have_to_run() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    spinner, now = Spinner(), asyncio.get_running_loop().time()
    for processes, spins in (((cores or 1) + 1, False), (1, True)):
        spinner.share(processes)
        spinner.credit.credit = 1
        spinner.heard(now, 1)
        assert bool(spinner.credit.until) == spins
