"""The first and last steps of a replica's process, forked or spawned: around `run_replica`.

Decides what a replica finds when its code begins: a session of its own, signals as a new program
has them, the environment, the application imported. It must not know how calls are served; that is
the runtime's (`weaver.proclet`), which tests replace by a module of that name.
"""

import argparse
import asyncio
import faulthandler
import importlib
import io
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from weaver.control import faults
from weaver.control.messages import Application, Failed, Fault, Hosting, ToProclet
from weaver.control.stream import LENGTH, Codec, encode
from weaver.envelope.lineage import die_with
from weaver.errors import ProtocolError, WeaverError

HOSTING_TIMEOUT: Final = 30.0


class Runtime(NamedTuple):
    """The two functions of the runtime that this package calls."""

    load: Callable[[Application], Any]
    run_replica: Callable[[Hosting, socket.socket, Any], int]


def find_runtime(module: str) -> Runtime:
    """The runtime: weaver's own, or that of a module."""
    running = importlib.import_module(module or "weaver.proclet.main")
    loading = importlib.import_module(module or "weaver.proclet.preload")
    return Runtime(loading.load, running.run_replica)


def preload(application: Application, runtime: str) -> tuple[Runtime, Any]:
    """Set the environment and import the application. Raises whatever its modules raise."""
    stdout: Any = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(line_buffering=True)  # a line is seen when it is written
    os.environ.update(application.environment)
    if application.project and application.project not in sys.path:
        sys.path.insert(0, application.project)
    found = find_runtime(runtime)
    return found, found.load(application)


def fault_of(error: BaseException, application: Application) -> Fault:
    """An error of the import as it is reported; the traceback goes to stderr, into the log."""
    if isinstance(error, WeaverError):
        return faults.fault_of(error)
    traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith("<")]
    return faults.fault(
        f"{application.target} cannot be imported",
        f"{own[-1].filename}:{own[-1].lineno}" if own else "",
        f"{type(error).__name__}: {error}",
        f'see the traceback in the log, or run: python -c "import '
        f'{application.target.partition(":")[0]}"',
    )


def receive_hosting(control: socket.socket) -> Hosting:
    """The first message, and no byte more. Raises ProtocolError, EOFError, TimeoutError."""
    control.settimeout(HOSTING_TIMEOUT)
    length = LENGTH.unpack(_exactly(control, LENGTH.size))[0]
    message = Codec[Any](ToProclet).decode(_exactly(control, length))
    if not isinstance(message, Hosting):
        raise ProtocolError(f"the first message is {type(message).__name__}, not Hosting")
    return message


def as_a_new_program() -> None:
    """Undo what this process has inherited of its parent's signals, and be able to dump stacks."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # A copy of stderr: the runtime may point fd 2 elsewhere. It stays open as long as we live.
    errors = os.dup(2)
    faulthandler.enable(errors)
    faulthandler.register(signal.SIGQUIT, errors, all_threads=True)


def warm_up() -> None:
    """Touch what every replica touches first, so that the kernel has copied those pages before."""

    async def nothing() -> None:
        await asyncio.sleep(0)

    try:
        import uvloop
    except ImportError:
        asyncio.run(nothing())
    else:
        uvloop.run(nothing())


Inherited = Mapping[str, tuple[int, int, int]]
"""Descriptors of each listener: its listening socket, and receiver and sender of its pair."""


def with_listeners(hosting: Hosting, inherited: Inherited) -> Hosting:
    """What a replica is told, with the descriptors that it has."""
    return msgspec.structs.replace(
        hosting,
        listeners={name: numbers[0] for name, numbers in inherited.items()},
        handover={name: numbers[1:] for name, numbers in inherited.items()},
    )


def host(control: socket.socket, runtime: Runtime, preloaded: Any, inherited: Inherited) -> int:
    """Run a forked replica until it ends; the exit code."""
    hosting = with_listeners(receive_hosting(control), inherited)
    return _run(runtime, hosting, control, preloaded)


def main(argv: Sequence[str]) -> int:
    """`proclet --control-fd N --parent PID [--runtime MODULE]`: a spawned replica."""
    parser = argparse.ArgumentParser("proclet")
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--runtime", default="")
    arguments = parser.parse_args(argv)
    die_with(arguments.parent)
    as_a_new_program()
    control = socket.socket(fileno=arguments.control_fd)
    control.set_inheritable(False)
    hosting = receive_hosting(control)
    for number in (*hosting.listeners.values(), *chain(*hosting.handover.values())):
        os.set_inheritable(number, False)
    try:
        runtime, preloaded = preload(hosting.application, arguments.runtime)
    except BaseException as error:  # noqa: BLE001 - also SystemExit: it is an import that failed
        control.sendall(encode(Failed(fault_of(error, hosting.application))))
        return 1
    return _run(runtime, hosting, control, preloaded)


def _run(runtime: Runtime, hosting: Hosting, control: socket.socket, preloaded: Any) -> int:
    control.settimeout(None)
    sys.argv = [f"{hosting.application.app}/{hosting.replica}"]
    try:
        return runtime.run_replica(hosting, control, preloaded)
    except Exception:  # noqa: BLE001 - the outermost frame of a replica
        traceback.print_exc()
        return 1


def _exactly(control: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = control.recv(size - len(data))
        if not more:
            raise EOFError("the envelope has closed the control socket")
        data += more
    return bytes(data)


def redirect(stdout: int, stderr: int) -> None:
    """Make two inherited descriptors this process's fd 1 and 2, and let nothing come from fd 0."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, standard in ((nothing, 0), (stdout, 1), (stderr, 2)):
        os.dup2(number, standard)
        if number > 2:
            os.close(number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
