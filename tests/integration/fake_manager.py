"""A manager's socket that answers with what a test has prepared, for commands that ask one."""

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from weaver.control.messages import Fault, LogRecord
from weaver.control.operator import (
    DeploymentReport,
    Done,
    GetLogs,
    GetStatus,
    ListenerReport,
    Records,
    Refused,
    Request,
    Status,
    admits,
)
from weaver.control.rollout import ENDED, GetRollout, RolloutReport, Steer
from weaver.control.stream import Codec, Receiver, encode

PATIENCE = 30.0


class FakeManager:
    """Serves `path`; use it as a context manager.

    Whoever follows the rollout gets `reports` one after the other, after which the manager goes if
    it is not over, and who asks once the last of those that were sent, or the first. `steered` are
    the commands that came; `refusal` answers them, where there is one. `after` is what is reported
    once a command has come. Whoever asks for the status gets that of `deployment` in each of
    `states`; after "starting" the manager goes. `meanwhile` is called with the name of each
    request; True from it, and the manager goes, too. `logs` is its log; after that, it goes.
    """

    def __init__(
        self,
        path: Path,
        reports: Sequence[RolloutReport] = (),
        *,
        deployment: str = "d2",
        version: str = "b" * 64,
        states: Sequence[str] = ("live",),
    ) -> None:
        self.meanwhile: Callable[[str], bool] = lambda _: False
        self._statuses = [_status(deployment, version, state) for state in states]
        self.reports = list(reports)
        self.after: list[RolloutReport] = []
        self.logs: list[LogRecord] = []
        self.steered: list[str] = []
        self.refusal: Fault | None = None
        self.requests: list[str] = []
        self._current = self.reports[0] if self.reports else None
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen()
        self._thread = threading.Thread(target=self._serve, name="weaver-fake-manager")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._server.close()

    def begin_anew(self, report: RolloutReport) -> None:
        """Answer from now on as if this were the first report."""
        self.reports = [report]
        self._current = report

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client:
                client.settimeout(PATIENCE)
                with contextlib.suppress(OSError):  # whoever asked has left
                    self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        receiver: Receiver[Any] = Receiver(Codec(Request))
        while data := client.recv(65536):
            for request in receiver.feed(data):
                name = type(request).__name__
                self.requests.append(name)
                if self.meanwhile(name):
                    return
                for answer in self._answers(request):
                    client.sendall(encode(answer))
                return

    def _answers(self, request: Any) -> list[Any]:
        match request:
            case GetRollout(follow=True):
                self._current = self.reports[-1]
                goes = self._current.phase not in ENDED
                return [*self.reports, *([] if goes else [Done()])]
            case GetRollout():
                return [self._current, Done()]
            case Steer(action=action):
                self.steered.append(action)
                if self.refusal is not None:
                    return [Refused(self.refusal, usage=True)]
                self.reports = self.after or self.reports
                self._current = self.reports[0]
                return [Done()]
            case GetStatus():
                goes = self._statuses[-1].report.state == "starting"
                return [*self._statuses, *([] if goes else [Done()])]
            case _:
                return self._records(request) if isinstance(request, GetLogs) else [Done()]

    def _records(self, request: GetLogs) -> list[Any]:
        found = [r for r in self.logs if admits(request.filter, r)]
        tail = request.filter.tail
        shown = found[max(len(found) - tail, 0) :] if tail >= 0 else found
        return [Records(tuple(shown)), *([] if request.follow else [Done()])]


def _status(deployment: str, version: str, state: str) -> Status:
    listener = ListenerReport("http", "127.0.0.1:8080")
    return Status(DeploymentReport("shop", version, deployment, state, listeners=(listener,)))
