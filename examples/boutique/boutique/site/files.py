"""The pictures, the style and the script of the site: a few files, held in memory."""

import mimetypes
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from boutique.site.http import Refusal, Response, Scope, header


@dataclass(frozen=True)
class Files:
    """The files under a folder, by their path under `prefix`, as they were at the start."""

    known: dict[str, Response]

    @classmethod
    def under(cls, folder: Path, prefix: str) -> "Files":
        """Read them all."""
        paths = [path for path in folder.rglob("*") if path.is_file()]
        return cls({prefix + path.relative_to(folder).as_posix(): _file(path) for path in paths})

    def answer(self, scope: Scope) -> Response:
        """One file, or word that the browser has it. Raises Refusal."""
        found = self.known.get(scope["path"])
        if found is None:
            raise Refusal(404, "There is nothing under this address.")
        tag = dict(found.headers)[b"etag"]
        if tag in header(scope, b"if-none-match"):
            return Response(b"", 304, [(b"etag", tag)])
        return found


def _file(path: Path) -> Response:
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    tag = f'"{sha256(body).hexdigest()[:16]}"'
    return Response(body, headers=[(b"content-type", kind.encode()), (b"etag", tag.encode())])
