"""What the failures of a connection are called: every exception on the way to a host, as an error.

`Unreachable` is what may pass by itself: a network, a host that is down, a lost connection. Other
errors need someone to change something.
"""

import errno
import socket

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from weaver.deployers.ssh.client_config import ClientConfig
from weaver.deployers.ssh.inventory import Host
from weaver.errors import Unreachable, WeaverError


def place(host: Host) -> str:
    """The host, and where it is listed."""
    return f"{host.name} ({host.where})" if host.where else host.name


def connecting(host: Host, config: ClientConfig, error: OSError) -> Unreachable:
    """A TCP connection that was not made."""
    at = f"{config.hostname}:{config.port}"
    listed = host.where or "the list of hosts"
    if isinstance(error, socket.gaierror):
        what = f"the name {config.hostname} cannot be resolved"
        fix = f"correct it in {listed} or ~/.ssh/config"
    elif isinstance(error, ConnectionRefusedError):
        what = f"nothing listens at {at}"
        fix = "start sshd there, or correct the port"
    elif isinstance(error, TimeoutError):
        what = f"{at} does not answer"
        fix = "see whether the host is up, and whether a firewall drops connections"
    elif error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}:
        what = f"there is no route to {at}"
        fix = "see whether the host is up and the network is that of the host"
    else:
        what = f"{at} cannot be reached"
        fix = f"try it yourself: ssh -p {config.port} {config.user}@{config.hostname}"
    return Unreachable(what, where=place(host), why=error.strerror or str(error), fix=fix)


def negotiating(host: Host, config: ClientConfig, error: BaseException) -> WeaverError:
    """A connection that was made, and then spoke no SSH that we understand."""
    at = f"{config.hostname}:{config.port}"
    if isinstance(error, IncompatiblePeer):
        return WeaverError(
            f"{host.name} offers no algorithm that is known here",
            where=place(host),
            why=str(error),
            fix="update OpenSSH there, or paramiko here",
        )
    if "protocol version" in str(error):  # a banner that is another protocol's
        return WeaverError(
            f"what listens at {at} is no SSH server",
            where=place(host),
            why=str(error),
            fix="correct the port",
        )
    if isinstance(error, TimeoutError):
        what, fix = f"{at} accepts connections and does not answer", "see whether the host hangs"
    else:
        what = f"{at} ends connections before they begin"
        fix = "sshd may be at its MaxStartups, or refuse this address: see its log"
    return Unreachable(what, where=place(host), why=_text(error), fix=fix)


def refused(
    host: Host,
    config: ClientConfig,
    *,
    offered: list[str],
    unusable: list[WeaverError],
    ended: bool,
) -> WeaverError:
    """No key was accepted; `ended` says that the host had seen enough of them."""
    what = f"{host.name} does not let {config.user} in"
    if ended and len(offered) > 1:
        return WeaverError(
            what,
            where=place(host),
            why=f"too many keys were offered before the right one: {', '.join(offered)}",
            fix="name the key in ~/.ssh/config: IdentityFile and IdentitiesOnly yes",
        )
    if unusable:
        others = f"it accepts none of: {', '.join(offered)}" if offered else "there is no other key"
        return WeaverError(
            what,
            where=place(host),
            why=f"{unusable[0].what}; {others}"
            + (f" ({unusable[0].why})" if unusable[0].why else ""),
            fix=unusable[0].fix,
        )
    if not offered:
        return WeaverError(
            what,
            where=place(host),
            why="there is no key to offer: no agent has one, and none of these files exists: "
            + (", ".join(map(str, config.identity_files)) or "(none)"),
            fix="make a key: ssh-keygen -t ed25519; or name yours in ~/.ssh/config: IdentityFile",
        )
    return WeaverError(
        what,
        where=place(host),
        why=f"it accepts none of: {', '.join(offered)}",
        fix="write the right user before the host, or let the key in: "
        f"ssh-copy-id -p {config.port} {config.user}@{config.hostname}",
    )


def no_keys_accepted(host: Host, config: ClientConfig, allowed: list[str]) -> WeaverError:
    """The host takes no keys at all, such as passwords only."""
    return WeaverError(
        f"{host.name} does not let {config.user} in by a key",
        where=place(host),
        why=f"it accepts only: {', '.join(allowed) or 'nothing'}; passwords are not supported",
        fix="set PubkeyAuthentication yes in its sshd_config",
    )


def lost(host: Host, error: BaseException | None = None) -> Unreachable:
    """A connection that was there, and is no more."""
    return Unreachable(
        f"the connection to {host.name} was lost",
        where=place(host),
        why=_text(error) if error is not None else "",
        fix="see whether the host is up; what runs there goes on without it",
    )


def late(host: Host, doing: str, timeout: float) -> Unreachable:
    """An answer that did not come in time; `doing` is what was to be done."""
    return Unreachable(
        f"{host.name} did not answer within {timeout:.3g} s",
        where=place(host),
        why=f"while waiting for: {doing}",
        fix="see whether the host is up and not overloaded",
    )


class NoSession(WeaverError):
    """A host opens no session on a connection: it allows no more of them, or none."""


def no_session(host: Host, error: paramiko.ChannelException) -> NoSession:
    """The host is reached, and refuses to run anything on this connection."""
    return NoSession(
        f"{host.name} refuses to run a command",
        where=place(host),
        why=f"it does not open a session: {error.text}",
        fix="set MaxSessions in its sshd_config to 1 or more; 10 is the default",
    )


def _text(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "the other end closed it"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return str(error) or type(error).__name__
