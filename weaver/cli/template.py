"""The files of a new application, as `weaver init` writes them.

This file decides what a first application looks like: two components, one listener, one test. It
must not know where the files go.
"""

from string import Template

_PYPROJECT = """\
[project]
name = "$name"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["weaver-runtime"]

[dependency-groups]
test = ["pytest", "pytest-asyncio"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["$package"]

[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
testpaths = ["tests"]
pythonpath = ["."]
"""

_WEAVER = """\
[app]
name = "$name"
entry = "$package.web:Web"

[listeners.http]
address = "127.0.0.1:8080"

[components.Greeter]
greeting = "Hello"
"""

_GREETER = '''\
"""What the application does; it knows nothing of the web."""

from dataclasses import dataclass

import weaver


@dataclass
class GreeterConfig:
    """[components.Greeter] in weaver.toml."""

    greeting: str = "Hello"


@weaver.component
class Greeter:
    config: GreeterConfig

    @weaver.idempotent
    async def greet(self, name: str) -> str:
        return f"{self.config.greeting}, {name}!"
'''

_WEB = '''\
"""The web side: one page, which asks the greeter."""

from html import escape
from typing import Any
from urllib.parse import parse_qs

import weaver

from $package.greeter import Greeter

PAGE = """<!doctype html>
<title>$name</title>
<h1>{greeting}</h1>
<form>Your name: <input name="name" autofocus> <button>Greet</button></form>
"""


@weaver.component
class Web:
    greeter: Greeter
    http: weaver.Listener

    async def main(self) -> None:
        # Any ASGI or WSGI application goes here: FastAPI, Starlette, Django, Flask, ...
        await self.http.serve(self._page)

    async def _page(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":  # "lifespan" and "websocket" are not for this page
            raise ValueError("this page speaks HTTP only")
        query = parse_qs(scope["query_string"].decode())
        greeting = await self.greeter.greet(query.get("name", ["world"])[0])
        body = PAGE.format(greeting=escape(greeting)).encode()
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
'''

_TEST = """\
from weaver.testing import MakeApp

from $package.greeter import Greeter


async def test_the_greeter_greets(weaver_app: MakeApp) -> None:
    async with weaver_app(Greeter) as app:
        assert await app.get(Greeter).greet("Ada") == "Hello, Ada!"
"""

_README = """\
# $name

    pip install -e . --group test
    weaver check          # definition and configuration errors, all at once
    weaver run            # everything in this process: http://127.0.0.1:8080
    python -m pytest

`$package/greeter.py` and `$package/web.py` hold one component each; `weaver.toml` configures them.
`weaver graph` shows who calls whom.
"""

_GITIGNORE = """\
__pycache__/
*.egg-info/
.venv/
dist/
*.pex
"""

_FILES = {
    "pyproject.toml": _PYPROJECT,
    "weaver.toml": _WEAVER,
    "$package/__init__.py": "",
    "$package/greeter.py": _GREETER,
    "$package/web.py": _WEB,
    "tests/test_greeter.py": _TEST,
    "README.md": _README,
    ".gitignore": _GITIGNORE,
}


def files_of(name: str) -> dict[str, str]:
    """Path, relative to the project, to text, for an application called `name`."""
    words = {"name": name, "package": package_of(name)}
    return {
        Template(path).substitute(words): Template(text).substitute(words)
        for path, text in _FILES.items()
    }


def package_of(name: str) -> str:
    """The import package of an application called `name`."""
    return name.replace("-", "_").lower()
