"""`weaver check` and `weaver graph` accept every example."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
COUNTS = {"adopt/after": (4, 5), "boutique": (11, 18), "collatz": (3, 2), "hello": (2, 1)}


def weaver(example: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "weaver", *arguments],
        cwd=EXAMPLES / example,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_checked() -> None:
    found = {p.parent.relative_to(EXAMPLES).as_posix() for p in EXAMPLES.rglob("weaver.toml")}
    assert found == set(COUNTS)


@pytest.mark.parametrize("example", COUNTS)
def test_check_finds_no_problem(example: str) -> None:
    found = json.loads(weaver(example, "check", "--json"))
    assert (found["components"], found["methods"]) == COUNTS[example]
    assert found["problems"] == found["notes"] == []


@pytest.mark.parametrize("example", COUNTS)
def test_graph_shows_every_component(example: str) -> None:
    graph = json.loads(weaver(example, "graph", "--json"))
    assert len(graph["nodes"]) == COUNTS[example][0]
    assert weaver(example, "graph", "--format", "mermaid").startswith("flowchart ")
    assert "[entry]" in weaver(example, "graph")


def test_the_graph_of_the_boutique_is_that_of_the_original_and_its_cache() -> None:
    graph = json.loads(weaver("boutique", "graph", "--json"))
    found = {tuple(e[k].rpartition(".")[2] for k in ("caller", "callee")) for e in graph["edges"]}
    web = ("Ads", "Cart", "Catalog", "Checkout", "Currency", "Recommendation", "Shipping")
    checkout = ("Cart", "Catalog", "Currency", "Email", "Payment", "Shipping")
    assert found == {
        *(("Web", name) for name in web),
        *(("Checkout", name) for name in checkout),
        ("Recommendation", "Catalog"),
        ("Cart", "CartCache"),
    }
