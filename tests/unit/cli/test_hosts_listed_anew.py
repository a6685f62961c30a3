"""Which hosts of a list are new to a deployment, and which are listed otherwise than before."""

from typing import Any

import pytest

from weaver.cli import rollout_follow
from weaver.cli.joining import altered, newcomers, refuse_in_hook
from weaver.control.rollout import RolloutReport
from weaver.deployers.registry import Listed, Record
from weaver.deployers.ssh.inventory import parse
from weaver.errors import UsageError

AS_IT_WAS = "a\n[web]\nb labels=big slots=2\n"


def record(**changes: Any) -> Record:
    known: dict[str, Any] = {
        "hosts": ("a", "b"),
        "listed": {"a": Listed(), "b": Listed(("big",), ("web",), 2)},
    }
    known |= changes
    return Record(app="shop", deployment="d", version="v", pid=0, socket="", started=0.0, **known)


@pytest.mark.parametrize(
    ("text", "new", "other"),
    [
        (AS_IT_WAS, (), ()),
        (f"{AS_IT_WAS}c slots=1\n", ("c",), ()),
        ("a slots=1\n[web]\nb labels=big slots=2\n", (), ("a",)),
        ("a\n[web]\nb slots=2\n", (), ("b",)),
        ("a\nb labels=big slots=2\n", (), ("b",)),
        ("ada@a python=/usr/bin/python3\n[web]\nb labels=big slots=2\n", (), ()),
        ("b labels=big slots=2\n[db]\nc\n", ("c",), ("b",)),
    ],
)
def test_a_list_is_compared_with_what_is_known(
    text: str, new: tuple[str, ...], other: tuple[str, ...]
) -> None:
    hosts = parse(text, "hosts.txt")
    assert newcomers(record(), hosts) == new
    assert altered(record(), hosts) == other


def test_what_an_older_weaver_has_written_down_says_nothing_of_the_list() -> None:
    assert altered(record(listed={}), parse("a slots=1\nb\n", "hosts.txt")) == ()


@pytest.mark.parametrize("phase", ["before", "after"])
def test_no_manager_is_replaced_while_it_may_run_a_hook(
    phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rollout_of(_record: Record) -> RolloutReport:
        return RolloutReport("shop", phase)

    monkeypatch.setattr(rollout_follow, "rollout_of", rollout_of)
    with pytest.raises(UsageError, match="no host can join shop") as caught:
        refuse_in_hook(record())
    assert caught.value.fix == "look again when that is over: weaver rollout shop -f"
    phase = "shifting"
    refuse_in_hook(record())
