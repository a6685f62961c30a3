import json
from dataclasses import dataclass, field

from weaver.cli.render_graph import render_json, render_mermaid, render_text


@dataclass
class FakeNode:
    name: str
    file: str = ""
    methods: list[str] = field(default_factory=list[str])
    listeners: list[str] = field(default_factory=list[str])
    entry: bool = False


@dataclass
class FakeGraph:
    nodes: list[FakeNode]
    edges: list[tuple[str, str]]


SHOP = FakeGraph(
    [
        FakeNode("Catalog", "catalog.py:3", ["find"]),
        FakeNode("Cart", "cart.py:5", ["get", "add"]),
        FakeNode("Web", "web.py:9", listeners=["http"], entry=True),
        FakeNode("Cleaner", "cleaner.py:1"),
    ],
    [("Web", "Cart"), ("Web", "Catalog"), ("Cart", "Catalog"), ("Cleaner", "Cart")],
)


def test_text_is_a_tree_from_the_entry_and_shows_a_component_in_full_once() -> None:
    assert render_text(SHOP).splitlines() == [
        "Web [entry] [listener http] web.py:9",
        "├── Cart (get, add) cart.py:5",
        "│   └── Catalog (find) catalog.py:3",
        "└── Catalog (above)",
        "Cleaner cleaner.py:1",
        "└── Cart (above)",
    ]


def test_text_ends_in_cycles_and_leaves_nothing_out() -> None:
    graph = FakeGraph(
        [FakeNode("A"), FakeNode("B"), FakeNode("Self")],
        [("A", "B"), ("B", "A"), ("Self", "Self")],
    )
    assert render_text(graph).splitlines() == [
        "A",
        "└── B",
        "    └── A (above)",
        "Self",
        "└── Self (above)",
    ]


def test_an_empty_graph_is_said_to_be_empty() -> None:
    empty = FakeGraph([], [])
    assert render_text(empty) == "no components"
    assert render_mermaid(empty) == "flowchart LR"
    assert json.loads(render_json(empty)) == {"nodes": [], "edges": []}


def test_mermaid_has_safe_ids_and_escaped_labels() -> None:
    graph = FakeGraph(
        [FakeNode('shop.end"#1', listeners=["http"]), FakeNode("end")], [('shop.end"#1', "end")]
    )
    assert render_mermaid(graph).splitlines() == [
        "flowchart LR",
        '    c0["shop.end#quot;#35;1"]',
        '    c0l0(["http"]) --> c0',
        '    c1["end"]',
        "    c0 --> c1",
    ]


def test_json_has_everything() -> None:
    found = json.loads(render_json(SHOP))
    assert found["nodes"][2] == {
        "name": "Web",
        "file": "web.py:9",
        "methods": [],
        "listeners": ["http"],
        "entry": True,
    }
    assert {"caller": "Cart", "callee": "Catalog"} in found["edges"]
