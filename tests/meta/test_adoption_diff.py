"""docs/how-to/adopt.md shows the difference between the two forms of examples/adopt, all of it."""

import difflib
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
BEFORE = ROOT / "examples" / "adopt" / "before"
AFTER = ROOT / "examples" / "adopt" / "after"
PAGE = (ROOT / "docs" / "how-to" / "adopt.md").read_text()


def changes(path: Path) -> str:
    """One file's changes with two lines around each, as the page shows them."""
    old, new = ((folder / path).read_text().splitlines() for folder in (BEFORE, AFTER))
    lines = list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]
    shown = [line.rstrip() for line in lines if not line.startswith("@@")]
    return "\n".join([f"--- {path.as_posix()}", *shown])


def sources(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*.py")}


def test_the_page_shows_every_change_of_the_source() -> None:
    shown = "\n".join(re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL))
    changed = [path for path in sorted(sources(BEFORE)) if changes(path).count("\n")]
    assert changed
    assert [path for path in changed if changes(path) not in shown] == []


def test_no_source_was_added_and_the_page_shows_the_configuration() -> None:
    assert sources(BEFORE) == sources(AFTER)
    assert (AFTER / "weaver.toml").read_text() in PAGE
