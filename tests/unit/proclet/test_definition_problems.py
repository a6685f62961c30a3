"""All definition problems of an application come at once, also those of one method."""

import socket
import threading
from collections.abc import AsyncIterator

import pytest

import weaver
from weaver.errors import DefinitionError
from weaver.proclet.definition import Fakes, define, examine

MISSING = f"annotation 'Nmae' names \"Nmae\", which does not exist in {__name__}"


@weaver.component
class Faulty:
    @weaver.routed(by="usr")
    async def put(self, user: str, lock: threading.Event) -> socket.socket:
        raise NotImplementedError

    async def half(self, untyped, sock: socket.socket) -> None: ...  # type: ignore[no-untyped-def] # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]

    async def missing(self, name: "Nmae", sock: socket.socket) -> None: ...  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]

    async def stream(self, sock: socket.socket):  # type: ignore[no-untyped-def]
        yield 1

    async def passed_on(self, sock: socket.socket) -> AsyncIterator[int]:
        raise NotImplementedError


def test_a_method_with_one_fault_shows_its_others_at_once() -> None:
    definition, problems = examine([Faulty], Fakes())
    assert definition is None
    travels = "cannot travel to another process"
    assert sorted(problem.what for problem in problems) == sorted(
        [
            'Faulty.put: routed(by="usr") names no parameter',
            f"Faulty.put: parameter `lock` {travels}",
            f"Faulty.put: the result {travels}",
            "Faulty.half: parameter `untyped` has no annotation",
            f"Faulty.half: parameter `sock` {travels}",
            f"Faulty.missing: parameter `name`: {MISSING}",
            f"Faulty.missing: parameter `sock` {travels}",
            "Faulty.stream: the result has no annotation",
            f"Faulty.stream: parameter `sock` {travels}",
            "Faulty.passed_on returns an AsyncIterator instead of yielding",
            f"Faulty.passed_on: parameter `sock` {travels}",
        ]
    )
    assert all(problem.fix and f"{__file__}:" in problem.where for problem in problems)


def test_the_error_of_a_start_has_all_of_them() -> None:
    with pytest.raises(DefinitionError) as caught:
        define([Faulty])
    assert len(caught.value.problems) == 11
    assert str(caught.value).count("Faulty.") == 11
