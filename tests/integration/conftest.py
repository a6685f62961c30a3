"""Where tests deploy: hosts over SSH, and directories of weaver's own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rollout_duo import Duo, duo_in
from shared_folders import shared_folder
from ssh_hosts import Kind, Operator, running_hosts

from weaver.deployers.ssh.client_config import CONFIG_FILE


@pytest.fixture
def ssh_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """Three plain hosts, and the configuration to reach them in the environment."""
    with running_hosts(Kind(), Kind(), Kind()) as operator:
        monkeypatch.setenv(CONFIG_FILE, str(operator.config))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield operator


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where builds and releases are kept, for all workers of this run."""
    return shared_folder(tmp_path_factory, "packaging")


@pytest.fixture
def duo(caches: Path) -> Iterator[Duo]:
    """An application of two components to roll out, not deployed yet."""
    with duo_in(caches) as found:
        yield found


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Directories of weaver's own, with short names: sockets are in them."""
    with tempfile.TemporaryDirectory(prefix="wv-", dir="/tmp") as folder:
        (Path(folder) / "run").mkdir(mode=0o700)
        monkeypatch.setenv("XDG_STATE_HOME", folder)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(Path(folder) / "run"))
        yield Path(folder)
