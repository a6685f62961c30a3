"""Rollouts on this machine, with real processes: a new version beside the old one, under load."""

import os
from collections.abc import Iterator

import pytest
from rollout_duo import Duo, Load, duo_in, until

from weaver.packaging.freeze import in_virtual_environment

pytestmark = pytest.mark.skipif(
    not in_virtual_environment(), reason="wheels are taken from a virtual environment"
)


@pytest.fixture
def duo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Duo]:
    base = tmp_path_factory.getbasetemp()
    caches = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packaging"
    with duo_in(caches) as found:
        yield found


def test_a_rollout_loses_no_request_and_mixes_no_versions(duo: Duo) -> None:
    assert duo.write("one").deploy().returncode == 0
    with Load(duo.address) as load:
        load.sees("one")
        done = duo.write("two").deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        assert duo.rollout().phase == "warm"
        until(lambda: len(duo.running()) == 1)
        before = load.answers["one"]
        load.sees("two")
        assert load.answers["one"] == before
    assert load.failures == []
    assert load.mixed == []
    first, second = duo.records()[1], duo.records()[0]
    assert (first.result, bool(first.ended)) == ("replaced", True)
    assert second.good
    assert not second.ended
    stopped = duo.command("stop", "duo")
    assert stopped.returncode == 0, stopped.stderr
    until(lambda: not duo.processes())
    assert list(duo.runtime.rglob("*.sock")) == []
