"""How one envelope gets the listeners of another one of its host: of the version before it.

Decides what is asked and answered; descriptors travel beside the answers. Spoken on the control
socket in place of `Attach`, as `Recall` is: nobody is fenced off by it.
"""

import msgspec

from weaver.control.certificates import Certificates


class TakeOver(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Envelope to envelope: give me these listeners, at these addresses as the orders write them.

    `path` is the control socket of whoever asks: while it is there, it may accept on them.
    """

    listeners: dict[str, str]
    path: str = ""


class HandedOver(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The answer for one of them: with it come its listening socket, receiver and sender.

    The connection ends after the last. What is not held at that address is not answered. With the
    `certificates` of the version `deployment` on this host, its replicas on others are reached.
    """

    listener: str
    deployment: str = ""
    certificates: Certificates | None = None
