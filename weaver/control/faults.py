"""Errors to and from the form in which they travel on the control plane."""

from weaver.control.messages import Fault
from weaver.errors import ProblemsError, WeaverError


def fault_of(error: WeaverError) -> Fault:
    """The four parts of an error; those of several problems stand in its `why`."""
    component = getattr(error, "component", "")
    why = str(error) if isinstance(error, ProblemsError) else error.why
    return fault(error.what, error.where, why, error.fix, component)


def fault(*parts: str) -> Fault:
    """A fault of text that may hold the name of a file, and so what cannot be encoded."""
    return Fault(*(part.encode("utf-8", "backslashreplace").decode() for part in parts))


def error_of(fault: Fault) -> WeaverError:
    """An error that reads as the one it was made of."""
    return WeaverError(fault.what, where=fault.where, why=fault.why, fix=fault.fix)
