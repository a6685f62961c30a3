from pathlib import Path

import pytest

from weaver.control.messages import Attach
from weaver.envelope.epoch import EpochFence
from weaver.errors import WeaverError


def test_epochs_never_fall(tmp_path: Path) -> None:
    fence = EpochFence(tmp_path / "epoch")
    assert fence.admit(Attach("d", 3)) == ""
    assert fence.admit(Attach("d", 3)) == ""
    assert "epoch 3" in fence.admit(Attach("d", 2))
    assert fence.epoch == 3


def test_the_epoch_outlives_the_envelope(tmp_path: Path) -> None:
    EpochFence(tmp_path / "epoch").admit(Attach("d", 3))
    assert "epoch 3" in EpochFence(tmp_path / "epoch").admit(Attach("d", 2))


def test_the_next_envelope_may_belong_to_another_deployment(tmp_path: Path) -> None:
    EpochFence(tmp_path / "epoch").admit(Attach("d", 3))
    fence = EpochFence(tmp_path / "epoch")
    assert fence.admit(Attach("other", 1)) == ""
    assert "deployment other" in fence.admit(Attach("d", 9))


@pytest.mark.parametrize("content", [b"", b"{", b'{"epoch":"x"}', b"\xff"])
def test_a_damaged_file_is_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "epoch").write_bytes(content)
    assert EpochFence(tmp_path / "epoch").admit(Attach("d", 1)) == ""


def test_an_epoch_that_cannot_be_kept_is_not_obeyed(tmp_path: Path) -> None:
    fence = EpochFence(tmp_path / "missing" / "epoch")
    with pytest.raises(WeaverError, match="cannot be kept"):
        fence.admit(Attach("d", 1))
    assert fence.epoch == 0
