"""The signed cookie that keeps a client in its version.

Decides the cookie's form: VERSION.SIGNATURE. Pure. It must not know which versions there are.
"""

import hashlib
import hmac
import re
from typing import Final

from weaver.control.ingress import Pinning

_PLAIN: Final = re.compile(r"[A-Za-z0-9._+\-]{1,128}")


def signature(version: str, secret: bytes) -> str:
    """Proof that whoever knows `secret` wrote `version`."""
    return hmac.new(secret, version.encode(), hashlib.sha256).hexdigest()[:32]


def value_of(version: str, pins: Pinning) -> str:
    """The cookie's value; "" if pinning by cookie is off or the version's name cannot be in one."""
    if not pins.cookie or not pins.secret or _PLAIN.fullmatch(version) is None:
        return ""
    return f"{version}.{signature(version, pins.secret)}"


def version_in(cookies: str, pins: Pinning) -> str:
    """The version that a Cookie header pins, "" without one whose signature is right."""
    if not pins.secret:
        return ""
    version, _, signed = cookie(cookies, pins.cookie).rpartition(".")
    expected = signature(version, pins.secret)
    return version if hmac.compare_digest(signed.encode(), expected.encode()) else ""


def cookie(cookies: str, name: str) -> str:
    """The value of the first cookie called `name` in a Cookie header, or ""."""
    for part in cookies.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""
