"""The pytest plugin: the fixture `weaver_app`, once for every runner.

The fixture is an ordinary function, not async, so it works under pytest-asyncio in both modes and
under anyio. `@pytest.mark.weaver_runners("local")` limits a test to some runners, and the
setting `weaver_runners` says under which the others run.
"""

import functools
from typing import Any, Literal

import pytest

NAMES = ("local", "rpc", "multi")

DEFAULT = ("local", "rpc")
"""Those without a marker: components inside functions cannot run under `multi`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project say under which runners its tests run."""
    parser.addini(
        "weaver_runners",
        "weaver runners of tests without the marker (local, rpc, multi)",
        type="args",
        default=list(DEFAULT),
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "weaver_runners(*names): run this test under these weaver runners only"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for an application once per runner."""
    if "weaver_runner" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("weaver_runners")
    names = marker.args if marker else metafunc.config.getini("weaver_runners")
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise pytest.UsageError(
            f"weaver_runners: there is no runner {unknown[0]!r}; runners are {', '.join(NAMES)}"
        )
    metafunc.parametrize("weaver_runner", names, scope="function")


@pytest.fixture
def weaver_app(weaver_runner: Literal["local", "rpc", "multi"]) -> Any:
    """Make an application under test; see `weaver.testing.weaver_app`."""
    from weaver.testing.app import weaver_app as make

    return functools.partial(make, runner=weaver_runner)
