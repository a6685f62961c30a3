"""The reference names all there is: public names, and errors."""

from pathlib import Path

import weaver
from weaver import errors

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_every_public_name_is_in_the_reference() -> None:
    page = (REFERENCE / "api.md").read_text()
    assert [name for name in weaver.__all__ if f"weaver.{name}" not in page] == []


def test_every_error_is_in_the_reference() -> None:
    page = (REFERENCE / "errors.md").read_text()
    classes = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, weaver.WeaverError)
    ]
    assert "ConfigError" in classes
    assert [name for name in classes if f"`{name}`" not in page] == []
