"""What all messages of the control plane have in common, and the form that errors have in them."""

import msgspec


class Message(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Base of all messages; the name of the class is its tag."""


class Fault(msgspec.Struct, frozen=True):
    """An error as it travels on the control plane: the four parts of every `WeaverError`."""

    what: str
    where: str = ""
    why: str = ""
    fix: str = ""
    component: str = ""
