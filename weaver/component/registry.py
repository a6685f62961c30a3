"""Which classes were declared as components, and under which names.

Names are not unique here: two modules may each declare a `Cart`. Whether that is a problem is
decided per application, in `graph.py`. A class declared again under the same full name (a reloaded
module, a test function run twice) replaces the older one.
"""

from collections.abc import Iterator
from types import FrameType
from typing import Any


class Declaration:
    """One declared component class: where it stands, and the scope its annotations may name.

    `generated_init` is true when weaver made the class a keyword-only dataclass; then the runtime
    sets fields itself and `__init__` remains for hand-made instances in unit tests.
    """

    __slots__ = ("cls", "file", "frames", "generated_init", "line")

    def __init__(
        self,
        cls: type[Any],
        *,
        generated_init: bool,
        file: str,
        line: int,
        frames: tuple[FrameType, ...],
    ) -> None:
        self.cls = cls
        self.generated_init = generated_init
        self.file = file
        self.line = line
        self.frames = frames

    @property
    def short_name(self) -> str:
        """The class name, which config, CLI and graph use where it is unambiguous."""
        return self.cls.__name__

    @property
    def full_name(self) -> str:
        """Module and qualified name; unique within an application."""
        return full_name(self.cls)

    @property
    def where(self) -> str:
        """The file and line of the declaration."""
        return f"{self.file}:{self.line}"


_by_class: dict[type[Any], Declaration] = {}
_by_name: dict[str, Declaration] = {}


def full_name(cls: type[Any]) -> str:
    """The module and qualified name of any class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def add(declaration: Declaration) -> None:
    """Record a declaration; an older one of the same full name is forgotten by name."""
    _by_class[declaration.cls] = declaration
    _by_name[declaration.full_name] = declaration


def declaration_of(cls: Any) -> Declaration | None:
    """The declaration of exactly this class, or None: subclasses do not inherit it."""
    try:
        return _by_class.get(cls)
    except TypeError:  # unhashable annotations are no classes
        return None


def declared() -> Iterator[Declaration]:
    """All current declarations, in order of their first declaration."""
    return iter(tuple(_by_name.values()))


def named(short_name: str) -> list[Declaration]:
    """All current declarations with this short name."""
    return [d for d in _by_name.values() if d.short_name == short_name]


def visible_from(declaration: Declaration, place: str) -> bool:
    """Whether code named `place` may mean this declaration without naming it.

    A component defined inside a function is a candidate only for components of that function:
    lexical scope, as for any local class.
    """
    name = declaration.full_name
    if "<locals>" not in name:
        return True
    return place.startswith(name[: name.rindex("<locals>")])
