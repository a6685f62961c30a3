"""Lets a PEX that was cut short say so when it is run, in place of a syntax error of its shell.

Decides what stands where pex has put a comment: the same number of bytes, so that nothing after it
moves. A PEX whose beginning is not as expected stays as it is.
"""

from pathlib import Path
from typing import Final

_COMMENT: Final = (
    b"# N.B.: This script should stick to syntax defined for POSIX `sh` and avoid non-builtins.\n"
    b"# See: https://pubs.opengroup.org/onlinepubs/9699919799/idx/shell.html\n"
)
_FIRST: Final = b"#!/bin/sh\n"
_CHECK: Final = b'[ $(wc -c <"$0") -eq '


def tell_when_cut(pex: Path) -> None:
    """Put a comparison of its own size into a PEX, or correct the one in it. Raises OSError."""
    failure = b']||{ echo "error: $0 is cut short: copy it again">&2;exit 1;}\n'
    check = _CHECK + f"{pex.stat().st_size} ".encode() + failure
    with pex.open("r+b") as file:
        begin = file.read(len(_FIRST + _COMMENT))
        if begin != _FIRST + _COMMENT and not begin.startswith(_FIRST + _CHECK):
            return
        file.seek(len(_FIRST))
        file.write(check + b"#" * (len(_COMMENT) - len(check) - 1) + b"\n")
