"""Who a process is when its connections leave the host: certificate, key and the CA that counts.

Both sides show a certificate that the deployment's own CA signed for the deployment's name; nothing
else is trusted. This file decides what is checked. Certificates are made elsewhere: here is only
the standard library.
"""

import contextlib
import dataclasses
import functools
import os
import ssl
import tempfile
from collections.abc import Generator

from weaver.control.certificates import Certificates


@dataclasses.dataclass(frozen=True)
class Identity:
    """PEM texts of one process; `name` is the DNS name in every certificate of the deployment.

    `always` wants TLS also on Unix sockets, where file permissions and the kernel protect.
    """

    name: str
    ca: bytes
    certificate: bytes
    key: bytes = dataclasses.field(repr=False)
    always: bool = False

    def covers(self, address: str) -> bool:
        """Whether connections at this address are encrypted."""
        return self.always or not address.startswith("unix:")

    @functools.lru_cache(maxsize=16)  # noqa: B019 # a process has one identity
    def client(self) -> ssl.SSLContext:
        """The context of the side that connects. Raises ssl.SSLError for PEM that is none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = True
        return self._loaded(context)

    @functools.lru_cache(maxsize=16)  # noqa: B019 # a process has one identity
    def server(self) -> ssl.SSLContext:
        """The context of the side that accepts; it wants a certificate of its peer."""
        return self._loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def admits(self, certificate: object) -> bool:
        """Whether a verified peer certificate, as `ssl` shows it, is one of the deployment.

        OpenSSL compares names only for the side that connects.
        """
        names = certificate.get("subjectAltName", ()) if isinstance(certificate, dict) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        return ("DNS", self.name) in names

    def _loaded(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.ca.decode("ascii"))
        with as_file(self.certificate + b"\n" + self.key) as path:
            context.load_cert_chain(path)
        return context


def identity_of(given: Certificates | None) -> Identity | None:
    """Who a process is that was given these certificates; None without any."""
    if given is None:
        return None
    return Identity(given.name, given.ca, given.certificate, given.key, given.always)


@contextlib.contextmanager
def as_file(text: bytes) -> Generator[str]:
    """OpenSSL in Python reads keys from files only: one in memory, else a private one for now."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("weaver-identity", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, text)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile(prefix="weaver-") as file:  # mode 0600, gone on the way out
        file.write(text)
        file.flush()
        yield file.name
