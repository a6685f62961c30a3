"""Values that people write with a unit: durations, sizes and percentages.

Decides which spellings are valid and words the refusal of all others. It must not know where such
a value stands in weaver.toml.
"""

import math
import re
from collections.abc import Mapping
from typing import Self

_NUMBER = re.compile(r"\s*([0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?)\s*([A-Za-zµ%]*)\s*")

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}

DURATION = 'a duration such as "250ms", "30s", "10m" or "1h"'
SIZE = 'a size such as "64MiB", "1GB" or a number of bytes'
PERCENT = 'a percentage such as "5%", or a number from 0 to 1'


class Duration(float):
    """A length of time in seconds, written "250ms", "30s", "10m", "1h", "2d" or as a number."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read what was written. Raises ValueError naming the valid forms."""
        number = _quantity(value, _SECONDS, 1.0, DURATION)
        return cls(number)

    @property
    def text(self) -> str:
        """The shortest spelling, such as "1.5s"; `parse` reads it back."""
        for unit in ("d", "h", "m"):
            count = self / _SECONDS[unit]
            if count >= 1 and count == int(count):
                return f"{int(count)}{unit}"
        if 0 < self < 1:
            return f"{_plain(self * 1000)}ms"
        return f"{_plain(self)}s"


class Size(int):
    """A number of bytes, written "64MiB", "1GB" or as a number."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read what was written. Raises ValueError naming the valid forms."""
        number = _quantity(value, _BYTES, 1, SIZE)
        if number != int(number):
            raise ValueError(f"expected {SIZE}, not a fraction of a byte")
        return cls(number)

    @property
    def text(self) -> str:
        """The shortest exact spelling, such as "64MiB"; `parse` reads it back."""
        for unit in ("GiB", "GB", "MiB", "MB", "KiB", "kB"):
            if self and self % _BYTES[unit] == 0:
                return f"{self // _BYTES[unit]}{unit}"
        return f"{int(self)}B"


class Percent(float):
    """A share from 0 to 1, written "5%" or 0.05."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read what was written. Raises ValueError naming the valid forms."""
        if isinstance(value, str) and "%" not in value:
            raise ValueError(f"expected {PERCENT}")
        number = _quantity(value, {"%": 0.01}, 1.0, PERCENT)
        if number > 1:
            hint = "" if isinstance(value, str) else ' (5 percent is "5%" or 0.05)'
            raise ValueError(f"expected {PERCENT}{hint}")
        return cls(round(number, 12))

    @property
    def text(self) -> str:
        """The spelling with a percent sign; `parse` reads it back."""
        return f"{_plain(self * 100)}%"


def _quantity(value: object, units: Mapping[str, float], bare: float, expected: str) -> float:
    """`value` in the base unit; a plain number counts `bare` each. Exact for whole numbers."""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        factor = units.get(match[2]) if match else None
        if match is None or factor is None:
            raise ValueError(f"expected {expected}")
        digits = match[1].replace("_", "")
        return (float(digits) if "." in digits else int(digits)) * factor
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected {expected}")  # noqa: TRY004 - one error kind
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"expected {expected}")
    return value * bare


def _plain(number: float) -> str:
    return f"{number:.12g}"
