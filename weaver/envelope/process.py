"""One child process, from its start to its end: when it ended, how, and signals to it.

Decides how an end is noticed (pidfd in the event loop; elsewhere a thread that waits). The process
leads its own group: what it has started ends with it. It must not know what the process is for.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from typing import NamedTuple


class Exit(NamedTuple):
    """How a process ended: by a signal, or with a code."""

    code: int
    signal: int = 0

    def __str__(self) -> str:
        return f"killed by {signal_name(self.signal)}" if self.signal else f"exit code {self.code}"


def signal_name(number: int) -> str:
    """SIGKILL for 9; "signal 34" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Process:
    """A child of this process, which leads a process group or session; `exited` tells its end.

    Make it while the child cannot have been waited for, so that its pid is its own.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[Exit] = self._loop.create_future()
        self._pidfd = _open_pidfd(pid)
        if self._pidfd is None:
            threading.Thread(target=self._wait, name=f"weaver-wait-{pid}", daemon=True).start()
        else:
            self._loop.add_reader(self._pidfd, self._ended)

    def send(self, number: int) -> None:
        """Send a signal; nothing happens if the process has ended."""
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)  # not waited for yet: the pid is its own

    def kill(self) -> None:
        """End the process and all of its group, now."""
        self.send(signal.SIGKILL)
        self._kill_group()

    async def ended_within(self, seconds: float) -> bool:
        """Wait for the end; whether it came within `seconds`."""
        await asyncio.wait((self.exited,), timeout=seconds)
        return self.exited.done()

    def _kill_group(self) -> None:
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _ended(self) -> None:
        assert self._pidfd is not None
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = None
        self._kill_group()  # before it is waited for: until then the group's id is not used again
        try:
            _, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has waited for it: only how it ended is lost
            status = 0xFF00
        self._finish(status)

    def _wait(self) -> None:
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            status = 0xFF00
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._finish, status)

    def _finish(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self.exited.set_result(Exit(code) if code >= 0 else Exit(0, -code))


def _open_pidfd(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # a kernel before 5.3
        return None
