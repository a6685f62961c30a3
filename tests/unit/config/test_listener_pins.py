"""`[listeners.X.pin]`: what it may say, and where it goes."""

import pytest

from weaver.config import load
from weaver.control.ingress import Pinning, Table
from weaver.deployers.launch import spec_of
from weaver.deployers.rollout_plan import MOST_WORKERS, plan_of
from weaver.errors import ConfigError
from weaver.packaging.manifest import Manifest, ManifestComponent

PINS = """
[listeners.http.pin]
cookie = "version"
header = "X-Deployment"
trusted = ["10.0.0.0/8", "fd00::/8"]
key = "cookie:user"
"""
PINNING = Pinning(
    cookie="version",
    header="X-Deployment",
    key="cookie:user",
    trusted=("10.0.0.0/8", "fd00::/8"),
)


@pytest.mark.parametrize("mode", ["shared", "proxy", "haproxy"])
@pytest.mark.parametrize("tls", ["", '[listeners.http.tls]\ncert = "c.pem"\nkey = "k.pem"\n'])
def test_the_rollout_is_told_of_pins_and_knows_no_secret(mode: str, tls: str) -> None:
    web = ManifestComponent("shop.Web", "Web", listeners=("http",))
    text = f'[listeners.http]\ningress = "{mode}"\n{tls}{PINS}'
    manifest = Manifest("0.1", "shop", "shop:Web", components=(web,), config=text)
    spec = spec_of(manifest, "build", foreground=False)
    plan = plan_of(spec, spec, {})
    assert plan.fronts["http"].pinning == plan.old_fronts["http"].pinning == PINNING
    assert len(spec.secret) == 32
    assert spec.secret != spec_of(manifest, "build", foreground=False).secret


@pytest.mark.parametrize(
    ("written", "workers"),
    [("", (1, MOST_WORKERS)), ("workers = 3", (3, 0)), ("workers = 1", (1, 0))],
)
def test_the_rollout_is_told_how_many_processes_stand_before_users(
    written: str, workers: tuple[int, int]
) -> None:
    web = ManifestComponent("shop.Web", "Web", listeners=("http", "admin"))
    manifest = Manifest(
        "0.1", "shop", "shop:Web", components=(web,), config=f"[listeners.http]\n{written}\n"
    )
    fronts = plan_of(spec_of(manifest, "build", foreground=False), None, {}).fronts
    assert (fronts["http"].workers, fronts["http"].most_workers) == workers
    assert (fronts["admin"].workers, fronts["admin"].most_workers) == (1, MOST_WORKERS)


def test_the_rollout_is_told_what_variables_say_where_it_is_deployed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEAVER__ROLLOUT__PAUSE", "7s")
    monkeypatch.setenv("WEAVER__LISTENERS__HTTP__WORKERS", "3")
    web = ManifestComponent("shop.Web", "Web", listeners=("http",))
    manifest = Manifest("0.1", "shop", "shop:Web", components=(web,), config="")
    spec = spec_of(manifest, "build", foreground=False)
    monkeypatch.delenv("WEAVER__ROLLOUT__PAUSE")  # for a manager that takes over later
    plan = plan_of(spec, None, {})
    assert (plan.pause, plan.fronts["http"].workers) == (7.0, 3)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ('cookie = "a b"', "cannot be the name"),
        ('key = "cookie:a;b"', "cannot be the name"),
        ('header = "x"', "need each other"),
        ('trusted = ["10.0.0.0/8"]', "need each other"),
        ('header = "x"\ntrusted = ["10.0.0.300/8"]', "10.0.0.300"),
    ],
)
def test_what_cannot_be_a_pin_is_refused_before_anything_runs(written: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load(f"[listeners.http.pin]\n{written}\n")


def test_a_secret_is_not_shown_with_what_holds_it() -> None:
    table = Table(1, pinning=Pinning(cookie="version", secret=b"canary"))
    assert "canary" not in repr(table)
    assert "cookie='version'" in repr(table)
