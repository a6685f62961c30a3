"""Which version a request gets in a rollout of real processes: by weight, or by a pin."""

import collections
import http.client
from typing import Any

import pytest
from rollout_duo import Duo, until

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),  # two versions are built and started, on a machine that may be busy
]

PIN = """
[listeners.http.pin]
cookie = "version"
header = "X-Deployment"
trusted = ["127.0.0.0/8"]
"""


class Kept:
    """A connection that is kept; `ask` returns the version that answers."""

    def __init__(self, duo: Duo) -> None:
        host, port = duo.address.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self.cookie = ""

    def ask(self, **headers: str) -> str:
        self.connection.request("GET", "/", headers={k: v for k, v in headers.items() if v})
        response = self.connection.getresponse()
        text = response.read().decode()
        assert response.status == 200, text
        self.cookie = (response.getheader("set-cookie") or "").split(";")[0] or self.cookie
        version, other = text.split()
        assert version == other
        return version


def write(duo: Duo, version: str, extra: str, **rollout: Any) -> Duo:
    duo.write(version, **rollout)
    path = duo.project / "weaver.toml"
    path.write_text(path.read_text() + extra)
    return duo


def shifting(duo: Duo) -> bool:
    report = duo.rollout()
    return report.phase == "shifting" and report.versions[0].weight > 0


def test_weights_hold_within_one_point_after_1000_requests_on_kept_connections(duo: Duo) -> None:
    assert duo.write("one").deploy().returncode == 0
    duo.write("two", steps=["7%", "100%"], pause="200s")
    with duo.deploying():
        duo.reaches("shifting")
        clients = [Kept(duo) for _ in range(5)]
        for client in clients:  # until the weights are in force at its worker
            until(lambda client=client: client.ask() == "two")  # type: ignore[misc]
        counted = collections.Counter(client.ask() for _ in range(200) for client in clients)
        for client in clients:
            client.connection.close()
    assert counted.total() == 1000
    assert abs(counted["two"] - 70) <= 10
    assert duo.command("stop", "duo").returncode == 0


def test_pins_decide_and_outlive_the_manager(duo: Duo) -> None:
    assert write(duo, "one", PIN).deploy().returncode == 0
    write(duo, "two", PIN, steps=["50%", "100%"], pause="200s")
    with duo.deploying():
        duo.reaches("shifting")
        new, old = (record.deployment for record in duo.running())
        client = Kept(duo)
        cookies: dict[str, str] = {}
        while len(cookies) < 2:
            version = client.ask()
            cookies[version] = client.cookie
        for version, cookie in cookies.items():
            assert {client.ask(Cookie=cookie) for _ in range(6)} == {version}
        for version, deployment in (("two", new), ("one", old)):
            asked = {client.ask(**{"X-Deployment": deployment}) for _ in range(6)}
            assert asked == {version}
        forged = cookies["two"][:-1] + ("0" if cookies["two"][-1] != "0" else "1")
        assert {client.ask(Cookie=forged) for _ in range(6)} == {"one", "two"}
        duo.kill_manager()
    attached = duo.command("attach", "duo")
    assert attached.returncode == 0, attached.stderr
    until(lambda: shifting(duo))
    for version, cookie in cookies.items():
        assert {client.ask(Cookie=cookie) for _ in range(6)} == {version}
    client.connection.close()
    secrets = [cookie.rpartition(".")[2] for cookie in cookies.values()]
    written = [path.read_bytes() for path in duo.state.rglob("*") if path.is_file()]
    assert not any(secret.encode() in data for secret in secrets for data in written)
    assert duo.command("stop", "duo").returncode == 0
