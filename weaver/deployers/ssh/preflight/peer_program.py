"""Runs on every host at the same time, by whichever Python 3.9 or newer is there: who reaches whom.

It gets `{name, ports, peers: [[name, address, ports]], token, seconds, most}`, listens on one of
its ports, dials its peers meanwhile, and prints why each could not be reached, "" if it could. Only
the standard library. It ends when all have met, or nobody new for so many seconds, or after `most`:
where hosts begin one after the other, the first ones wait for the last.
"""

import json
import select
import socket
import sys
import threading
import time
from typing import Any

PATIENCE = 1.0  # seconds for one attempt
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds between attempts: a peer may start a little later


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


def attempt(own: str, name: str, address: str, port: int, token: str) -> str:
    """Why a peer does not answer there; "" if it does."""
    try:
        with socket.create_connection((address, port), timeout=PATIENCE) as link:
            link.sendall((token + " " + own + "\n").encode())
            if receive(link) == token + " " + name:
                link.sendall(b"heard\n")
                return ""
            return "something else answers there"
    except socket.timeout:  # noqa: UP041 - another class before Python 3.10
        return "no answer"
    except OSError as error:
        return error.strerror or str(error)


class Meeting:
    """One host among its peers: `told` has why each could not be reached."""

    def __init__(self, question: "dict[str, Any]") -> None:
        self.own = question["name"]
        self.ports = question["ports"]
        self.token = question["token"]
        self.peers = question["peers"]
        self.told = {peer[0]: "no answer" for peer in self.peers}
        self.heard = {peer[0]: threading.Event() for peer in self.peers}
        self.seconds: float = question["seconds"]
        self.end: float = time.monotonic() + question["most"]
        self.last = time.monotonic()

    def left(self) -> float:
        """Seconds until nothing more is waited for; someone new gives the others new time."""
        return min(self.last + self.seconds, self.end) - time.monotonic()

    def serve(self, server: socket.socket) -> None:
        """Tell everyone who knows the token our name; who has given up meanwhile asks again."""
        while (left := self.left()) > 0:
            if not select.select([server], [], [], min(left, PATIENCE))[0]:
                continue
            try:
                link, _ = server.accept()
                with link:
                    link.settimeout(PATIENCE)
                    said, _, who = receive(link).partition(" ")
                    if said == self.token and who in self.heard:
                        link.sendall((self.token + " " + self.own + "\n").encode())
                        if receive(link):
                            self.last = time.monotonic()
                            self.heard[who].set()
            except OSError:
                continue

    def dial(self, name: str, address: str, ports: "list[int]") -> None:
        """Try to reach a peer until it answers, or the time is over."""
        pauses = list(PAUSES)
        while True:
            reasons: list[str] = []
            for port in ports:
                reason = attempt(self.own, name, address, port, self.token)
                if not reason:
                    self.told[name] = ""
                    self.last = time.monotonic()
                    return
                reasons.append(reason)
                if reason == "no answer" or self.left() <= 0:
                    ports = [*ports[1:], ports[0]]  # somebody else may have that one, and be silent
                    break
            self.told[name] = reasons[0]
            pause = pauses.pop(0) if pauses else PAUSES[-1]
            if self.left() <= 0:
                return
            if self.heard[name].is_set():
                time.sleep(pause)
            elif self.heard[name].wait(pause):  # it is there now
                pauses = list(PAUSES)

    def meet(self) -> "dict[str, str]":
        """Why each peer could not be reached."""
        server = listening(self.ports)
        dialers = [
            threading.Thread(target=self.dial, args=peer, daemon=True) for peer in self.peers
        ]
        for thread in dialers:
            thread.start()
        if server is not None:
            threading.Thread(target=self.serve, args=(server,), daemon=True).start()
        for thread in dialers:
            while thread.is_alive() and self.left() > -PATIENCE:
                thread.join(max(self.left() + PATIENCE, 0))
        if server is not None:
            for heard in self.heard.values():
                while not heard.is_set() and (left := self.left()) > 0:
                    heard.wait(left)
        return dict(self.told)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(Meeting(json.loads(sys.argv[1])).meet()) + "\n")
