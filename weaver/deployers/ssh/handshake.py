"""From a stream to an authenticated connection: key exchange, the host's key, the user's key.

Decides timeouts and algorithms. What carries the stream is not known here.
"""

import contextlib
import itertools
import logging
import threading
import time
from typing import Any, Final, Protocol

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

from weaver.deployers.ssh import faults, known_hosts
from weaver.deployers.ssh.client_config import ClientConfig
from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.keys import KeyRing, agent_at
from weaver.errors import Unreachable, WeaverError

BANNER: Final = 15.0
"""Seconds for the first word of the host, and then for the key exchange."""
AUTHENTICATION: Final = 30.0
KEEPALIVE: Final = 5
"""Seconds of silence after which something is sent, so that the system notices a dead network."""
_FAST_CIPHERS: Final = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_RSA_SIGNATURES: Final = ("rsa-sha2-512", "rsa-sha2-256")

# What paramiko logs is raised as well; its own lines would go to the user's terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class Crowded(Exception):
    """The host dropped a connection before it began, as sshd does beyond its MaxStartups."""

    def __init__(self, fault: WeaverError) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Trust(Protocol):
    """How far keys are trusted, and which there are."""

    @property
    def keys(self) -> KeyRing:
        """The user's keys."""
        ...

    @property
    def accept_new(self) -> bool:
        """Whether to learn the key of a host that has none."""
        ...


class Transport(paramiko.Transport):
    """A connection with what paramiko lacks: Unix sockets of the host, commands without waiting."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.learned = ""
        self._destination = threading.local()

    def open_streamlocal(self, path: str, timeout: float) -> paramiko.Channel:
        """A channel to a Unix socket of the host. Raises ChannelException where it is refused."""
        payload = paramiko.Message()
        payload.add_string(path)
        payload.add_string("")  # reserved
        payload.add_int(0)  # reserved
        self._destination.payload = payload.asbytes()
        try:
            return self.open_channel("direct-streamlocal@openssh.com", timeout=timeout)
        finally:
            self._destination.payload = b""

    def start_command(self, channel: paramiko.Channel, command: str) -> None:
        """Have a session run a command line, without waiting for the host to say that it does.

        That saves a round trip; and paramiko would wait without end for a host that hangs.
        """
        request = paramiko.Message()
        request.add_byte(cMSG_CHANNEL_REQUEST)
        request.add_int(channel.remote_chanid)
        request.add_string("exec")
        request.add_boolean(False)
        request.add_string(command)
        self._send_user_message(request)

    def _send_user_message(self, data: paramiko.Message) -> None:
        """Add the destination to the one message that opens a channel, which paramiko cannot."""
        payload: bytes = getattr(self._destination, "payload", b"")
        if payload:
            self._destination.payload = b""
            data.add_bytes(payload)
        super()._send_user_message(data)  # type: ignore[misc]


def negotiate(host: Host, config: ClientConfig, stream: Any, trust: Trust) -> Transport:
    """Speak SSH on a connection until the user is known to the host; it is closed on failure.

    Raises WeaverError, and Crowded where a further attempt may succeed.
    """
    transport: Transport | None = None
    try:
        transport = Transport(stream)
        _exchange(transport, host, config, trust)
        _authenticate(transport, host, config, trust.keys)
        transport.set_keepalive(KEEPALIVE)
    except BaseException:
        if transport is not None:
            transport.close()
            transport.join(1.0)
        with contextlib.suppress(OSError):
            stream.close()
        raise
    return transport


def _exchange(transport: Transport, host: Host, config: ClientConfig, trust: Trust) -> None:
    """Agree on keys, and verify the host's."""
    files = (*config.user_known_hosts, *config.global_known_hosts)
    name, port = (config.known_as, 22) if config.known_as else (config.hostname, config.port)
    known = known_hosts.KnownHosts(known_hosts.read(files), name, port)
    options = transport.get_security_options()
    options.ciphers = _preferring(_FAST_CIPHERS, options.ciphers)
    types = (_RSA_SIGNATURES if kind == "ssh-rsa" else (kind,) for kind in known.key_types)
    options.key_types = _preferring(itertools.chain.from_iterable(types), options.key_types)
    patience = host.connect_timeout or BANNER
    transport.banner_timeout = transport.handshake_timeout = patience
    transport.auth_timeout = AUTHENTICATION
    began = time.monotonic()
    try:
        transport.start_client(timeout=2 * patience)
        shown = transport.get_remote_server_key()
    except (paramiko.SSHException, EOFError, OSError) as error:
        fault: BaseException = error
        if time.monotonic() - began >= patience:
            fault = TimeoutError(f"nothing came within {patience:g} s")
        problem = faults.negotiating(host, config, fault)
        if fault is error and isinstance(problem, Unreachable):
            raise Crowded(problem) from error
        raise problem from error
    key = known_hosts.Key(shown.get_name(), shown.asbytes())
    own = config.user_known_hosts
    hashed = config.hash_known_hosts
    if known_hosts.verify(host, key, known, own, accept_new=trust.accept_new, hashed=hashed):
        transport.learned = f"{key.type} {key.fingerprint}"


def _preferring(first: Any, supported: Any) -> tuple[str, ...]:
    """What is supported, with some of it at the front."""
    return tuple(dict.fromkeys([*(name for name in first if name in supported), *supported]))


def _authenticate(transport: Transport, host: Host, config: ClientConfig, keys: KeyRing) -> None:
    offered: list[str] = []
    unusable: list[WeaverError] = []
    with agent_at(config.identity_agent) as agent:
        for name, key in keys.candidates(config, agent, unusable):
            offered.append(name)
            if _accepts(transport, host, config, key):
                return
            if not transport.is_active():
                break
    if not offered and _accepts(transport, host, config, None):
        return
    ended = not transport.is_active()
    raise faults.refused(host, config, offered=offered, unusable=unusable, ended=ended)


def _accepts(
    transport: Transport, host: Host, config: ClientConfig, key: paramiko.PKey | None
) -> bool:
    """Whether the host lets the user in with a key, or without any."""
    try:
        if key is None:
            more = transport.auth_none(config.user)
        else:
            more = transport.auth_publickey(config.user, key)
    except paramiko.BadAuthenticationType as error:
        if "publickey" not in error.allowed_types:
            raise faults.no_keys_accepted(host, config, error.allowed_types) from error
        return False
    except paramiko.AuthenticationException as error:
        if "timeout" in str(error).lower():
            raise faults.late(host, "authentication", AUTHENTICATION) from error
        return False
    except (paramiko.SSHException, EOFError, OSError) as error:
        if not transport.is_active():
            raise faults.lost(host, error) from error
        return False  # a key that cannot sign, such as one that the agent's user denied
    if more:
        raise faults.no_keys_accepted(host, config, [f"a key and then {', '.join(more)}"])
    return True
