"""What goes into a PEX beside its wheels: contents by name, in memory or in files.

Decides how it is kept from changes until it is packed; it knows nothing of a PEX.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

IN_MEMORY: Final = 64 * 1024 * 1024  # bytes; more is copied to files


class Contents(Mapping[str, bytes]):
    """The contents of files, each read when it is asked for, and others that are `held`."""

    def __init__(self, files: Mapping[str, Path], held: Mapping[str, bytes] | None = None) -> None:
        self._files = files
        self._held: Mapping[str, bytes] = {} if held is None else held

    def __getitem__(self, name: str) -> bytes:
        return self._held[name] if name in self._held else self._files[name].read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter({**self._files, **self._held})

    def __len__(self) -> int:
        return len({**self._files, **self._held})

    def having(self, name: str, content: bytes) -> "Contents":
        """The same with one more."""
        return Contents(self._files, {**self._held, name: content})

    def held(self) -> "Contents":
        """What they hold now, in memory; itself if that is too much. Raises OSError."""
        if sum(path.stat().st_size for path in self._files.values()) > IN_MEMORY:
            return self
        return Contents({}, {name: self[name] for name in self})

    def written_to(self, folder: Path) -> "Contents":
        """Files below `folder` that hold the same. Raises OSError."""
        made: set[str] = set()
        for name in self:
            target = f"{folder}/{name}"
            parent = target.rpartition("/")[0]
            if parent not in made:
                os.makedirs(parent, exist_ok=True)  # noqa: PTH103 - hundreds of paths as text
                made.add(parent)
            if name in self._held:
                Path(target).write_bytes(self._held[name])
            elif target != str(self._files[name]):
                shutil.copyfile(self._files[name], target)
        return Contents({name: folder / name for name in self})
