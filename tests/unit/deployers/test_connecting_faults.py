"""What the failures on the way to a host are called, and what each says to do."""

import errno
import socket

import paramiko
import pytest
from paramiko.ssh_exception import IncompatiblePeer

from weaver.deployers.ssh import faults
from weaver.deployers.ssh.client_config import ClientConfig
from weaver.deployers.ssh.inventory import Host
from weaver.errors import Unreachable, WeaverError

WEB = Host(name="web", host="web", where="hosts.txt:3")
CONFIG = ClientConfig(hostname="10.0.0.5", port=2222, user="deploy")


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "the name 10.0.0.5 cannot be resolved"),
        (OSError(errno.ECONNREFUSED, "refused"), "nothing listens at 10.0.0.5:2222"),
        (TimeoutError("timed out"), "10.0.0.5:2222 does not answer"),
        (OSError(errno.ETIMEDOUT, "timed out"), "10.0.0.5:2222 does not answer"),
        (OSError(errno.EHOSTUNREACH, "no route"), "there is no route to 10.0.0.5:2222"),
        (OSError(errno.ENETUNREACH, "no net"), "there is no route to 10.0.0.5:2222"),
        (OSError(errno.EACCES, "not permitted"), "10.0.0.5:2222 cannot be reached"),
    ],
)
def test_a_connection_that_is_not_made_may_be_made_later(error: OSError, what: str) -> None:
    fault = faults.connecting(WEB, CONFIG, error)
    assert fault.what == what
    assert fault.where == "web (hosts.txt:3)"
    assert fault.why
    assert fault.fix


@pytest.mark.parametrize(
    ("error", "what", "passes"),
    [
        (EOFError(), "ends connections before they begin", True),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "before they begin", True),
        (paramiko.SSHException("Error reading SSH protocol banner"), "before they begin", True),
        (TimeoutError("nothing came"), "accepts connections and does not answer", True),
        (paramiko.SSHException('Indecipherable protocol version "x"'), "is no SSH server", False),
        (IncompatiblePeer("no acceptable ciphers"), "offers no algorithm", False),
    ],
)
def test_a_connection_that_speaks_no_ssh(error: Exception, what: str, passes: bool) -> None:
    fault = faults.negotiating(WEB, CONFIG, error)
    assert what in fault.what
    assert isinstance(fault, Unreachable) is passes
    assert fault.why
    assert fault.fix


def test_a_lost_connection_says_that_the_application_goes_on() -> None:
    fault = faults.lost(WEB, EOFError())
    assert "web was lost" in fault.what
    assert fault.why == "the other end closed it"
    assert "goes on" in fault.fix


def test_the_first_key_that_is_of_no_use_is_the_reason() -> None:
    broken = WeaverError("the passphrase of /k is wrong", fix="ssh-add /k")
    fault = faults.refused(WEB, CONFIG, offered=["/a"], unusable=[broken], ended=False)
    assert fault.what == "web does not let deploy in"
    assert fault.why == "the passphrase of /k is wrong; it accepts none of: /a"
    assert fault.fix == "ssh-add /k"
