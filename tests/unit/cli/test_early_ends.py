"""Ctrl-C before a command has begun, and output that nobody can take."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WEAVER = [sys.executable, "-m", "weaver.cli.main"]


def test_ctrl_c_during_the_first_imports_shows_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run(
        [*WEAVER, "version"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_is_said() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*WEAVER, "version"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: what the command prints cannot be written\n")
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
