"""Where each method of a component is found on its service, and where its arguments go.

FastAPI reads this from signatures: text goes into the query, one other value is the body, and
several are a body with their names.
"""

import inspect
from dataclasses import dataclass
from typing import Any, get_type_hints

from wiring import CLASSES


@dataclass(frozen=True)
class Route:
    """One method: a path, the names of its arguments, and its types."""

    path: str
    query: tuple[str, ...]
    body: tuple[str, ...]
    types: dict[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """All arguments in the order of the method."""
        return tuple(name for name in self.types if name != "return")


def routes(service: str) -> dict[str, Route]:
    """The public methods of a service's component."""
    methods = inspect.getmembers(CLASSES[service], inspect.iscoroutinefunction)
    return {name: _route(name, method) for name, method in methods if not name.startswith("_")}


def _route(name: str, method: Any) -> Route:
    types = get_type_hints(method)
    names = [parameter for parameter in types if parameter != "return"]
    query = tuple(parameter for parameter in names if types[parameter] is str)
    body = tuple(parameter for parameter in names if types[parameter] is not str)
    return Route(f"/{name}", query, body, types)
