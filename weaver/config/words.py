"""Strings of weaver.toml that have a form: names, targets, addresses, policies.

Decides which texts are valid and words the refusal of all others. It must not resolve any of them:
whether a module, host or port exists is found out by those who use it.
"""

import re
from typing import Self

from weaver.config.units import Duration

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_TARGET = re.compile(rf"{_DOTTED}:{_DOTTED}")
_ADDRESS = re.compile(r"unix:.+|(?:\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")

NAME = 'a name of letters, digits, ".", "_" and "-", at most 63'
TARGET = 'a target such as "shop.web:Web"'
ADDRESS = 'an address such as "127.0.0.1:8080", "[::1]:8080" or "unix:/run/shop.sock"'
POLICY = '"continue" or "stop after 10m"'


class Name(str):
    """The name of an application: it becomes part of file names and metric labels."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Check what was written. Raises ValueError naming the valid form."""
        return cls(_match(value, _NAME, NAME)[0])


class Target(str):
    """`package.module:Name`: a component, or an existing ASGI or WSGI application."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Check what was written. Raises ValueError naming the valid form."""
        return cls(_match(value, _TARGET, TARGET)[0])


class Address(str):
    """`host:port`, `[v6]:port` or `unix:/path`; port 0 lets the system choose."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Check what was written. Raises ValueError naming the valid form."""
        match = _match(value, _ADDRESS, ADDRESS)
        if match["port"] is not None and int(match["port"]) > 65535:
            raise ValueError(f"expected {ADDRESS} (the last port is 65535)")
        return cls(match[0])


class ManagerLost(str):
    """What replicas do while no manager can be reached: go on, or stop after a time."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Self:
        """Check what was written. Raises ValueError naming the valid forms."""
        if not isinstance(value, str):
            raise ValueError(f"expected {POLICY}")  # noqa: TRY004 - one error kind
        head, _, rest = value.partition("stop after ")
        if value != "continue" and (head or not rest):
            raise ValueError(f"expected {POLICY}")
        if rest:
            Duration.parse(rest)
        return cls(value)

    @property
    def stop_after(self) -> Duration | None:
        """After how many seconds replicas stop; None: never."""
        _, found, rest = self.partition("stop after ")
        return Duration.parse(rest) if found else None


def _match(value: object, pattern: re.Pattern[str], expected: str) -> re.Match[str]:
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected {expected}")
    return match
