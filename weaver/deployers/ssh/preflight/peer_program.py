"""Runs on every host at the same time, by the Python chosen for it: who can reach whom.

It gets `{name, ports, peers: [[name, address, ports]], token, seconds}`, listens on one of its
ports for so long, dials its peers meanwhile, and prints why each could not be reached, "" if it
could. Only the standard library. It ends when all have met, at the latest after the given time.
"""

import json
import select
import socket
import sys
import threading
import time
from typing import Any

PATIENCE = 1.0  # seconds for one attempt
PAUSE = 0.05  # seconds between attempts: a peer may start a little later


def listening(ports: "list[int]") -> "socket.socket | None":
    """A server on the first of these ports that is free, on all addresses."""
    for family, host in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):  # noqa: S104
        for port in ports:
            try:
                server = socket.socket(family, socket.SOCK_STREAM)
            except OSError:
                break
            try:
                if family == socket.AF_INET6:
                    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind((host, port))
                server.listen(128)
            except OSError:
                server.close()
                continue
            return server
    return None


def receive(link: socket.socket) -> str:
    """One line, or what has come of it until the end."""
    data = b""
    while b"\n" not in data and len(data) < 500 and (more := link.recv(500)):
        data += more
    return data.decode(errors="replace").strip()


def serve(server: socket.socket, token: str, name: str, heard: "set[str]", until: float) -> None:
    """Tell everyone who knows the token our name."""
    while (left := until - time.monotonic()) > 0:
        if not select.select([server], [], [], min(left, PATIENCE))[0]:
            continue
        try:
            link, _ = server.accept()
            with link:
                link.settimeout(PATIENCE)
                said, _, who = receive(link).partition(" ")
                if said == token:
                    link.sendall((token + " " + name + "\n").encode())
                    heard.add(who)
        except OSError:
            continue


def attempt(own: str, name: str, address: str, port: int, token: str) -> str:
    """Why a peer does not answer there; "" if it does."""
    try:
        with socket.create_connection((address, port), timeout=PATIENCE) as link:
            link.sendall((token + " " + own + "\n").encode())
            if receive(link) == token + " " + name:
                return ""
            return "something else answers there"
    except socket.timeout:  # noqa: UP041 - another class before Python 3.10
        return "no answer"
    except OSError as error:
        return error.strerror or str(error)


def dial(own: str, peer: "list[Any]", token: str, until: float, told: "dict[str, str]") -> None:
    """Try to reach a peer until it answers, or the time is over."""
    name, address, ports = peer
    while True:
        reasons: list[str] = []
        for port in ports:
            reason = attempt(own, name, address, port, token)
            if not reason:
                told[name] = ""
                return
            reasons.append(reason)
            if reason == "no answer" or time.monotonic() > until:
                break
        told[name] = reasons[0]
        if time.monotonic() > until:
            return
        time.sleep(PAUSE)


def meet(question: "dict[str, Any]") -> "dict[str, str]":
    """Why each peer could not be reached."""
    until = time.monotonic() + question["seconds"]
    own, token, peers = question["name"], question["token"], question["peers"]
    told = {peer[0]: "no answer" for peer in peers}
    heard: set[str] = set()
    server = listening(question["ports"])
    dialers = [
        threading.Thread(target=dial, args=(own, peer, token, until, told), daemon=True)
        for peer in peers
    ]
    for thread in dialers:
        thread.start()
    if server is not None:
        acceptor = threading.Thread(
            target=serve, args=(server, token, own, heard, until), daemon=True
        )
        acceptor.start()
    for thread in dialers:
        thread.join(max(until - time.monotonic(), 0) + PATIENCE)
    while len(heard) < len(peers) and time.monotonic() < until and server is not None:
        time.sleep(PAUSE)
    return dict(told)


if __name__ == "__main__":
    sys.stdout.write("\nweaver-peers 1\n" + json.dumps(meet(json.loads(sys.argv[1]))) + "\n")
    sys.stdout.flush()
