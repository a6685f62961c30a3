"""What a component may ask to be given besides references: secrets and listeners. Pure handles."""

from typing import Any, Generic, NoReturn, TypeVar, cast

from weaver.errors import UsageError

T = TypeVar("T")


class Secret(Generic[T]):
    """A value from the environment or a file that is never shown, logged or sent.

    `reveal()` gives the value. `str`, `repr` and formatting give `***`; it has no codec.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The secret itself: hand it on, do not keep or print it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        secret = cast("Secret[Any]", other)
        return isinstance(other, Secret) and bool(self._value == secret.reveal())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "a Secret cannot be copied or pickled",
            why="its value must not end up where nobody looks for it",
            fix="pass on secret.reveal() to the one library that needs it",
        )


class Listener:
    """A named socket that serves users; the runtime binds it before the component starts.

    Its address comes from `[listeners.NAME]`, NAME being the field's name; without one the system
    gives a free port of 127.0.0.1. A hand-made Listener serves nothing: it is for unit tests.
    """

    def __init__(self, name: str = "http", address: str = "") -> None:
        self.name = name
        self.address = address

    async def serve(self, app: Any) -> None:
        """Serve an ASGI or WSGI application until the application stops; returns when drained.

        Cancellation closes the open connections at once. Raises UsageError for an object that is
        neither, and for a listener that no runtime has bound.
        """
        raise UsageError(
            f'listener "{self.name}" is not bound: it was made by hand ({app!r} is not served)',
            fix="use weaver.run or weaver_app; in a unit test call the app itself",
        )

    def __repr__(self) -> str:
        return f"<listener {self.name} at {self.address or 'no address yet'}>"
