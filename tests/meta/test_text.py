"""What no file of the repository may say."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SKIPPED = {"__pycache__", ".git", "node_modules", "dist", "build"}
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".html", ".css", ".js", ".txt", ".json", ".sh", ""}

# A path that exists on one machine only. In pieces, so that this file passes its own test.
SOMEBODYS_MACHINE = re.compile("(?<![\\w.])/(" + "|".join(["wo" + "rk", "ro" + "ot"]) + ")/")
OPEN_END = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name not in {".ci", ".gitignore"}
        if path.name in SKIPPED or hidden or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from files(path)
        elif path.suffix in TEXT:
            yield path


def lines_with(pattern: re.Pattern[str], folder: Path) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files(folder)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_nothing_names_a_path_of_somebodys_machine() -> None:
    assert lines_with(SOMEBODYS_MACHINE, ROOT) == []


def test_the_pattern_knows_such_a_path() -> None:
    assert SOMEBODYS_MACHINE.search("see /wo" "rk/main/x")  # fmt: skip
    assert not SOMEBODYS_MACHINE.search("the folder rewo" "rk/main")  # fmt: skip


def test_the_source_has_no_open_ends() -> None:
    assert lines_with(OPEN_END, ROOT / "weaver") == []


def test_every_file_ends_with_a_newline_and_no_line_with_a_blank() -> None:
    untidy = [
        str(path.relative_to(ROOT))
        for path in files(ROOT)
        if path.suffix in {".py", ".md", ".toml"}
        and (text := path.read_text(encoding="utf-8"))
        and (not text.endswith("\n") or re.search(r"[ \t]+$", text, re.MULTILINE))
    ]
    assert untidy == []
