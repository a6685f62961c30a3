"""A command of weaver, run as a user does and waited for."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def weaver(
    folder: Path, env: Mapping[str, str], *words: str, within: float
) -> subprocess.CompletedProcess[str]:
    """Run it in `folder`; it may fail. Raises TimeoutExpired after `within` seconds."""
    return subprocess.run(
        [sys.executable, "-m", "weaver", *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
