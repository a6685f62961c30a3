"""Applications in this process: found, checked, run, and reached from code outside components.

Names are loaded at their first use: managers and envelopes, which begin here too, need none.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weaver.application.check import check_target, describe_graph
    from weaver.application.run import run_target
    from weaver.application.target import load_target

__all__ = ["check_target", "describe_graph", "load_target", "run_target"]

_PLACES = {
    "check_target": "weaver.application.check",
    "describe_graph": "weaver.application.check",
    "load_target": "weaver.application.target",
    "run_target": "weaver.application.run",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'weaver.application' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)
