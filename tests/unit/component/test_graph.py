"""What an application consists of, in which order it starts, and what is wrong with it."""

from collections.abc import Iterable
from typing import Protocol

import weaver
from weaver.component.graph import build_graph


def short(names: Iterable[str]) -> list[str]:
    return [name.rpartition(".")[2] for name in names]


def test_components_start_after_those_they_refer_to() -> None:
    @weaver.component
    class Web:
        cart: "Cart"
        catalog: "Catalog"

    @weaver.component
    class Cart:
        catalog: "Catalog"

    @weaver.component
    class Catalog: ...

    graph, problems = build_graph([Web])
    assert problems == []
    assert short(list(graph.components)) == ["Catalog", "Cart", "Web"]
    assert graph.cycles == ()
    assert short([b for _, b in graph.edges()]) == ["Cart", "Catalog", "Catalog"]


def test_cycles_are_found_and_self_references_too() -> None:
    @weaver.component
    class Odd:
        even: "Even"

    @weaver.component
    class Even:
        odd: Odd

    @weaver.component
    class Alone:
        me: "Alone"
        odd: Odd

    graph, problems = build_graph([Alone])
    assert problems == []
    assert sorted(sorted(short(cycle)) for cycle in graph.cycles) == [["Alone"], ["Even", "Odd"]]
    assert short(list(graph.components))[-1] == "Alone"


def test_interface_resolves_to_the_one_component_that_inherits_it() -> None:
    class Store(Protocol):
        async def load(self) -> str: ...

    @weaver.component
    class Disk(Store):
        async def load(self) -> str:
            return "disk"

    @weaver.component
    class Web:
        store: Store

    graph, problems = build_graph([Web])
    assert problems == []
    assert short(list(graph.components)) == ["Disk", "Web"]


def test_interface_without_implementation_is_named() -> None:
    class Store(Protocol):
        async def load(self) -> str: ...

    @weaver.component
    class Web:
        store: Store

    _, problems = build_graph([Web])
    assert [p.what for p in problems] == ["Web.store: Store has no implementation"]


def test_interface_with_two_implementations_names_both() -> None:
    class Store(Protocol):
        async def load(self) -> str: ...

    @weaver.component
    class Disk(Store):
        async def load(self) -> str:
            return "disk"

    @weaver.component
    class Memory(Store):
        async def load(self) -> str:
            return "memory"

    @weaver.component
    class Web:
        store: Store

    _, problems = build_graph([Web])
    assert len(problems) == 1
    assert "more than one implementation" in problems[0].what
    assert "Disk" in problems[0].why
    assert "Memory" in problems[0].why


def test_two_listeners_of_one_name_are_refused() -> None:
    @weaver.component
    class Admin:
        http: weaver.Listener

    @weaver.component
    class Web:
        admin: Admin
        http: weaver.Listener

    _, problems = build_graph([Web])
    assert len(problems) == 1
    assert '"http"' in problems[0].what


def test_two_classes_of_one_full_name_are_refused() -> None:
    def make() -> type[object]:
        @weaver.component
        class Cart: ...

        return Cart

    first, second = make(), make()
    _, problems = build_graph([first, second])
    assert len(problems) == 1
    assert "both called" in problems[0].what


def test_a_local_implementation_is_not_seen_from_elsewhere() -> None:
    def elsewhere() -> None:
        @weaver.component
        class Hidden(Shared):
            async def load(self) -> str:
                return "hidden"

        del Hidden

    elsewhere()

    @weaver.component
    class Seen(Shared):
        async def load(self) -> str:
            return "seen"

    @weaver.component
    class Web:
        store: Shared

    graph, problems = build_graph([Web])
    assert problems == []
    assert short(list(graph.components)) == ["Seen", "Web"]


class Shared(Protocol):
    async def load(self) -> str: ...
