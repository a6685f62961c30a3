"""The lock of a deploy on this machine."""

import errno
import os
from pathlib import Path

import pytest

from weaver.deployers.local_lock import deploying
from weaver.errors import UsageError


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_the_second_deploy_is_told_who_is_at_work() -> None:
    with deploying("shop"):
        with (
            pytest.raises(UsageError, match="shop is being deployed") as caught,
            deploying("shop"),
        ):
            pytest.fail("two hold it")
        assert caught.value.where.startswith(f"process {os.getpid()}, since ")
        with deploying("other"):
            pass
    with deploying("shop"):
        pass


def test_it_is_held_on_a_full_disk_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with deploying("shop"), pytest.raises(UsageError, match="is being deployed"), deploying("shop"):
        pytest.fail("two hold it")
