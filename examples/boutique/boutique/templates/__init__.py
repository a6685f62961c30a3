"""The HTML templates, and the ways to fill them in: whatever is shown is escaped.

Most of a page is the same for many visitors. It is made of pieces, which are kept as the bytes that
are sent; what differs for each visitor is put between them.
"""

from collections.abc import Callable, Hashable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape

_HOLE = "\0"  # no HTML has it
_KEPT = 1024  # variants of one piece

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
cast("dict[str, Any]", _environment.globals)["hole"] = _HOLE


def render(template: str, **values: Any) -> str:
    """Fill in a template of this folder; a value that it names and does not get is an error."""
    return _environment.get_template(template).render(values)


def piece(name: str, *values: Hashable) -> bytes:
    """What a macro of frame.html or parts.html makes of these values, made once and kept.

    For what many pages show; never for what a visitor has typed.
    """
    return _maker(name)(*values)[0]


def filled(name: str, values: tuple[Hashable, ...], *texts: str) -> bytes:
    """A piece with holes, in which these texts are put; they are one visitor's, and not kept."""
    first, *rest = _maker(name)(*values)
    found = [first]
    for text, after in zip(texts, rest, strict=True):
        found += (escape(text).encode(), after)
    return b"".join(found)


def fresh(name: str, *values: Any) -> bytes:
    """The same as `piece`, for what a visitor has typed: nothing is kept."""
    return str(_macro(name)(*values)).encode()


@cache
def _maker(name: str) -> Callable[..., tuple[bytes, ...]]:
    """Makes the pieces of this name, each as what is around its holes."""
    macro = _macro(name)

    @lru_cache(maxsize=_KEPT)
    def make(*values: Hashable) -> tuple[bytes, ...]:
        return tuple(str(macro(*values)).encode().split(_HOLE.encode()))

    return make


def _macro(name: str) -> Callable[..., str]:
    modules = (_environment.get_template(file).module for file in ("frame.html", "parts.html"))
    found: Callable[..., str] = next(
        getattr(module, name) for module in modules if hasattr(module, name)
    )
    return found
