"""Projects of several modules: shared names, imports for type checkers, places of files."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SHOP = """
from typing import TYPE_CHECKING
import weaver
from shop import rental, sale

if TYPE_CHECKING:
    from shop.stock import Stock

@weaver.component
class Web:
    sale: sale.Cart
    rental: rental.Cart
    stock: "Stock"

    async def main(self) -> None:
        print(await self.sale.kind(), await self.rental.kind(), await self.stock.ask())

    async def title(self) -> str:
        return "shop"
"""
STOCK = """
import weaver
from shop.web import Web

@weaver.component
class Stock:
    web: Web
    async def ask(self) -> str:
        return "stock of " + await self.web.title()
"""
CART = """
import weaver
from dataclasses import dataclass

@dataclass
class Settings:
    word: str = "{word}"

@weaver.component
class Cart:
    config: Settings
    async def kind(self) -> str:
        return self.config.word
"""
FILES = {
    "shop/__init__.py": "",
    "shop/web.py": SHOP,
    "shop/stock.py": STOCK,
    "shop/main.py": "from shop.stock import Stock\nfrom shop.web import Web\n",
    "shop/sale.py": CART.format(word="sale"),
    "shop/rental.py": CART.format(word="rental"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path, FILES)
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))


def weaver(folder: Path, *args: str, code: int = 0) -> str:
    """What a command prints: on stdout if it succeeds as expected, else on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "weaver", *args],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def test_two_classes_of_one_short_name_work_under_their_full_names(project: Path) -> None:
    assert weaver(project, "run", "shop.main:Web") == "sale rental stock of shop\n"
    toml = '[components."shop.rental.Cart"]\nword = "rented"\n'
    (project / "weaver.toml").write_text(toml)
    assert weaver(project, "run", "shop.main:Web") == "sale rented stock of shop\n"
    rows = json.loads(weaver(project, "config", "shop.main:Web", "--json"))
    words = {row["path"]: row["value"] for row in rows if row["path"].endswith("word")}
    assert words == {
        'components."shop.sale.Cart".word': "sale",
        'components."shop.rental.Cart".word': "rented",
    }


def test_the_graph_shows_full_names_where_the_short_one_is_shared(project: Path) -> None:
    shown = json.loads(weaver(project, "graph", "shop.main:Web", "--json"))
    assert sorted(node["name"] for node in shown["nodes"]) == [
        "Stock", "Web", "shop.rental.Cart", "shop.sale.Cart",
    ]  # fmt: skip
    assert {"caller": "Web", "callee": "shop.sale.Cart"} in shown["edges"]
    assert {"caller": "Stock", "callee": "Web"} in shown["edges"]


@pytest.mark.parametrize(
    "toml",
    ['[components.Cart]\nword = "x"\n', '[groups.all]\ncomponents = ["Cart"]\n'],
)
def test_the_shared_short_name_is_refused_with_both_candidates(project: Path, toml: str) -> None:
    (project / "weaver.toml").write_text(toml)
    for command in ("run", "check", "config"):
        shown = weaver(project, command, "shop.main:Web", code=2)
        assert "shop.rental.Cart" in shown
        assert "shop.sale.Cart" in shown
        assert "weaver.toml:" in shown


def test_a_config_elsewhere_is_the_project_that_counts(project: Path, tmp_path: Path) -> None:
    secret = """
    import weaver

    @weaver.component
    class Vault:
        key: weaver.Secret[str]
        async def main(self) -> None:
            print(self.key.reveal(), weaver.deployment().app)
    """
    toml = """
    [app]
    name = "vault"
    entry = "vault:Vault"
    [components.Vault]
    key = { file = "secrets/key.txt" }
    """
    write(project, {"vault.py": secret, "weaver.toml": toml, "secrets/key.txt": "k3y"})
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, {"weaver.toml": '[app]\nentry = "nothing:Nothing"\n'})
    for named in (("--config", "../weaver.toml"), ("../weaver.toml",), ("..",)):
        assert weaver(elsewhere, "run", *named) == "k3y vault\n"
    assert "there is no module nothing" in weaver(elsewhere, "run", code=2)
    shown = weaver(elsewhere, "run", "..", "--config", "../weaver.toml", code=2)
    assert "two config files are named" in shown


def test_strict_copies_show_what_a_shared_argument_hides(tmp_path: Path) -> None:
    app = """
    import weaver

    @weaver.component
    class Sorter:
        async def sort(self, items: list[int]) -> None:
            items.sort()

    @weaver.component
    class Web:
        sorter: Sorter
        async def main(self) -> None:
            items = [3, 1, 2]
            await self.sorter.sort(items)
            print(items)
    """
    write(tmp_path, {"app.py": app})
    assert weaver(tmp_path, "run", "app:Web") == "[1, 2, 3]\n"
    assert weaver(tmp_path, "run", "app:Web", "--strict-copies") == "[3, 1, 2]\n"


def test_a_reference_to_what_is_no_component_is_told_by_check(tmp_path: Path) -> None:
    app = """
    import weaver

    class Forgotten:
        async def get(self) -> str:
            return ""

    @weaver.component
    class Web:
        forgotten: Forgotten
        async def main(self) -> None:
            await self.forgotten.get()

    @weaver.component
    class Built:
        def __init__(self, forgotten: Forgotten) -> None: ...
    """
    write(tmp_path, {"app.py": app})
    found = json.loads(weaver_json(tmp_path, "check", "app:Web", "--json"))
    (note,) = found["notes"]
    assert note["what"].startswith("Web.forgotten: Forgotten is not a component")
    assert "write @weaver.component above Forgotten" in note["fix"]
    (problem,) = found["problems"]
    assert problem["what"].startswith(
        "Built.__init__: parameter `forgotten` has the type Forgotten"
    )
    assert problem["where"].endswith("app.py:14")


def test_the_use_of_what_is_no_component_says_how_to_make_it_one(tmp_path: Path) -> None:
    app = """
    import weaver

    class Forgotten:
        async def get(self) -> str:
            return ""

    @weaver.component
    class Web:
        forgotten: Forgotten
        async def main(self) -> None:
            await self.forgotten.get()
    """
    write(tmp_path, {"app.py": app})
    shown = weaver(tmp_path, "run", "app:Web", code=1)
    assert "Web.main failed: AttributeError: 'Web' object has no attribute 'forgotten'" in shown
    assert "@weaver.component above the class that Web.forgotten is annotated with" in shown


def weaver_json(folder: Path, *args: str) -> str:
    """What a command that finds problems prints on stdout."""
    command = [sys.executable, "-m", "weaver", *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    return done.stdout
