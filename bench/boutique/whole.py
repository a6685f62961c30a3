"""The whole boutique in one process without weaver's runtime, for servers of plain ASGI."""

from typing import Any

from boutique.site.app import make_app
from wiring import component, services


def app() -> Any:
    """The web site; its components call each other as plain objects."""
    made: dict[str, Any] = {}

    def found(name: str) -> Any:
        if name not in made:
            made[name] = component(name, found)
        return made[name]

    return make_app(services(found), {"group": "whole"})
