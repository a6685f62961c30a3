"""No test reads or writes what is the user's own: the whole run has a home of its own."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from weaver.deployers.directories import runtime_directory, state_directory
from weaver.deployers.ssh.client_config import resolve
from weaver.deployers.ssh.inventory import parse_inline
from weaver.packaging.places import cache_root

USERS = Path(pwd.getpwuid(os.getuid()).pw_dir)
HOME = Path(os.environ["HOME"])
ASKED = """
from pathlib import Path
from weaver.deployers.directories import runtime_directory, state_directory
from weaver.packaging.places import cache_root
print(Path.home(), state_directory(), runtime_directory(), cache_root(), sep="\\n")
"""


def test_what_weaver_keeps_is_in_the_home_of_the_tests() -> None:
    assert HOME != USERS
    assert HOME.name.startswith("wv-home-")
    for place in (Path.home(), state_directory(), runtime_directory(), cache_root()):
        assert place.is_relative_to(HOME)
    for name in ("CONFIG_HOME", "DATA_HOME", "RUNTIME_DIR"):
        assert Path(os.environ[f"XDG_{name}"]).is_relative_to(HOME)


def test_processes_that_tests_start_have_the_same_home() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKED], capture_output=True, text=True, timeout=50, check=True
    )
    places = [Path.home(), state_directory(), runtime_directory(), cache_root()]
    assert done.stdout.splitlines() == [str(place) for place in places]


@pytest.mark.parametrize("ssh", [True, False])
def test_ssh_knows_neither_keys_nor_hosts_of_the_user(
    monkeypatch: pytest.MonkeyPatch, ssh: bool
) -> None:
    if not ssh:
        monkeypatch.setenv("PATH", "")
    found = resolve(parse_inline("somewhere")[0])
    files = (*found.identity_files, *found.user_known_hosts)
    assert files
    assert not [path for path in files if not path.is_relative_to(HOME)]
    assert found.identity_agent == ""
