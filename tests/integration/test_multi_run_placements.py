"""The boutique from its PEX in three placements: one group, a group each, and as it is shipped."""

import asyncio
import fcntl
import re
import shutil
import signal
from pathlib import Path
from typing import Final

import pytest
from boutique.web import Web
from boutique_visit import CALLS, calls, visit
from multi_run_shop import multi_run, project_for_session, until

from weaver.packaging.freeze import in_virtual_environment
from weaver.testing import weaver_app

pytestmark = pytest.mark.skipif(
    not in_virtual_environment(), reason="wheels are taken from a virtual environment"
)

BOUTIQUE: Final = Path(__file__).parents[2] / "examples" / "boutique"
FREE_PORT: Final = {"listeners": {"http": {"address": "127.0.0.1:0"}}}
VARIABLE: Final = {"WEAVER__LISTENERS__HTTP__ADDRESS": "127.0.0.1:0"}


@pytest.fixture
def free(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The boutique without groups: what shares a process is [placement] default."""
    till = project_for_session(tmp_path_factory)
    with (till.parent / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = till.parent / "boutique"
        if not folder.exists():
            shutil.copytree(BOUTIQUE, folder, ignore=shutil.ignore_patterns("__pycache__"))
            text = (folder / "weaver.toml").read_text()
            grouped = r"(?ms)^\[groups\.\w+\].*?(?=^\[)"
            (folder / "weaver.toml").write_text(re.sub(grouped, "", text))
    return folder


@pytest.mark.timeout(120)  # the first one builds the PEX
@pytest.mark.parametrize(
    ("placement", "groups", "remote"),
    [("together", 1, 0), ("split", 11, 74), ("shipped", 4, 58)],
)
async def test_every_placement_answers_alike_and_makes_the_same_calls(
    free: Path, placement: str, groups: int, remote: int
) -> None:
    async with weaver_app(Web, config=FREE_PORT) as app:
        expected = await asyncio.to_thread(visit, app.address())
    variables = VARIABLE | {"WEAVER__PLACEMENT__DEFAULT": placement}
    if placement == "split":
        variables |= {"WEAVER__APP__TLS": "always"}  # every call of every edge, encrypted
    config = free / "weaver.toml"
    if placement == "shipped":
        variables = VARIABLE
        config = BOUTIQUE / "weaver.toml"
    with multi_run(free, str(config), app="boutique", **variables) as shop:
        shop.start().live()
        assert len(shop.status()["groups"]) == groups
        for page, found in zip(expected, visit(shop.address()), strict=True):
            assert found == page
        until(lambda: calls(shop.status()["methods"])[0].total() >= CALLS.total())
        every, left = calls(shop.status()["methods"])
        assert every == CALLS
        assert left.total() == remote
        shop.signal(signal.SIGINT)
        assert shop.wait() == 0
        assert shop.left() == []
