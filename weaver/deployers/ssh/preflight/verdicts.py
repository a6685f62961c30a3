"""What the facts of a host mean: one function for each check, each pure.

Decides the limits beyond which something is a warning or a failure, and what is to be done.
"""

import errno
from typing import Final

from weaver.deployers.ssh.preflight.facts import Bind, Facts
from weaver.deployers.ssh.preflight.findings import Verdict
from weaver.deployers.ssh.preflight.needs import Needs

FEWEST_INODES: Final = 5_000  # one release is some 600 to 3,000 files
FEWEST_FILES: Final = 256
LOW_FILES: Final = 1024
NOTICEABLE: Final = 2.0
"""Seconds of skew from which logs of several hosts cannot be put in order any more."""
INTOLERABLE: Final = 20 * 3600.0
"""Certificates are valid from 24 hours before they are made."""

LONGEST_DIRECTORY: Final = 103 - len("/run/01234567/e.sock")
"""Bytes: a Unix socket's path may have 103 on every system, and this is what comes after it."""
_NETWORK: Final = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "afs", "glusterfs")


def judge_disk(facts: Facts, needs: Needs) -> Verdict:
    """Bytes and inodes that are free where weaver keeps its files."""
    place = facts["existing"]
    if facts.free_bytes is None:
        return Verdict("ok", "unknown")
    free = _size(facts.free_bytes)
    if facts.free_bytes < needs.space:
        return Verdict(
            "fail",
            f"the disk has {free} left, and {_size(needs.space)} are needed",
            f"in {place}",
            f"free some space, or {_elsewhere(needs)}",
        )
    if facts.free_inodes is not None and facts.free_inodes < FEWEST_INODES:
        return Verdict(
            "fail",
            f"the disk has room for {facts.free_inodes} more files only",
            f"its inodes are used up in {place}; a release is thousands of small files",
            f"remove files that are many and small, or {_elsewhere(needs)}",
        )
    if facts.free_bytes < 3 * needs.space:
        return Verdict(
            "warn",
            f"the disk has {free} left",
            f"a release takes up to {_size(needs.space)}, and several are kept",
            f"free some space, or {_elsewhere(needs)}",
        )
    return Verdict("ok", free)


def judge_directory(facts: Facts, needs: Needs) -> Verdict:
    """Whether weaver can keep, run and connect to files there."""
    directory, existing = facts["directory"], facts["existing"]
    elsewhere = _elsewhere(needs)
    if (denied := _denied(facts, elsewhere)) is not None:
        return denied
    kind, _, options = facts["mount"].partition(" ")
    if "noexec" in options.split(","):
        return Verdict(
            "fail",
            f"{existing} is mounted noexec",
            "compiled modules of packages cannot be loaded from there",
            elsewhere,
        )
    if len(directory.encode()) > LONGEST_DIRECTORY and not needs.here:
        return Verdict(
            "fail",
            f"the path {directory} is too long",
            f"it has {len(directory.encode())} bytes; more than {LONGEST_DIRECTORY} leave no "
            "room for the name of a socket",
            f"{elsewhere}, with a shorter path",
        )
    if kind in _NETWORK:
        return Verdict(
            "warn",
            f"{existing} is on a network file system ({kind})",
            "hosts that share it would share the files of weaver; locks and sockets may not work",
            f"{elsewhere}, on a disk of the host's own",
        )
    return Verdict("ok", "writable", directory)


def _denied(facts: Facts, elsewhere: str) -> Verdict | None:
    """Why the user may not have the directory at all."""
    directory, existing = facts["directory"], facts["existing"]
    if obstacle := facts["obstacle"]:
        return Verdict("fail", f"{obstacle} is no directory", fix=f"remove it, or {elsewhere}")
    owner = facts["owner"].split()[2:3]
    if owner and owner != [facts["uid"]]:
        return Verdict(
            "fail",
            f"{directory} belongs to another user, whose id is {owner[0]}",
            "its files are run, so only their owner may be able to write them",
            f"remove it, or {elsewhere}",
        )
    if facts["writable"] != "yes":
        return Verdict(
            "fail",
            f"{facts['user']} may not write to {existing}",
            f"weaver keeps its files in {directory}",
            f"give it to that user, or {elsewhere}",
        )
    return None


def judge_limits(facts: Facts, needs: Needs) -> Verdict:
    """How many files a process may have open; each connection is one."""
    del needs
    soft, _, hard = facts["files"].partition(" ")
    if not soft.isdigit():
        return Verdict("ok", soft or "unknown")
    if int(soft) >= LOW_FILES:
        return Verdict("ok", soft)
    raised = f"up to {hard} it can be raised by the user: `ulimit -n {hard}` in the profile"
    may_raise = hard == "unlimited" or (hard.isdigit() and int(hard) >= LOW_FILES)
    return Verdict(
        "fail" if int(soft) < FEWEST_FILES else "warn",
        f"a process may have {soft} open files only",
        "each connection and each log needs one",
        raised if may_raise else "raise nofile in /etc/security/limits.conf",
    )


def judge_clock(facts: Facts, needs: Needs) -> Verdict:
    """How far the clock is from ours, as far as that is certain."""
    del needs
    skew = facts.skew
    if skew is None:
        return Verdict("ok", "unknown")
    certain = 0.0 if skew.least <= 0 <= skew.most else min(abs(skew.least), abs(skew.most))
    shown = f"{_duration(abs(skew.likely))} {'ahead of' if skew.likely > 0 else 'behind'}"
    if certain <= NOTICEABLE:
        return Verdict("ok", f"{skew.likely * 1000:+.0f} ms" if certain else "in step")
    broken = certain > INTOLERABLE
    return Verdict(
        "fail" if broken else "warn",
        f"the clock is {shown} this machine's",
        "certificates of the deployment are not valid there yet"
        if broken
        else "logs and events of several hosts cannot be put in order",
        "set the clock, and keep it right with chrony, ntpd or systemd-timesyncd",
    )


def judge_ports(facts: Facts, needs: Needs) -> Verdict:
    """Whether the addresses that users will reach can be bound."""
    if not needs.listeners:
        return Verdict("ok", "none fixed")
    if not facts.binds:
        failed = facts["answer"].removeprefix("failed").strip()
        why = failed or "there is no Python 3.9 or newer to try it with"
        return Verdict("warn", "the ports are not examined", why, "see: python")
    taken = [bind for bind in facts.binds if bind.fault and not _is_ours(bind)]
    if taken:
        return _untakable(taken[0])
    ours = [str(bind.port) for bind in facts.binds if bind.fault]
    if ours:
        return Verdict("ok", f"{', '.join(ours)} held by weaver")
    return Verdict("ok", ", ".join(str(b.port) for b in facts.binds if b.port) or "any")


def judge_logout(facts: Facts, needs: Needs) -> Verdict:
    """Whether what is started goes on after the connection has ended."""
    if facts["systemd"] != "yes":
        return Verdict("ok", "no systemd")
    user, lingers = facts["user"], facts["linger"] == "yes"
    enable = f"loginctl enable-linger {user}"
    if needs.service and not lingers:
        return Verdict(
            "fail",
            f"services of {user} end when nobody of that name is logged in",
            "lingering is off, so a unit of the user starts at login and not at boot",
            enable,
        )
    if not needs.service and _kills(facts):
        return Verdict(
            "fail",
            "the host ends all processes of a user at logout",
            "its logind has KillUserProcesses=yes, which also meets what has detached itself",
            "set KillUserProcesses=no in /etc/systemd/logind.conf"
            + ("" if needs.here else f"; or deploy with --service, after: {enable}"),
        )
    return Verdict("ok", "lingers" if lingers else "survives")


def judge_weaver(facts: Facts, needs: Needs) -> Verdict:
    """What weaver has there already."""
    del needs
    running = sum(1 for process in facts.running if process.startswith("envelope"))
    kept = f"{len(facts.kept)} release{'' if len(facts.kept) == 1 else 's'} in {facts['directory']}"
    if facts.apps:
        kept += f", of {', '.join(facts.apps)}"
    short = f"{running} running" if running else f"{len(facts.kept)} kept"
    return Verdict("ok", short if running or facts.kept else "none", kept)


def _elsewhere(needs: Needs) -> str:
    if needs.here:
        return "set XDG_CACHE_HOME to another place"
    return "name another place with dir= in the list of hosts"


def _kills(facts: Facts) -> bool:
    """Whether logind ends what this login leaves behind; only sessions that it knows of count."""
    if facts.logind.get("KillUserProcesses") != "yes" or not facts["session"]:
        return False
    only = facts.logind.get("KillOnlyUsers", "").split()
    return facts["user"] not in facts.logind.get("KillExcludeUsers", "").split() and (
        not only or facts["user"] in only
    )


def _is_ours(bind: Bind) -> bool:
    return bind.errno == errno.EADDRINUSE and "weaver.application.main" in bind.holder


def _untakable(bind: Bind) -> Verdict:
    address = f"[{bind.host}]:{bind.port}" if ":" in bind.host else f"{bind.host}:{bind.port}"
    what = f"listener {bind.name} cannot have {address}"
    setting = f"[listeners.{bind.name}] address"
    if bind.errno == errno.EACCES:
        return Verdict(
            "fail",
            what,
            "ports below 1024 are for root",
            f"choose a higher one in {setting}, or lower net.ipv4.ip_unprivileged_port_start",
        )
    if bind.errno == errno.EADDRINUSE:
        who = " ".join(bind.holder)[:80] if bind.holder else "a process of another user"
        return Verdict(
            "fail", what, f"{who} listens there", f"end that, or choose another port in {setting}"
        )
    return Verdict(
        "fail", what, bind.fault, f"name an address of the host in {setting}, such as 0.0.0.0"
    )


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.0f} {unit}"
    return f"{count / 1e3:.0f} kB"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"
