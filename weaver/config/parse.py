"""From the text of weaver.toml to its tables; a syntax error gets its place and what to do.

It must not know what the tables mean.
"""

import re
from typing import Any

from weaver.errors import ConfigError, Problem

_ONCE = "each key and table header may stand only once"
_BACKSLASH = "write \\\\ for a backslash, or put the text in single quotes"
_LIST = "close the list with ], and put commas between what it holds"
_INLINE = "close the inline table with }, and put commas between what it holds"
_HINTS = {
    "Invalid value": 'put text in quotes: key = "value"',
    "Invalid statement": 'write key = "value", or a [table] header',
    "overwrite": _ONCE,
    "declare": _ONCE,
    "redefine": _ONCE,
    "mutate": _ONCE,
    "Duplicate": _ONCE,
    "Expected '='": 'write key = "value"; quote keys that hold other than letters, digits, _ and -',
    "key part": "quote keys that hold other than letters, digits, _ and -",
    "Expected newline": "one key = value per line; put text in quotes",
    "Expected ']": "close the header with its brackets",
    'Expected "': "close the text with the quotes it began with",
    "Unclosed array": _LIST,
    "Unclosed inline": _INLINE,
    "Unterminated": "close the text with the quote it began with",
    "Unescaped": _BACKSLASH,
    "hex value": _BACKSLASH,
    "Illegal character": "close the text on its line, or put it in triple quotes",
}
_WORDS = {
    "True": "true",
    "yes": "true",
    "on": "true",
    "False": "false",
    "no": "false",
    "off": "false",
}


def parse(text: str, source: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises ConfigError for text that is no TOML."""
    import tomli  # deferred: `import weaver.config` stays light

    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        reason = str(error).rpartition(" (at ")[0] or str(error)
        line, column = _position(str(error), text)
        at = sum(len(above) + 1 for above in text.split("\n")[: line - 1]) + column - 1
        raise ConfigError(
            [
                Problem(
                    f"{source} is not valid TOML",
                    where=f"{source}:{line}:{column}",
                    why=reason[:1].lower() + reason[1:],
                    fix=_hint(reason, text[:at], text[at:]),
                )
            ]
        ) from None  # tomli's error carries the whole text, which may hold a secret


def _position(message: str, text: str) -> tuple[int, int]:
    """Line and column of a parse error; the end of the text if it names none."""
    found = re.search(r"line (\d+), column (\d+)", message)
    if found:
        return int(found[1]), int(found[2])
    lines = text.split("\n")
    return len(lines), len(lines[-1]) + 1


def _hint(reason: str, before: str, after: str) -> str:
    """What to do about the commonest mistakes, by the text on both sides of the place."""
    if "Invalid value" in reason:
        word = re.match(r"\w*", after)
        if word and word[0] in _WORDS:
            return f"write {_WORDS[word[0]]}"
        if not after[:1].strip():
            return _LIST if before.rstrip().endswith(("[", ",")) else "write a value after the ="
        if before.rpartition("\n")[2].strip() == "[":
            return "if this is a table header, close the list above it with ]"
    if "key part" in reason and not after.strip():
        return _INLINE
    return next((fix for sign, fix in _HINTS.items() if sign in reason), "see https://toml.io")
