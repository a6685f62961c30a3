"""How a replica's process comes to be: forked from the zygote where that is safe, else spawned.

Decides which, and starts the zygote when the first group wants it. What goes wrong with forking is
said once in the log and never keeps a replica from starting.
"""

import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from weaver.control.messages import Application, Hosting
from weaver.envelope.child import with_listeners
from weaver.envelope.held import Held
from weaver.envelope.output import Output
from weaver.envelope.process import Process
from weaver.envelope.spawn import replica_command, spawn
from weaver.envelope.zygote_link import CannotFork, PreloadError, ZygoteLink

FORKS: Final = sys.platform == "linux"

Say = Callable[[str, list[str]], None]
"""Takes the name of a stream, or "log", and lines."""


class Launched(NamedTuple):
    """A process that runs, our end of its control socket, and the first message for it."""

    process: Process
    control: socket.socket
    hosting: Hosting
    forked: bool


class Launcher:
    """Starts replicas of one application at a time; `say` gets what the zygote prints."""

    def __init__(self, runtime: str, say: Say) -> None:
        self._runtime = runtime
        self._say = say
        self._application: Application | None = None
        self._zygote: ZygoteLink | None = None
        self._outputs: list[Output] = []
        self._unsafe = not FORKS
        self._proven = False  # it has been imported once: a failure later is not the application's

    @property
    def forking(self) -> bool:
        """Whether a process may exist that is not known here yet."""
        return self._zygote is not None and self._zygote.forking

    def prepare(self, application: Application) -> None:
        """Begin to import the application, for forks to come; a changed one is imported anew."""
        if application != self._application:
            self.close()
            self._application = application
            self._unsafe, self._proven = not FORKS, False
        if not self._unsafe and (self._zygote is None or not self._zygote.alive):
            self.close()
            reader, stdout = _output(lambda lines: self._say("stdout", lines))
            other, stderr = _output(lambda lines: self._say("stderr", lines))
            self._outputs = [reader, other]
            try:
                self._zygote = ZygoteLink(application, self._runtime, stdout=stdout, stderr=stderr)
            finally:
                os.close(stdout)
                os.close(stderr)

    async def launch(
        self,
        hosting: Hosting,
        listeners: dict[str, Held],
        *,
        stdout: int,
        stderr: int,
    ) -> Launched:
        """Start a replica. Raises PreloadError if its application does not import, and OSError."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                inherited = (theirs.fileno(), stdout, stderr)
                process = None
                if hosting.order.preload:
                    process = await self._fork(hosting, listeners, inherited)
                if process is not None:
                    return Launched(process, ours, hosting, forked=True)
                process = self._spawn(listeners, inherited)
        except BaseException:
            ours.close()
            raise
        inherits = {name: held.descriptors() for name, held in listeners.items()}
        hosting = with_listeners(hosting, inherits)
        return Launched(process, ours, hosting, forked=False)

    @property
    def zygote(self) -> Process | None:
        """The zygote's process, if there is one now."""
        return None if self._zygote is None else self._zygote.process

    def close(self) -> None:
        """End the zygote; its replicas go on."""
        if self._zygote is not None:
            self._zygote.close("it is not needed any more")
            self._zygote = None
        for output in self._outputs:
            output.close()
        self._outputs = []

    async def _fork(
        self, hosting: Hosting, listeners: dict[str, Held], inherited: Sequence[int]
    ) -> Process | None:
        try:
            self.prepare(hosting.application)
            if self._unsafe or self._zygote is None:
                return None
            await self._zygote.ready()
            self._proven = True
            return await self._zygote.fork(hosting.replica, inherited, listeners)
        except PreloadError:
            self.close()
            if self._proven:
                return None  # the replica itself will say what is wrong
            raise
        except CannotFork as error:
            self._cannot_fork(str(error))
        except OSError as error:
            self._cannot_fork(f"the zygote cannot be started: {error}")
        return None

    def _spawn(self, listeners: dict[str, Held], inherited: Sequence[int]) -> Process:
        control, stdout, stderr = inherited
        held = [number for held in listeners.values() for number in held.descriptors()]
        command = replica_command(control, self._runtime)
        return spawn(command, stdout=stdout, stderr=stderr, inherited=(control, *held))

    def _cannot_fork(self, why: str) -> None:
        zygote, self._zygote = self._zygote, None
        if zygote is None:
            return  # another replica has met the same, and said so
        if zygote.unsafe:
            self._unsafe = True
        text = f"a replica is spawned instead of forked: {why}"
        if zygote.unsafe:
            text = (
                f"replicas are spawned, which takes longer than forking: {why}. Avoid it by "
                "starting threads and connections in `start`, or set preload = false for the group"
            )
        self._say("log", [text])
        zygote.close(why)
        self.close()


def _output(take: Callable[[list[str]], None]) -> tuple[Output, int]:
    """A pipe whose lines are taken, and its end for writing."""
    reader, writer = os.pipe()
    return Output(reader, take), writer
