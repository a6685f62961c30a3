"""Where a line of an installed release stands in the project that it was built of.

Errors of a running application name files of the release; whoever mends them edits the project.
"""

import contextlib
from collections.abc import Generator
from pathlib import Path

from weaver.errors import WeaverError

PLACES = ("", "src")
"""Where a project has its modules."""


@contextlib.contextmanager
def of_project(release: Path, folder: Path) -> Generator[None]:
    """Name the file below `folder` in errors about its copy below `release`, where there is one."""
    try:
        yield
    except WeaverError as error:
        error.where = in_project(error.where, release, folder)
        raise


def in_project(where: str, release: Path, folder: Path) -> str:
    """The same line in the project; `where` itself, if it is no line of a file of the project."""
    path, _, line = where.rpartition(":")
    _, site, name = path.rpartition("/site-packages/")
    if not site or not line.isdecimal() or not Path(path).is_relative_to(release):
        return where
    for place in PLACES:
        source = folder / place / name
        if source.is_file():
            return f"{source}:{line}"
    return where
