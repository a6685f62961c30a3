"""Versions that are bad in other ways than by failing requests: each is taken back by itself."""

import os
from collections.abc import Iterator

import pytest
from rollout_duo import Duo, Load, duo_in, until

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),  # two versions are built and started, on a machine that may be busy
]

SLOW = """import asyncio
        page = self._page
        async def slow(*given):
            await asyncio.sleep(0.4)
            await page(*given)
        self._page = slow"""
DIES = "import asyncio; asyncio.get_running_loop().call_later(1.5, os._exit, 9)"


@pytest.fixture
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Duo]:
    """The first version, deployed."""
    base = tmp_path_factory.getbasetemp()
    caches = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packaging"
    caches.mkdir(exist_ok=True)
    with duo_in(caches) as duo:
        done = duo.write("one").deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        yield duo


def test_a_version_that_is_many_times_slower_is_taken_back_and_says_so(one: Duo) -> None:
    with Load(one.address, clients=8) as load:
        load.sees("one")
        done = one.write("two", start=SLOW, steps=["50%", "100%"], pause="90s").deploy()
        assert done.returncode == 1, done.stdout
        assert "is slower than" in done.stderr, done.stderr
        until(lambda: len(one.running()) == 1)
        before = load.answers["two"]
        load.sees("one")
        assert load.answers["two"] == before
    assert load.failures == []
    assert load.mixed == []


def test_a_version_that_crashes_again_and_again_is_taken_back_and_says_so(one: Duo) -> None:
    with Load(one.address) as load:
        load.sees("one")
        done = one.write("two", start=DIES, steps=["20%", "100%"], pause="90s").deploy()
        assert done.returncode == 1, done.stdout
        assert "exit code 9" in done.stderr, done.stderr
        until(lambda: len(one.running()) == 1)
        load.sees("one")
    assert len(load.failures) < load.requests / 5  # at most what was in flight when one died
    assert load.mixed == [text for text in load.mixed if "502" in text]


def test_a_version_whose_migration_fails_gets_no_request(one: Duo) -> None:
    with Load(one.address) as load:
        load.sees("one")
        words = "python -c 'import sys; sys.exit(\"no such table\")'"
        done = one.write("two", before=words).deploy()
        assert done.returncode == 1, done.stdout
        assert "the before hook failed" in done.stderr
        assert "no such table" in done.stderr
        until(lambda: len(one.running()) == 1)
        load.sees("one")
    assert load.failures == []
    assert set(load.answers) == {"one"}
