"""What a manager wants done. The control loop does it, in order, and reports back by events."""

import msgspec

from weaver.control.messages import End, Fault, Orders, Relay, Restart
from weaver.manager import timers
from weaver.manager.state import Desired, Result

SetTimer = timers.SetTimer
CancelTimer = timers.CancelTimer


class Reach(msgspec.Struct, frozen=True):
    """Connect to the envelope of a host, starting it if there is none.

    Answered by `HostSaid(Attached)`, `ReachFailed` or `EnvelopeLost` with the same session.
    """

    host: str
    session: int


class Send(msgspec.Struct, frozen=True):
    """Send a message to an envelope; dropped where the session is over."""

    host: str
    session: int
    message: Orders | Relay | Restart | End


class Save(msgspec.Struct, frozen=True):
    """Keep this, durably, before any later effect is carried out."""

    desired: Desired


class Report(msgspec.Struct, frozen=True):
    """Something worth telling a person, for `weaver events`."""

    kind: str
    text: str
    replica: str = ""


class Finished(msgspec.Struct, frozen=True):
    """The deployment is over, and the control loop ends."""

    result: Result
    fault: Fault | None = None


Effect = Reach | Send | SetTimer | CancelTimer | Save | Report | Finished
