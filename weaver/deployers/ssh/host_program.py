"""The program that a host's Python runs: modules of `host/`, made small, sent before its input.

Decides which modules a call needs and how they reach a bare Python; nothing of weaver is a file of
the host. The command line holds no word of the caller but the path of Python.
"""

import ast
import functools
import re
import threading
import zlib
from collections.abc import Iterable
from importlib import resources
from typing import Final

from weaver.errors import UsageError

_PACKAGE: Final = "weaver.deployers.ssh.host"
_BOOT: Final = "import sys,zlib;i=sys.stdin.buffer;exec(zlib.decompress(i.read(int(i.readline()))))"
_LOAD: Final = """\
import sys, types
for name, source in {modules!r}:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
module.main()
"""


def command(python: str) -> str:
    """The command line that runs a program from standard input, for any login shell.

    `python` is an absolute path on the host. Raises UsageError for one that cannot be quoted alike
    in sh, fish and csh.
    """
    if not python.startswith("/") or re.search(r"""['"\\!\x00-\x1f]""", python):
        raise UsageError(
            f"{python!r} cannot be the Python of a host",
            why="it must be an absolute path without quotes, backslashes and exclamation marks",
            fix="set python= in the list of hosts to such a path, or make a link there",
        )
    return f"exec '{python}' -I -S -c '{_BOOT}'"


# One thread at a time: Python 3.11 counts the depth of all its parsing threads in one place, and
# raises SystemError where two end out of order (CPython issue 106905).
_parsing: Final = threading.Lock()


def program(modules: frozenset[str]) -> bytes:
    """What standard input begins with, for calls of these modules; from any thread."""
    with _parsing:
        return _program(modules)


@functools.cache
def _program(modules: frozenset[str]) -> bytes:
    order: list[str] = []
    for name in (*sorted(modules), "serve"):
        _collect(name, order)
    sources = [(f"{_PACKAGE}.{name}", _small(name)) for name in order]
    return packed(_LOAD.format(modules=sources).encode())


def packed(data: bytes) -> bytes:
    """Compressed, with the size before it."""
    small = zlib.compress(data, 9)
    return b"%d\n%b" % (len(small), small)


def _collect(name: str, order: list[str]) -> None:
    """Append what a module imports, then itself."""
    if name in order:
        return
    for imported in _imports(ast.parse(_source(name))):
        _collect(imported, order)
    order.append(name)


def _imports(tree: ast.Module) -> Iterable[str]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_PACKAGE}."):
            assert node.module is not None
            yield node.module.removeprefix(f"{_PACKAGE}.")


def _source(name: str) -> str:
    return resources.files(_PACKAGE).joinpath(f"{name}.py").read_text(encoding="utf-8")


def _small(name: str) -> str:
    """A module without what only readers and type checkers need."""
    tree = _Smaller().visit(ast.parse(_source(name)))
    return ast.unparse(ast.fix_missing_locations(tree))


class _Smaller(ast.NodeTransformer):
    """Drops docstrings, annotations, and the imports for those."""

    def visit_Module(self, node: ast.Module) -> ast.AST:
        node.body = _without_docstring(node.body)
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = _without_docstring(node.body)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = _without_docstring(node.body)
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return ast.Assign(targets=[node.target], value=node.value)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module in {"__future__", "typing"} else node


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return body[1:] or [ast.Pass()]
    return body
