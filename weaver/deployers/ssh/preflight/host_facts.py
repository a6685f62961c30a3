"""Runs on the host, by whichever Python 3.9 or newer is there: what sh cannot find out.

It gets a JSON object `{listeners: [[name, host, port]]}` and prints one: whether each can be bound,
and which processes of weaver this user has. Only the standard library, nothing of weaver.
"""

import json
import os
import socket
import sys
from typing import Any

MOST_ARGUMENT = 200
MODULE = "weaver.application.main"


def bind_fault(host: str, port: int) -> "OSError | None":
    """Why a server cannot listen there; None if it can."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(address)
            server.listen()
    except OSError as error:
        return error
    return None


def sockets_on(port: int) -> "set[str]":
    """The kernel's numbers of the sockets that listen on a port."""
    found: set[str] = set()
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(name, encoding="ascii") as table:  # noqa: PTH123 - one module less to load
                rows = [row.split() for row in table][1:]
        except OSError:
            continue
        ending = ":" + format(port, "04X")
        found.update(row[9] for row in rows if row[3] == "0A" and row[1].endswith(ending))
    return found


def processes() -> "dict[int, list[str]]":
    """The arguments of the other processes of this user, by their ids."""
    found: dict[int, list[str]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():  # noqa: PTH112, PTH208
        try:
            if not name.isdigit() or os.stat("/proc/" + name).st_uid != os.getuid():  # noqa: PTH116
                continue
            with open("/proc/" + name + "/cmdline", "rb") as file:  # noqa: PTH123
                arguments = file.read().decode(errors="replace").rstrip("\0").split("\0")
        except OSError:  # it has ended
            continue
        if int(name) != os.getpid():
            found[int(name)] = [argument[:MOST_ARGUMENT] for argument in arguments]
    return found


def holder(port: int, own: "dict[int, list[str]]") -> "dict[str, Any] | None":
    """The process of this user that listens on a port; None if it is somebody else's."""
    wanted = {"socket:[" + number + "]" for number in sockets_on(port)}
    for pid, arguments in own.items():
        folder = "/proc/" + str(pid) + "/fd/"
        try:
            for name in os.listdir(folder):  # noqa: PTH208
                if os.readlink(folder + name) in wanted:  # noqa: PTH115
                    return {"pid": pid, "command": arguments}
        except OSError:
            continue
    return None


def parent(pid: int) -> int:
    """The parent of a process; 0 if it has ended."""
    try:
        with open("/proc/" + str(pid) + "/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def weaver_processes(own: "dict[int, list[str]]") -> "list[dict[str, Any]]":
    """Those that were started as a role of weaver; forked replicas are left out."""
    found: dict[int, str] = {}
    for pid, arguments in own.items():
        if MODULE in arguments[:-1]:
            found[pid] = arguments[arguments.index(MODULE) + 1]
    return [{"pid": pid, "role": role} for pid, role in found.items() if parent(pid) not in found]


def answer(question: "dict[str, Any]") -> "dict[str, Any]":
    """All that was asked for."""
    own = processes()
    listeners: list[dict[str, Any]] = []
    for name, host, port in question["listeners"]:
        fault = bind_fault(host, port)
        told: dict[str, Any] = {"name": name, "host": host, "port": port}
        if fault is not None:
            told["fault"] = fault.strerror or str(fault)
            told["errno"] = fault.errno or 0
            told["holder"] = holder(port, own) if port else None
        listeners.append(told)
    return {"listeners": listeners, "weaver": weaver_processes(own)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(json.loads(sys.argv[1]))) + "\n")
