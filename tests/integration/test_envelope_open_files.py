"""An envelope may have as many files open as the system admits."""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from multi_run_shop import until

LOW = 256


def test_an_envelope_raises_its_soft_limit_to_the_hard_one() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with tempfile.TemporaryDirectory(prefix="wof-", dir="/tmp") as folder:
        path = Path(folder) / "e.sock"
        command = [sys.executable, "-m", "weaver.envelope.main", "--socket", str(path)]
        envelope = subprocess.Popen(
            ["sh", "-c", f'ulimit -Sn {LOW}; exec "$@"', "sh", *command, "--host", "here"],
            stderr=subprocess.PIPE,
        )
        with envelope:
            try:
                until(path.exists)
                limits = Path(f"/proc/{envelope.pid}/limits").read_text()
            finally:
                envelope.terminate()
            envelope.communicate(timeout=50)
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    words = line.split()
    assert hard > LOW
    assert words[3:5] == [str(hard), str(hard)]
