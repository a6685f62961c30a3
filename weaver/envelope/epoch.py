"""The highest epoch that an envelope has obeyed, kept in a file: an older manager is fenced off.

Decides who may give orders. It must not know how a manager is told.
"""

import contextlib
import os
from pathlib import Path

import msgspec

from weaver.control.messages import Attach
from weaver.errors import WeaverError


class Obeyed(msgspec.Struct, frozen=True):
    """The content of the file."""

    deployment: str = ""
    epoch: int = 0


def epoch_file(socket: Path) -> Path:
    """Where the epoch is kept that the envelope of this socket has obeyed."""
    return socket.with_name(socket.name + ".epoch")


class EpochFence:
    """Admits managers of one deployment with epochs that never fall, also over a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = Obeyed()
        self._bound = False  # to a deployment: by the first manager of this envelope
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            self._kept = msgspec.json.decode(path.read_bytes(), type=Obeyed)

    @property
    def epoch(self) -> int:
        """The highest one obeyed."""
        return self._kept.epoch

    @property
    def deployment(self) -> str:
        """Whose managers are obeyed; "" as long as there was none."""
        return self._kept.deployment

    def admit(self, attach: Attach) -> str:
        """Obey this manager from now on, or say why not. Raises WeaverError for a full disk."""
        same = attach.deployment == self._kept.deployment
        if self._bound and not same:
            return f"this envelope belongs to deployment {self._kept.deployment}"
        if same and attach.epoch < self._kept.epoch:
            return f"a manager with epoch {self._kept.epoch} has taken over"
        self._bound = True
        obeyed = Obeyed(attach.deployment, attach.epoch)
        if obeyed != self._kept:
            self._keep(obeyed)
        return ""

    def _keep(self, obeyed: Obeyed) -> None:
        new = self._path.with_name(self._path.name + ".new")
        try:
            with new.open("wb") as file:
                file.write(msgspec.json.encode(obeyed))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise WeaverError(
                "the epoch of the manager cannot be kept",
                where=str(self._path),
                why=error.strerror or str(error),
                fix="free space, or correct the permissions of the directory",
            ) from error
        self._kept = obeyed
