"""The envelope's process: its arguments, and what it makes of the process it was started as.

`envelope --socket PATH --host NAME`. With `--daemon` it survives whoever started it, and the
command returns when the socket takes managers. `--parent PID` names the process that is going to
attach: should it end before that, so does the envelope.
"""

import argparse
import asyncio
import contextlib
import fcntl
import gc
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from weaver.envelope.control_socket import private_directory
from weaver.envelope.envelope import Envelope
from weaver.envelope.epoch import epoch_file
from weaver.envelope.lineage import inherit_orphans, name_process
from weaver.envelope.open_files import raise_limit
from weaver.errors import WeaverError

HOLD_PATIENCE = 2.0  # seconds


def main(argv: Sequence[str]) -> int:
    """Run an envelope until it ends; the exit code."""
    parser = argparse.ArgumentParser("envelope", description="The parent of replicas on one host.")
    parser.add_argument("--socket", type=Path, required=True, help="its control socket")
    parser.add_argument("--host", required=True, help="the name of this host in the deployment")
    parser.add_argument("--parent", type=int, default=0, help="end with it if no manager attaches")
    parser.add_argument("--daemon", action="store_true", help="return when the socket is ready")
    parser.add_argument("--hold", type=Path, help="a file to lock, shared, as long as this runs")
    parser.add_argument("--ended", type=Path, help="a file to leave when a manager has ended it")
    parser.add_argument("--unit", default="", help="of systemd: it starts this, and goes with it")
    parser.add_argument("--runtime", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    path: Path = arguments.socket.absolute()
    try:
        private_directory(path.parent)
        if arguments.ended is not None:
            _refuse_ended(arguments.ended)
        if arguments.hold is not None:
            _hold(arguments.hold)
        ready = _daemonise(path) if arguments.daemon else None
        return asyncio.run(_serve(path, arguments, ready))
    except WeaverError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - nobody is connected yet
        return 1


async def _serve(path: Path, arguments: argparse.Namespace, ready: int | None) -> int:
    inherit_orphans()
    name_process("weaver-envelope")
    raise_limit()
    envelope = Envelope(
        path,
        arguments.host,
        runtime=arguments.runtime,
        parent=arguments.parent or (1 if arguments.daemon else os.getppid()),
        patient=bool(arguments.unit),
    )
    await envelope.open()
    if ready is not None:
        os.write(ready, b"1")
        os.close(ready)
    gc.freeze()
    await envelope.run()
    if envelope.dismissed and arguments.ended is not None:
        _clear(path, arguments.ended)
    if envelope.dismissed and arguments.unit:
        _remove_unit(arguments.unit)
    return 0


def _hold(path: Path) -> None:
    """Lock the release that this runs from, so that nobody prunes it. Replicas inherit the lock."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
        until = time.monotonic() + HOLD_PATIENCE
        while not _locked(lock, last=time.monotonic() > until):
            time.sleep(0.02)
    except OSError as error:
        raise WeaverError(
            "the release cannot be held",
            where=str(path),
            why=error.strerror or str(error),
            fix="it is being pruned, or its folder is not yours: deploy again",
        ) from error


def _locked(lock: int, *, last: bool) -> bool:
    """Whether it is locked now; who looks whether a release runs has the lock for a moment."""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        if last:
            raise
        return False
    return True


def _daemonise(path: Path) -> int:
    """Go on in a process of its own session, whose output goes to a file beside the socket.

    The first process waits for the descriptor that is returned here, and exits.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        started = os.read(reader, 1) == b"1"
        if not started:
            print(_log_of(path).read_text(), file=sys.stderr)  # noqa: T201
        os._exit(0 if started else 1)
    os.close(reader)
    os.setsid()
    if os.fork():
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(_log_of(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for number, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(number, standard)
    os.close(nothing)
    os.close(output)
    return writer


def _refuse_ended(path: Path) -> None:
    """A manager that has missed the end of its deployment must not begin it anew."""
    if path.exists():
        raise WeaverError(
            "this deployment has been ended",
            where=str(path),
            why="another manager has stopped it, and this one has not heard of that",
            fix="deploy again, if it shall run",
        )


def _clear(path: Path, ended: Path) -> None:
    """Leave nothing beside the socket, but for what was said and nobody has read."""
    with contextlib.suppress(OSError):  # a full disk: then the epoch stays, and tells as much
        ended.parent.mkdir(mode=0o700, exist_ok=True)
        ended.touch(mode=0o600)
    if not ended.exists():
        return
    epoch_file(path).unlink(missing_ok=True)
    for sock in path.parent.glob("*.sock"):  # of replicas that were killed
        sock.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        if not _log_of(path).stat().st_size:
            _log_of(path).unlink()
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def _remove_unit(name: str) -> None:
    """Remove a unit of the user's systemd, as `systemctl --user disable` does, and its file."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folder = home / "systemd" / "user"
    with contextlib.suppress(OSError):
        (folder / "default.target.wants" / name).unlink(missing_ok=True)
        (folder / name).unlink(missing_ok=True)


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + ".log")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
