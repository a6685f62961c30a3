"""The HTML templates, and the one way to fill them in: whatever is shown is escaped."""

from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: Any) -> str:
    """Fill in a template of this folder; a value that it names and does not get is an error."""
    return _environment.get_template(template).render(values)


@lru_cache(maxsize=1024)
def _piece(value: Hashable, macro: str, *more: Hashable) -> Markup:
    """What a macro of parts.html makes of these values, made once and kept.

    The filter `piece` of templates, for what many pages show; never for what a visitor has typed.
    """
    made: Markup = getattr(_environment.get_template("parts.html").module, macro)(value, *more)
    return made


_environment.filters["piece"] = _piece
