"""Where builds and installed releases are kept on this machine."""

import hashlib
import os
from pathlib import Path


def cache_root() -> Path:
    """$XDG_CACHE_HOME/weaver, by default ~/.cache/weaver: all in it can be made again."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(configured) if os.path.isabs(configured) else Path.home() / ".cache"  # noqa: PTH117
    return base / "weaver"


def builds_of(config: Path) -> Path:
    """The folder of the builds of one weaver.toml."""
    key = hashlib.sha256(str(config.resolve()).encode()).hexdigest()[:16]
    return cache_root() / "builds" / key


def release_of(build_id: str) -> Path:
    """The folder of an installed release."""
    return cache_root() / "releases" / build_id[:32]
