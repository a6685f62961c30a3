"""Which hosts `--limit @failed` means."""

from pathlib import Path

import pytest

from weaver.cli.failed_hosts import failed_of, only_failed, remember
from weaver.deployers.ssh.inventory import parse_inline
from weaver.errors import UsageError


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_hosts_are_remembered_until_a_deploy_to_them_has_gone_well() -> None:
    assert failed_of("shop") == ()
    remember("shop", ["a", "b", "c"], {"b", "c"})
    assert failed_of("shop") == ("b", "c")
    remember("shop", ["b"], set())
    assert failed_of("shop") == ("c",)
    remember("shop", ["a"], {"a"})
    assert failed_of("shop") == ("a", "c")
    assert failed_of("other/app") == ()
    remember("shop", ["a", "c"], set())
    assert failed_of("shop") == ()


def test_only_listed_ones_are_meant_and_none_is_an_error() -> None:
    remember("shop", ["a", "b"], {"a", "gone"})
    assert [host.name for host in only_failed("shop", parse_inline("a,b"))] == ["a"]
    with pytest.raises(UsageError) as caught:
        only_failed("shop", parse_inline("b"))
    assert "remembered as failed: a, gone" in caught.value.why
