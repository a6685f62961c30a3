"""What ended a replica, as it is told to the envelope in its last message."""

import traceback

from weaver.control import faults
from weaver.control.messages import Fault
from weaver.errors import WeaverError


def fault_of(error: BaseException) -> Fault:
    """The four parts of an error; of one that is not weaver's, the line that raised it."""
    if isinstance(error, WeaverError):
        return faults.fault_of(error)
    frames = traceback.extract_tb(error.__traceback__)
    return faults.fault(
        "the replica cannot go on",
        f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "",
        f"{type(error).__name__}: {error}",
        "the traceback is in the log",
    )
