"""The type of the fixture `weaver_app`, for tests that are checked."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from weaver.testing.app import TestApp


class MakeApp(Protocol):
    """What the fixture `weaver_app` is: the function of that name, with its runner chosen."""

    def __call__(
        self,
        *components: Any,
        fakes: Sequence[object] | Mapping[type[Any], object] = (),
        config: Mapping[Any, Any] | None = None,
        main: bool = True,
    ) -> TestApp:
        """An application under test; see `weaver.testing.weaver_app`."""
        ...
