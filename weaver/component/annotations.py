"""Annotations, as written, become types: forward references, local classes, TYPE_CHECKING imports.

A name that is missing at run time because it is imported only for type checkers may still mean a
declared component; that is what lets two modules refer to each other's components.
"""

import sys
from collections.abc import Mapping
from typing import Any, get_type_hints

from weaver.component import registry


class Unresolved:
    """An annotation that names nothing; `reason` says what is missing, `fix` what to do."""

    __slots__ = ("fix", "reason")

    def __init__(self, reason: str, fix: str) -> None:
        self.reason = reason
        self.fix = fix


class _Holder:
    """The smallest thing `get_type_hints` accepts: one annotation under one name."""

    __slots__ = ("__annotations__",)

    def __init__(self, annotation: Any) -> None:
        self.__annotations__ = {"it": annotation}


def resolve(annotation: Any, *, module: str, scope: Mapping[str, Any]) -> Any:
    """The type an annotation means in `module` with the names of `scope`, or Unresolved."""
    holder = _Holder(annotation)
    globals_ = getattr(sys.modules.get(module), "__dict__", {})
    names = dict(scope)
    while True:
        try:
            return get_type_hints(holder, globals_, names, include_extras=True)["it"]
        except NameError as error:
            missing = error.name
            found = registry.named(missing) if missing else []
            if len(found) != 1 or missing in names:
                return _unresolved_name(annotation, missing, module, found)
            names[str(missing)] = found[0].cls
        except Exception as error:  # noqa: BLE001 # any error of the user's expression
            return Unresolved(
                f"annotation {annotation!r} cannot be evaluated: {type(error).__name__}: {error}",
                "write an annotation that is a type",
            )


def _unresolved_name(
    annotation: Any, missing: str | None, module: str, found: list[registry.Declaration]
) -> Unresolved:
    if found:
        candidates = ", ".join(d.full_name for d in found)
        return Unresolved(
            f'annotation {annotation!r}: "{missing}" is not imported at run time, and more than '
            f"one component has that name: {candidates}",
            f"import the one that is meant in {module}, outside `if TYPE_CHECKING`",
        )
    return Unresolved(
        f'annotation {annotation!r} names "{missing}", which does not exist in {module}',
        f'define or import "{missing}" there, outside `if TYPE_CHECKING`',
    )


def scope_of(declaration: registry.Declaration) -> dict[str, Any]:
    """The local names around a declaration, plus the class itself under its own name."""
    names: dict[str, Any] = {}
    for frame in reversed(declaration.frames):
        names.update(frame.f_locals)
    names.setdefault(declaration.cls.__name__, declaration.cls)
    return names
