"""Rollouts behind a HAProxy that the user runs: the same decisions, over its runtime socket."""

from collections.abc import Iterator
from typing import Any

import pytest
from rollout_duo import Duo, Load, until
from test_ingress_haproxy import PROGRAM, HAProxy

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.skipif(PROGRAM is None, reason="haproxy is not installed"),
    pytest.mark.timeout(240),  # two versions are built and started, on a machine that may be busy
]


@pytest.fixture
def haproxy(duo: Duo) -> Iterator[HAProxy]:
    folder = duo.project.parent / "haproxy"
    folder.mkdir()
    running = HAProxy(folder)
    yield running
    running.stop()


def write(duo: Duo, haproxy: HAProxy, version: str, **rollout: Any) -> Duo:
    duo.write(version, ingress="haproxy", **rollout)
    path = duo.project / "weaver.toml"
    path.write_text(path.read_text().replace("workers = 2", f'haproxy = "{haproxy.socket}"'))
    return duo


def test_versions_change_behind_it_without_a_failure(duo: Duo, haproxy: HAProxy) -> None:
    done = write(duo, haproxy, "one").deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    with Load(haproxy.url.removeprefix("http://")) as load:  # deploy has waited for HAProxy
        load.sees("one")
        write(duo, haproxy, "two", steps=["20%", "100%"], pause="60s")
        with duo.deploying() as deploy:
            load.sees("two")
            load.gets("two", 0.15, 0.25)
            duo.steer("promote")
            assert deploy.wait(100) == 0
        until(lambda: len(duo.running()) == 1)
        load.gets("two", 1, 1)
    assert load.failures == []
    assert load.mixed == []
    assert duo.command("stop", "duo").returncode == 0
