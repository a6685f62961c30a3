"""Who is visiting: a session and a currency, both kept in cookies.

This file decides about cookies. It must not know any page.
"""

import re
from dataclasses import dataclass
from random import getrandbits
from uuid import uuid4

from boutique.site.http import Header, Scope, header

SESSION_COOKIE = "shop_session-id"
CURRENCY_COOKIE = "shop_currency"
CURRENCIES = frozenset({"USD", "EUR", "CAD", "JPY", "GBP", "TRY"})  # those that the site offers
DEFAULT_CURRENCY = "USD"

_MAX_AGE = 48 * 60 * 60  # seconds
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(slots=True)
class Visit:
    """One request of one visitor."""

    session_id: str
    request_id: str
    currency: str
    is_new: bool

    @classmethod
    def of(cls, scope: Scope) -> "Visit":
        """The visit that a request says it is, or the first one of somebody new."""
        known = cookies(scope)
        session = known.get(SESSION_COOKIE, "")
        is_new = _SESSION_ID.fullmatch(session) is None
        currency = known.get(CURRENCY_COOKIE, "")
        return cls(
            session_id=str(uuid4()) if is_new else session,
            request_id=f"{getrandbits(128):032x}",
            currency=currency if currency in CURRENCIES else DEFAULT_CURRENCY,
            is_new=is_new,
        )


def cookies(scope: Scope) -> dict[str, str]:
    """The cookies of a request; of two with the same name, the last."""
    found: dict[str, str] = {}
    for part in header(scope, b"cookie").decode("latin-1").split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found[name.strip()] = value.strip().strip('"')
    return found


def keep_session(visit: Visit) -> Header:
    """The header that keeps a visitor's session."""
    return _cookie(SESSION_COOKIE, visit.session_id, _MAX_AGE)


def keep_currency(currency: str) -> Header:
    """The header that keeps a visitor's currency."""
    return _cookie(CURRENCY_COOKIE, currency, _MAX_AGE)


def forget(scope: Scope) -> list[Header]:
    """The headers that expire every cookie of a request."""
    return [_cookie(name, "", 0) for name in cookies(scope) if _SESSION_ID.fullmatch(name)]


def _cookie(name: str, value: str, max_age: int) -> Header:
    """What browsers keep; neither name nor value may have what needs quotes."""
    text = f"{name}={value}; HttpOnly; Max-Age={max_age}; Path=/; SameSite=Lax"
    return b"set-cookie", text.encode("ascii")
