"""Awaits a coroutine that has been begun already: its first step was made outside of any task.

It is apart from `eager.py` because the compiled core cannot have its generator.
"""

import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


async def going_on(coroutine: Coroutine[Any, Any, None], yielded: Any) -> None:
    """Do the rest of it, in a task."""
    await rest(coroutine, yielded)


@types.coroutine
def rest(coroutine: Coroutine[Any, Any, T], yielded: Any) -> Generator[Any, Any, T]:
    """What `yield from` does, from where the coroutine is: its first step has `yielded` this."""
    try:
        while True:
            try:
                sent = yield yielded
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 # the coroutine decides what to do with it
                yielded = coroutine.throw(error)
            else:
                yielded = coroutine.send(sent)
    except StopIteration as end:
        returned: T = end.value
        return returned
