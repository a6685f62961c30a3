"""On which line of a TOML text each key and array element stands.

Decides positions only: the text must already have been accepted by a TOML parser, whose verdict on
values stands. It must not know what any key means.
"""

from bisect import bisect_right

Path = tuple[str | int, ...]

_SPACE = " \t"
_BLANK = " \t\n"
_BARE_END = frozenset(" \t\n,]}#=.")


def locate(text: str) -> dict[Path, int]:
    """The 1-based line of every table, key and array element of a valid TOML text.

    A table defined by several headers stands where it is first named. Elements have integer path
    parts. Line ends may be LF or CRLF.
    """
    return _Scanner(text.replace("\r\n", "\n").removeprefix("\ufeff")).run()


class _Scanner:
    """One pass over the text; `pos` is always the next character to read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.lines: dict[Path, int] = {}
        self.array_lengths: dict[Path, int] = {}  # of arrays of tables only
        self.newlines = [index for index, char in enumerate(text) if char == "\n"]

    def run(self) -> dict[Path, int]:
        table: Path = ()
        self._skip(_BLANK)
        while self.pos < len(self.text):
            if self.text[self.pos] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self.lines

    def _header(self) -> Path:
        start = self.pos
        is_array = self.text.startswith("[[", start)
        self.pos += 2 if is_array else 1
        keys = self._key()
        self.pos += 2 if is_array else 1
        path: Path = ()
        for index, key in enumerate(keys):
            path = (*path, key)
            self._mark(path, start)
            if is_array and index == len(keys) - 1:
                self.array_lengths[path] = self.array_lengths.get(path, 0) + 1
            if path in self.array_lengths:
                path = (*path, self.array_lengths[path] - 1)
                self._mark(path, start)
        return path

    def _pair(self, table: Path) -> None:
        start = self.pos
        path = table
        for key in self._key():
            path = (*path, key)
            self._mark(path, start)
        self.pos += 1  # the equals sign
        self._value(path)

    def _key(self) -> list[str]:
        """The parts of a dotted key; stops at the character that ends it (`=` or `]`)."""
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            if self.text[self.pos] in "\"'":
                parts.append(self._quoted_key())
            else:
                start = self.pos
                while self.text[self.pos] not in _BARE_END:
                    self.pos += 1
                parts.append(self.text[start : self.pos])
            self._skip(_SPACE)
            if self.text[self.pos] != ".":
                return parts
            self.pos += 1

    def _quoted_key(self) -> str:
        start = self.pos
        self._string()
        token = self.text[start : self.pos]
        if "\\" not in token or token[0] == "'":
            return token[1:-1]
        import tomli  # deferred: escapes in keys are rare

        return str(tomli.loads(f"key = {token}")["key"])

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        match self.text[self.pos]:
            case '"' | "'":
                self._string()
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                while self.pos < len(self.text) and self.text[self.pos] not in ",]}#\n":
                    self.pos += 1

    def _array(self, path: Path) -> None:
        self.pos += 1
        index = 0
        while not self._closes("]"):
            self._mark((*path, index), self.pos)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Path) -> None:
        self.pos += 1
        while not self._closes("}"):
            self._pair(path)

    def _closes(self, end: str) -> bool:
        """Whether the list ends here; passes blanks, comments, commas, and then the end itself."""
        self._skip(_BLANK + ",")
        if self.text[self.pos] != end:
            return False
        self.pos += 1
        return True

    def _string(self) -> None:
        quote = self.text[self.pos]
        delimiter = quote * 3 if self.text.startswith(quote * 3, self.pos) else quote
        self.pos += len(delimiter)
        while not self.text.startswith(delimiter, self.pos):
            self.pos += 2 if quote == '"' and self.text[self.pos] == "\\" else 1
        self.pos += len(delimiter)
        if len(delimiter) == 3:  # up to two more quotes belong to the content
            while self.text[self.pos : self.pos + 1] == quote:
                self.pos += 1

    def _skip(self, chars: str) -> None:
        """Pass `chars`; where newlines are among them, comments too."""
        while self.pos < len(self.text):
            if self.text[self.pos] in chars:
                self.pos += 1
            elif self.text[self.pos] == "#" and "\n" in chars:
                end = self.text.find("\n", self.pos)
                self.pos = len(self.text) if end < 0 else end
            else:
                return

    def _mark(self, path: Path, position: int) -> None:
        self.lines.setdefault(path, bisect_right(self.newlines, position - 1) + 1)
