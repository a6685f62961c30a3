"""What an envelope and its zygote say to each other, on a socket of their own.

It must not know what either does with it.
"""

from weaver.control.messages import Application, Fault, Message


class Preload(Message, frozen=True):
    """Set the environment and import the application. The first message, and sent once."""

    application: Application
    runtime: str = ""


class Fork(Message, frozen=True):
    """Fork a replica. With it come its control socket, stdout and stderr, then three for each of
    `listeners`: its listening socket, and the pair to hand connections over.
    """

    ticket: int
    name: str
    listeners: tuple[str, ...] = ()


class Preloaded(Message, frozen=True):
    """The application is imported and replicas can be forked."""


class PreloadFailed(Message, frozen=True):
    """The application does not import; the zygote ends after this."""

    fault: Fault


class Unsafe(Message, frozen=True):
    """Replicas cannot be forked, because of threads or connections; the zygote ends after this."""

    why: str


class Forked(Message, frozen=True):
    """The replica's process, which is the envelope's child by now."""

    ticket: int
    pid: int


ToZygote = Preload | Fork
FromZygote = Preloaded | PreloadFailed | Unsafe | Forked
