"""Write one Python application of typed components; run it as one process or many.

These are the names an application uses. Importing this package is light: what runs components
(asyncio, sockets, codecs) is imported when something runs.
"""

from typing import TYPE_CHECKING, Any

from weaver.component.declare import component, idempotent, routed
from weaver.component.values import Listener, Secret
from weaver.errors import (
    ConnectionLost,
    DeadlineExceeded,
    Overloaded,
    RemoteApplicationError,
    RemoteCallError,
    Unreachable,
    WeaverError,
)

if TYPE_CHECKING:
    from weaver.application.references import deployment, get, options, use, wait
    from weaver.application.run import run
    from weaver.proclet.context import propagate
    from weaver.rpc.codec import register as codec

__version__ = "0.1.0"

__all__ = [
    "ConnectionLost",
    "DeadlineExceeded",
    "Listener",
    "Overloaded",
    "RemoteApplicationError",
    "RemoteCallError",
    "Secret",
    "Unreachable",
    "WeaverError",
    "codec",
    "component",
    "deployment",
    "get",
    "idempotent",
    "options",
    "propagate",
    "routed",
    "run",
    "use",
    "wait",
]

_LAZY = {
    "codec": ("weaver.rpc.codec", "register"),
    "deployment": ("weaver.application.references", "deployment"),
    "get": ("weaver.application.references", "get"),
    "options": ("weaver.application.references", "options"),
    "propagate": ("weaver.proclet.context", "propagate"),
    "run": ("weaver.application.run", "run"),
    "use": ("weaver.application.references", "use"),
    "wait": ("weaver.application.references", "wait"),
}


def __getattr__(name: str) -> Any:
    place = _LAZY.get(name)
    if place is None:
        raise AttributeError(f"module 'weaver' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(place[0]), place[1])
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
