"""weaver.testing as users have it: one body per runner, under every async plugin."""

import subprocess
import sys
from pathlib import Path

import pytest

APPLICATION = """
import weaver

@weaver.component
class Cart:
    async def count(self, user: str) -> int:
        return len(user)

@weaver.component
class Web:
    cart: Cart
    async def total(self) -> int:
        return await self.cart.count("bob")

class FakeCart(Cart):
    async def count(self, user: str) -> int:
        return 42
"""

BODY = """
import pytest
from shop import Cart, FakeCart, Web
{mark}
async def test_shop(weaver_app):
    async with weaver_app(Web) as app:
        assert await app.get(Web).total() == 3
    async with weaver_app(Web, fakes=[FakeCart()]) as app:
        assert await app.get(Web).total() == 42
"""

PLAIN = """
import pytest
import weaver
from shop import Web

def test_plain(weaver_app):
    with weaver_app(Web) as app:
        assert weaver.wait(app.get(Web).total()) == 3

@pytest.mark.weaver_runners("local")
def test_one_runner(weaver_app):
    with weaver_app(Web) as app:
        assert app.runner == "local"
"""

STRICT = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=strict")
AUTO = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto")
ANYIO = ("-p", "anyio.pytest_plugin")


def pytest_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "shop.py").write_text(APPLICATION)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={
            "PYTHONPATH": str(folder),
            "PATH": "/usr/bin:/bin",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "mark", "passed"),
    [
        (STRICT, "@pytest.mark.asyncio", 2),
        (AUTO, "", 2),
        (ANYIO, '@pytest.mark.anyio\n@pytest.mark.parametrize("anyio_backend", ["asyncio"])', 2),
    ],
    ids=["asyncio strict", "asyncio auto", "anyio"],
)
def test_the_fixture_works_under(
    tmp_path: Path, options: tuple[str, ...], mark: str, passed: int
) -> None:
    (tmp_path / "test_shop.py").write_text(BODY.format(mark=mark))
    done = pytest_in(tmp_path, "-p", "weaver.testing.plugin", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{passed} passed" in done.stdout


def test_plain_tests_run_once_per_runner_unless_marked(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(PLAIN)
    done = pytest_in(tmp_path, "-p", "weaver.testing.plugin", "-vv")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("test_plain[local]", "test_plain[rpc]", "test_one_runner[local]"):
        assert f"{name} PASSED" in done.stdout
    assert "3 passed" in done.stdout


def test_an_unknown_runner_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(PLAIN.replace('"local")', '"locl")', 1))
    done = pytest_in(tmp_path, "-p", "weaver.testing.plugin")
    assert done.returncode != 0
    assert "there is no runner 'locl'; runners are local, rpc" in done.stdout + done.stderr


def test_the_plugin_is_found_by_its_entry_point() -> None:
    from importlib.metadata import entry_points

    found = {entry.value for entry in entry_points(group="pytest11") if entry.name == "weaver"}
    assert found == {"weaver.testing.plugin"}
