"""Memory that replicas keep for the next large value."""

import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's allocator")
def test_the_allocator_takes_the_thresholds() -> None:
    program = "from weaver.proclet.tuning import keep_memory; print(keep_memory())"
    command = [sys.executable, "-c", program]  # it is for good: not in this process
    assert subprocess.run(command, capture_output=True, check=True).stdout.strip() == b"True"
