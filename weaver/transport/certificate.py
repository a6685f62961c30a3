"""The certificate that users are shown, read again whenever its files have changed.

Decides when files count as changed, and that what cannot be used replaces nothing. Connections keep
the certificate that they have begun with. It must not know who listens.
"""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from weaver.errors import ListenerError
from weaver.transport.tls import as_file

_log = logging.getLogger("weaver.transport")

EVERY: Final = 2.0
"""Seconds between two looks at the files."""

Signature = tuple[tuple[int, int, int], ...]
"""Of each file: when it was written, its size, and which one it is. Empty if there is none."""


class Certificate:
    """A certificate chain and its key, in files of PEM; `context` is for the side that accepts.

    The context stays the same object, so that what is made from it later has the latest files.
    Raises ListenerError if they cannot be used.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._timer: asyncio.TimerHandle | None = None
        self._seen = self._signature()
        text = self._read()
        self.context = _context()
        self._load(self.context, text)

    def watch(self) -> None:
        """Look at the files now and then, on the running loop, until `close`. May be called twice.

        Files that cannot be used are logged once, and looked at again when they change.
        """
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

    def refresh(self) -> bool:
        """Read the files if they have changed; whether a new certificate is in use.

        Raises ListenerError, and keeps the former one, if they cannot be used.
        """
        signature = self._signature()
        if signature == self._seen:
            return False
        self._seen = signature
        text = self._read()
        self._load(_context(), text)  # what fails half-way must not fail in the one that serves
        self._load(self.context, text)
        return True

    def close(self) -> None:
        """Stop looking. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        self.watch()
        try:
            if self.refresh():
                _log.info("the certificate in %s is used from now on", self._chain)
        except ListenerError as error:
            _log.error("%s; the former certificate stays in use", error)

    def _signature(self) -> Signature:
        try:
            found = [path.stat() for path in (self._chain, self._key)]
        except OSError:
            return ()
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

    def _read(self) -> bytes:
        texts: list[bytes] = []
        for path in (self._chain, self._key):
            try:
                texts.append(path.read_bytes())
            except OSError as error:
                raise ListenerError(
                    "a file of the certificate cannot be read",
                    where=str(path),
                    why=error.strerror or str(error),
                    fix="correct `tls` of the listener, or the permissions of the file",
                ) from error
        return b"\n".join(texts)

    def _load(self, context: ssl.SSLContext, text: bytes) -> None:
        try:
            with as_file(text) as path:
                context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            why = getattr(error, "reason", None) or str(error)
            raise ListenerError(
                "the certificate and its key cannot be used",
                where=f"{self._chain}, {self._key}",
                why=str(why).replace("_", " ").lower(),
                fix="write the chain (PEM) and its own key, without a password, into these files",
            ) from error


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_password() -> str:
    raise ValueError("the key is protected by a password")
