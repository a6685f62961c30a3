"""Two versions of a small web application on this host, each with an envelope of its own."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from envelope_fakes import FakeManager, attached

from weaver.control.certificates import Certificates
from weaver.control.messages import Application, GroupOrder, Orders
from weaver.control.restarts import Heartbeats, Restarts
from weaver.control.traffic import Traffic

CODE: Final = """
import asyncio, os, weaver

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            text = f"{os.getpid()} {scope['scheme']} {message['text']}"
            await send({"type": "websocket.send", "text": text})
        return
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body")
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    client = scope["client"] or ("", 0)
    text = f"{os.getpid()} {client[0]}:{client[1]} {scope['scheme']} {size}".encode()
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})

@weaver.component
class Web:
    http: weaver.Listener

    async def main(self) -> None:
        await self.http.serve(app)
"""


def start_envelope_at(path: Path) -> subprocess.Popen[bytes]:
    """An envelope with weaver's own runtime."""
    command = [sys.executable, "-m", "weaver.envelope.main", "--socket", str(path), "--host", "h"]
    return subprocess.Popen(command, start_new_session=True)


class Version:
    """One version: its envelope's process, and a manager of it."""

    def __init__(
        self,
        name: str,
        folder: Path,
        path: Path,
        manager: FakeManager,
        process: subprocess.Popen[bytes],
        certificates: Certificates | None,
    ) -> None:
        self.name = name
        self.certificates = certificates
        self.folder = folder
        self.path = path
        self.process = process
        self.manager = manager
        self._number = 0

    def order(self, address: str, traffic: Traffic, replicas: int = 1, **changes: Any) -> None:
        """Give orders."""
        self._number += 1
        listeners = {changes.pop("listener", "http"): address}
        group = GroupOrder(("twosided.Web",), entry="twosided.Web", listeners=listeners)
        options: dict[str, Any] = {
            "application": Application(
                "two",
                self.name,
                self.name,
                "twosided:Web",
                config=f"[app]\nname = 'two'\nentry = 'twosided:Web'\n{changes.pop('config', '')}",
                source=str(self.folder / "weaver.toml"),
                project=str(self.folder),
                certificates=self.certificates,
            ),
            "restarts": Restarts(first=0.02, most=0.1, crashes=5),
            "heartbeats": Heartbeats(every=0.5, missed=10),
            "stop_timeout": 5.0,
            "on_manager_lost": "continue",
            "traffic": traffic,
        }
        names = {f"{self.name}-{i}": "web" for i in range(replicas)}
        groups = {"web": group} if names else {}  # as a manager orders only what runs
        self.manager.send(Orders(self._number, groups, names, **{**options, **changes}))


@asynccontextmanager
async def version(
    name: str, root: Path, *, certificates: Certificates | None = None
) -> AsyncGenerator[Version]:
    """An envelope that runs, and has no orders yet."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "twosided.py").write_text(CODE)
    runtime = Path(tempfile.mkdtemp(prefix="wv-"))  # short, for sockets
    path = runtime / "e.sock"
    process = start_envelope_at(path)
    try:
        async with attached(path, deployment=name) as manager:
            yield Version(name, folder, path, manager, process, certificates)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        shutil.rmtree(runtime)
