"""Versions that are bad in other ways than by failing requests: each is taken back by itself."""

import contextlib
import socket
from collections.abc import Generator

import pytest
from rollout_duo import Duo, Load, until

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
            await asyncio.sleep({seconds})
            await page(*given)
        self._page = slow"""
SECONDS = 0.27
"""What a request takes: above it, there is room in its bucket for what a busy machine adds."""
HANGS = "import asyncio; self._versions = asyncio.Event().wait"
DIES = "import asyncio; asyncio.get_running_loop().call_later(1.5, os._exit, 9)"


@pytest.fixture
def one(duo: Duo) -> Duo:
    """The first version, deployed."""
    done = duo.write("one").deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    return duo


def test_a_version_that_is_five_times_slower_is_taken_back_and_says_so(duo: Duo) -> None:
    done = duo.write("one", start=SLOW.format(seconds=SECONDS)).deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    with Load(duo.address, clients=40) as load:
        load.sees("one")
        slow = SLOW.format(seconds=5 * SECONDS)
        done = duo.write("two", start=slow, steps=["50%", "100%"], pause="180s").deploy()
        assert done.returncode == 1, done.stdout
        assert "is slower than" in done.stderr, done.stderr
        until(lambda: len(duo.running()) == 1)
        before = load.answers["two"]
        load.sees("one")
        assert load.answers["two"] == before
    assert load.failures == []
    assert load.mixed == []


@contextlib.contextmanager
def waiting(address: str, count: int) -> Generator[list[socket.socket]]:
    """Clients that have asked, each by a connection of its own; none waits for another's answer."""
    host, port = address.rsplit(":", 1)
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection((host, int(port)), 100))
            for _ in range(count)
        ]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: duo\r\nConnection: close\r\n\r\n")
        yield clients


def test_a_version_that_never_answers_is_taken_back_and_says_so(one: Duo) -> None:
    two = one.write("two", start=HANGS, steps=["50%", "100%"], pause="180s")
    with two.deploying():
        one.reaches("shifting")
        with waiting(one.address, 200) as clients:
            one.reaches("withdrawing")
            verdict = one.rollout().verdict
            assert verdict is not None
            assert "does not answer" in verdict.what
            with Load(one.address) as load:
                load.sees("one")
            assert set(load.answers) == {"one"}
            assert load.failures == []
            assert one.command("stop", "duo").returncode == 0  # or they are waited for
            answers = [client.recv(1000).split(b" ", 2)[1] for client in clients]
    assert set(answers) == {b"200", b"504"}
    assert abs(answers.count(b"200") - 100) <= 2, "each of two workers deals them out by itself"


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


def test_a_version_whose_migration_fails_or_is_interrupted_gets_no_request(one: Duo) -> None:
    with Load(one.address) as load:
        load.sees("one")
        words = "python -c 'import sys; sys.exit(\"no such table\")'"
        done = one.write("two", before=words).deploy()
        assert done.returncode == 1, done.stdout
        assert "the before hook failed" in done.stderr
        assert "no such table" in done.stderr
        until(lambda: len(one.running()) == 1)
        load.sees("one")
        noted = one.project / "noted"
        one.write("three", before=f"sh -c 'echo begun >> {noted}; sleep 60'")
        with one.deploying() as deploy:
            until(noted.exists)
            one.kill_manager()
            attached = one.command("attach", "duo")
            assert attached.returncode == 0, attached.stderr
            said, _ = deploy.communicate(timeout=100)
            assert deploy.returncode == 1
            assert "the before hook was interrupted" in said
        until(lambda: len(one.running()) == 1)
        load.sees("one")
    assert noted.read_text() == "begun\n", "a migration is run once"
    assert load.failures == []
    assert set(load.answers) == {"one"}
