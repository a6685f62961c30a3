"""The door for existing web applications: an ASGI or WSGI object becomes the entry component."""

import sys
from typing import Any

from weaver.component.declare import component
from weaver.component.values import Listener


def web_entry(app: Any, name: str) -> type[Any]:
    """A component that serves the application on listener `http`; `name` is module:attribute."""

    class WebApplication:
        http: Listener

        async def main(self) -> None:
            await self.http.serve(app)

    module, _, attribute = name.partition(":")
    WebApplication.__module__ = module if module in sys.modules else __name__
    WebApplication.__name__ = WebApplication.__qualname__ = attribute.replace(".", "_")
    WebApplication.__annotations__ = {"http": Listener}
    declared: type[Any] = component(WebApplication)
    return declared
