"""The door for existing web applications: an ASGI or WSGI object becomes the entry component."""

import ast
import contextlib
import linecache
import sys
from typing import Any

from weaver.component import registry
from weaver.component.declare import component
from weaver.component.values import Listener


def web_entry(app: Any, name: str) -> type[Any]:
    """A component that serves the application on listener `http`; `name` is module:attribute.

    What names it as a place points to where the application is made. Raises UsageError for an
    object that is neither ASGI nor WSGI.
    """
    from weaver.proclet.web_application import kind_of  # deferred: it loads the web server

    module, _, attribute = name.partition(":")
    file, line = _place(app, module, attribute)
    kind_of(app, f"{file}:{line}")

    class WebApplication:
        http: Listener

        async def main(self) -> None:
            await self.http.serve(app)

    WebApplication.__module__ = module if module in sys.modules else __name__
    WebApplication.__name__ = WebApplication.__qualname__ = attribute.replace(".", "_")
    WebApplication.__annotations__ = {"http": Listener}
    declared: type[Any] = component(WebApplication)
    registry.add(
        registry.Declaration(declared, generated_init=True, file=file, line=line, frames=())
    )
    return declared


def _place(app: Any, module: str, attribute: str) -> tuple[str, int]:
    """Where the name is bound in its module; else where a function stands; else the module."""
    file: str = getattr(sys.modules.get(module), "__file__", None) or __file__
    line = 0
    with contextlib.suppress(SyntaxError):  # the file has changed since
        line = _line_of(attribute.partition(".")[0], "".join(linecache.getlines(file)))
    code = getattr(app, "__code__", None)
    if not line and code is not None:
        return code.co_filename, code.co_firstlineno
    return file, line or 1


def _line_of(name: str, source: str) -> int:
    """The line of the last statement of a module that binds a name, or 0."""
    line = 0
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign():
                bound = {
                    node.id
                    for t in statement.targets
                    for node in ast.walk(t)
                    if isinstance(node, ast.Name)
                }
            case ast.AnnAssign(target=ast.Name(id=target)):
                bound = {target}
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                bound = {statement.name}
            case ast.Import() | ast.ImportFrom():
                bound = {alias.asname or alias.name for alias in statement.names}
            case _:
                continue
        if name in bound:
            line = statement.lineno
    return line
