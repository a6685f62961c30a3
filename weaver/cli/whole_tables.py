"""Tables that lose no word: what is wider than the terminal goes on in its next line.

Half a replica's name, or three digits of a process id, are of use to nobody.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_UNBOUNDED = 10_000  # columns


def console_for(*tables: "RenderableType") -> "Console":
    """A console for standard output that is as wide as the widest of `tables` has to be."""
    from rich.console import Console

    console = Console(highlight=False)
    options = console.options.update(width=_UNBOUNDED)
    needed = [console.measure(table, options=options).maximum for table in tables]
    console.width = max(console.width, *needed)
    return console
