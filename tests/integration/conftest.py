"""Hosts that tests deploy to over SSH."""

from collections.abc import Iterator

import pytest
from ssh_hosts import Kind, Operator, running_hosts

from weaver.deployers.ssh.client_config import CONFIG_FILE


@pytest.fixture
def ssh_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """Three plain hosts, and the configuration to reach them in the environment."""
    with running_hosts(Kind(), Kind(), Kind()) as operator:
        monkeypatch.setenv(CONFIG_FILE, str(operator.config))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield operator
