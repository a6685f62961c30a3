"""Going back to versions on this machine, with real processes: warm ones, kept ones, bad ones."""

import json

import pytest
from rollout_duo import Duo, Load, until

from weaver.packaging.freeze import in_virtual_environment

pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.timeout(240),  # two versions are built and started, on a machine that may be busy
]


def deployed(duo: Duo, version: str, keep_warm: str = "2s") -> str:
    """Deploy a version that is good; its build id."""
    done = duo.write(version, keep_warm=keep_warm).deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    return duo.running()[0].version


def test_a_kept_version_is_gone_back_to_without_a_failed_request(duo: Duo) -> None:
    first = deployed(duo, "one")
    second = deployed(duo, "two", keep_warm="0s")
    until(lambda: len(duo.running()) == 1)
    with Load(duo.address) as load:
        load.sees("two")
        done = duo.command("rollback", first[:8])
        assert done.returncode == 0, done.stdout + done.stderr
        load.sees("one")
    assert load.failures == []
    assert load.mixed == []
    assert f"duo {first[:12]} serves alone" in done.stdout
    (*_others, now) = json.loads(duo.command("history", "duo", "--json").stdout)
    assert (now["version"], now["state"]) == (first, "live")
    assert [shift["share"] for shift in now["shifts"] if shift["phase"] == "shifting"] == [0.5, 1.0]
    compared = json.loads(duo.command("diff", first, second, "--json").stdout)
    changed = {(each["kind"], each["name"]) for each in compared["changes"]}
    assert ("file", "duo.py") in changed
    assert ("config", "rollout.keep_warm") in changed


def test_a_version_that_is_taken_back_tells_why_and_cannot_be_gone_back_to(duo: Duo) -> None:
    first = deployed(duo, "one")
    with Load(duo.address) as load:
        load.sees("one")
        says = 'import logging; logging.getLogger("duo").error("the stock is empty")'
        done = duo.write("bad", fails=2, start=says, pause="60s").deploy()
    assert done.returncode == 1
    assert "of its requests" in done.stderr
    assert "failed requests:" in done.stderr
    until(lambda: len(duo.running()) == 1)
    bad = duo.records()[0]
    assert (bad.result, bool(bad.evidence)) == ("withdrawn", True)
    refused = duo.command("rollback", bad.version)
    assert refused.returncode == 2
    assert "was taken back" in refused.stderr
    evidence = duo.command("history", "--evidence").stdout
    assert "GET / -> 500 from front-" in evidence
    assert "the stock is empty" in evidence
    assert "the stock is empty" in done.stderr
    again = duo.command("rollback")
    assert again.returncode == 2
    assert "no version of duo to go back to" in again.stderr
    assert [record.version for record in duo.running()] == [first]


def test_what_users_would_notice_is_refused_before_anything_is_changed(duo: Duo) -> None:
    first = deployed(duo, "one")
    path = duo.project / "weaver.toml"
    path.write_text(path.read_text().replace("127.0.0.1:0", "127.0.0.1:1"))
    planned = duo.command("deploy", "--plan", "--json")
    (conflict,) = json.loads(planned.stdout)["conflicts"]
    assert conflict["severity"] == "refuse"
    done = duo.deploy()
    assert done.returncode == 2
    assert 'listener "http" moves' in done.stderr
    forced = duo.command("deploy", "--force")
    assert forced.returncode == 2
    assert "cannot pass to the new version: it is at 127.0.0.1:1 there" in forced.stderr
    assert [record.version for record in duo.records()] == [first]
