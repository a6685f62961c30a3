"""What is said of an existing web application as the entry points into its own file."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from weaver.application import describe_graph, load_target
from weaver.application.target import Target
from weaver.errors import UsageError

SHOP = """import functools
import weaver
from other import imported, renamed as alias

@weaver.component
class Prices:
    async def of(self, item: str) -> int:
        return 1

async def asgi(scope, receive, send): ...

def wsgi(environ, start_response): ...

class Site:
    async def page(self, scope, receive, send): ...

site: Site = Site()
first = asgi
first, second = wsgi, asgi
globals()["hidden"] = asgi
def one(scope): ...
def made(): return asgi
globals()["hidden_page"] = site.page
globals()["hidden_object"] = functools.partial(asgi)
"""
OTHER = """
async def imported(scope, receive, send): ...
async def renamed(scope, receive, send): ...
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose modules are forgotten afterwards."""
    for name, text in (("shop_of_places", SHOP), ("other", OTHER)):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path / "shop_of_places.py"
    for name in ("shop_of_places", "other"):
        sys.modules.pop(name, None)


def entry_place(target: Target) -> str:
    (node,) = (node for node in describe_graph(target).nodes if node.entry)
    return node.file


@pytest.mark.parametrize(
    ("attribute", "line"),
    [
        ("asgi", 10),
        ("wsgi", 12),
        ("site.page", 17),
        ("first", 19),
        ("second", 19),
        ("imported", 3),
        ("alias", 3),
        ("hidden", 10),
        ("hidden_page", 15),
        ("hidden_object", 1),
    ],
)
def test_the_place_of_a_web_application_is_where_its_name_is_bound(
    shop: Path, attribute: str, line: int
) -> None:
    assert entry_place(load_target(f"shop_of_places:{attribute}")) == f"{shop.name}:{line}"


def test_the_entry_comes_first_though_it_refers_to_nothing(shop: Path) -> None:
    names = [node.name for node in describe_graph(load_target(f"{shop.stem}:asgi")).nodes]
    assert names[0] == "asgi"
    assert "Prices" in names  # with the components that other tests have declared


@pytest.mark.parametrize(("attribute", "why"), [("one", "other parameters"), ("made", "factory")])
def test_what_is_no_web_application_is_refused_before_it_runs(
    shop: Path, attribute: str, why: str
) -> None:
    with pytest.raises(UsageError, match="neither an ASGI nor a WSGI application") as caught:
        load_target(f"shop_of_places:{attribute}")
    assert why in caught.value.why
    assert f"{shop}:" in caught.value.where


def test_a_file_that_has_changed_since_is_still_named(shop: Path) -> None:
    target = load_target(f"{shop.stem}:asgi")
    assert entry_place(target) == f"{shop.name}:10"
    shop.write_text("not python (")
    assert entry_place(load_target(f"{shop.stem}:asgi")).startswith(f"{shop.name}:")
