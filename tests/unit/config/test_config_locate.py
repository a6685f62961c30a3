"""The line of every key of a TOML text."""

from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from weaver.config.locate import Path, locate

Draw = st.DrawFn


def paths_of(value: Any, path: Path = ()) -> set[Path]:
    """Every path of a parsed document, that of the whole document left out."""
    found: set[Path] = {path} if path else set()
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - parsed TOML
    elif isinstance(value, list):
        items = enumerate(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - parsed TOML
    for key, item in items:
        found |= paths_of(item, (*path, key))
    return found


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1", ("a",), 1),
        ("# c\n\n\na = 1 # d\nb = 2", ("b",), 5),
        ("[t]\nx = 1\n[t.u]\ny = 2", ("t", "u", "y"), 4),
        ("[ t . u ]\ny = 2", ("t", "u"), 1),
        ("a.b.c = 1\na.b.d = 2", ("a", "b", "d"), 2),
        ("a.b.c = 1\na.b.d = 2", ("a", "b"), 1),
        ('[components."shop.Cart"]\nx = 1', ("components", "shop.Cart", "x"), 2),
        ("'a.b'.\"c\\u0041\" = 1", ("a.b", "cA"), 1),
        ("i = { x = 1, y = { z = 2 } }\nj = 1", ("i", "y", "z"), 1),
        ("l = [\n  1,\n  2, # ]\n  3\n]\nm = 1", ("l", 2), 4),
        ("l = [\n  1,\n  2, # ]\n  3\n]\nm = 1", ("m",), 6),
        ("[[a]]\nx = 1\n[[a]]\nx = 2", ("a", 1, "x"), 4),
        ("[[a]]\n[[a.b]]\n[[a.b]]\ny = 1\n[[a]]\n[a.c]\nz = 1", ("a", 1, "c", "z"), 7),
        ("[[a]]\n[[a.b]]\n[[a.b]]\ny = 1", ("a", 0, "b", 1, "y"), 4),
        ('s = """\n[t]\nx = 1\n"""\ny = 1', ("y",), 5),
        ("s = '''\n# \\'''\ny = 1", ("y",), 3),
        ('s = """a""""" # two quotes belong to the content\ny = 1', ("y",), 2),
        ('s = "\\\\"\ny = "\\"#"\nz = 1', ("z",), 3),
        ("e = ''\nf = \"\"\ng = 1", ("g",), 3),
        ("d = 1979-05-27 07:32:00Z\nx = 1", ("x",), 2),
        ("\r\n\r\na = 1\r\n", ("a",), 3),
        ("\ufeffa = 1\nb = 2", ("b",), 2),
    ],
)
def test_key_is_found_on_the_line_where_it_is_written(text: str, path: Path, line: int) -> None:
    parsed = tomli.loads(text.removeprefix("\ufeff"))

    assert locate(text)[path] == line
    assert set(locate(text)) == paths_of(parsed)


def test_empty_text_has_no_keys() -> None:
    assert not locate("")
    assert not locate("# only a comment")


class Document:
    """Writes a random TOML text and notes on which line each leaf was written."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.text = ""
        self.leaves: dict[Path, int] = {}
        self.names = 0

    def write(self, text: str) -> None:
        self.text += text

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def key(self) -> tuple[str, str]:
        """A new key and how it is spelled; numbers keep keys apart."""
        self.names += 1
        stem = self.draw(st.sampled_from(["a", "b-c", "d.e", "[f]", "#g", "h = ", "é", 'i"', "\\"]))
        name = f"{stem}{self.names}"
        if stem in {"a", "b-c"}:
            return name, self.draw(st.sampled_from([name, f'"{name}"', f"'{name}'"]))
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return name, f'"{escaped}"'

    def gap(self, *, inside: bool) -> None:
        """Blank lines and comments, where they are allowed."""
        gaps = ["", " "] if inside else ["", "\n", "# [x]\n", "  \t\n\n", '# """\n']
        self.write(self.draw(st.sampled_from(gaps)))

    def pair(self, table: Path, *, depth: int, inline: bool = False) -> None:
        dotted = [self.key() for _ in range(self.draw(st.integers(1, 2)))]
        path = (*table, *(name for name, _ in dotted))
        separator = self.draw(st.sampled_from([".", " . "]))
        line = self.line
        self.write(separator.join(spelled for _, spelled in dotted))
        self.write(self.draw(st.sampled_from(["=", " = "])))
        self.value(path, line, depth=depth)
        if not inline:
            self.write(self.draw(st.sampled_from(["\n", " # a = 1\n", "\n\n"])))

    def value(self, path: Path, line: int, *, depth: int) -> None:
        kind = self.draw(st.integers(0, 2 if depth else 0))
        if kind == 1:
            self.array(path, depth=depth - 1)
        elif kind == 2:
            self.inline_table(path, depth=depth - 1)
        else:
            self.leaves[path] = line
            self.write(self.draw(SCALARS))

    def array(self, path: Path, *, depth: int) -> None:
        self.write("[")
        for index in range(self.draw(st.integers(0, 3))):
            self.write(self.draw(st.sampled_from(["", "\n", " # ]\n "])))
            self.value((*path, index), self.line, depth=depth)
            self.write(self.draw(st.sampled_from([",", " ,", " # ,\n,"])))
        self.write("]")

    def inline_table(self, path: Path, *, depth: int) -> None:
        self.write("{")
        for index in range(self.draw(st.integers(0, 3))):
            self.write(", " if index else " ")
            self.pair(path, depth=depth, inline=True)
        self.write("}")

    def tables(self) -> None:
        arrays: dict[str, int] = {}
        for _ in range(self.draw(st.integers(0, 4))):
            self.gap(inside=False)
            name, spelled = self.key()
            path: Path = (name,)
            if self.draw(st.booleans()):
                count = self.draw(st.integers(1, 3))
                arrays[name] = count
                for index in range(count):
                    self.write(f"[[ {spelled}]]\n")
                    self.body((*path, index))
            else:
                self.write(f"[{spelled} ] # [[y]]\n")
                self.body(path)

    def body(self, table: Path) -> None:
        for _ in range(self.draw(st.integers(0, 3))):
            self.gap(inside=False)
            self.pair(table, depth=2)


SCALARS = st.sampled_from(
    [
        "1",
        "-1.5e3",
        "true",
        "1979-05-27T07:32:00Z",
        "07:32:00",
        '"text"',
        '""',
        "''",
        '"a \\" # b = 1"',
        "'c:\\\\'",
        '"""one\n[two]\nthree = "3" \\\n  """',
        '"""\\""""',
        "'''\n''quoted'''''",
    ]
)


@st.composite
def documents(draw: Draw) -> Document:
    document = Document(draw)
    document.body(())
    document.tables()
    return document


@given(documents(), st.booleans())
def test_every_leaf_is_found_on_the_line_it_was_written_on(document: Document, crlf: bool) -> None:
    text = document.text.replace("\n", "\r\n") if crlf else document.text
    parsed = tomli.loads(text)

    found = locate(text)

    assert {path: found.get(path) for path in document.leaves} == document.leaves
    assert set(found) == paths_of(parsed)
