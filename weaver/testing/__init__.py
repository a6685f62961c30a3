"""Test applications as they run: one test body under every runner, with fakes by type.

`weaver_app` is also a pytest fixture (parametrised over the runners) that needs no async plugin of
a particular kind: it returns a context manager. pytest imports this package at every start, in
every project where weaver is installed, so the names are loaded when they are used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weaver.testing.app import RUNNERS, Runner, TestApp, weaver_app
    from weaver.testing.maker import MakeApp

__all__ = ["RUNNERS", "MakeApp", "Runner", "TestApp", "weaver_app"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'weaver.testing' has no attribute {name!r}")
    from weaver.testing import app, maker

    return getattr(maker if name == "MakeApp" else app, name)
