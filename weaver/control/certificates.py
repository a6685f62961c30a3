"""The certificates of a deployment as they travel to its processes."""

import msgspec


class Certificates(msgspec.Struct, frozen=True):
    """The PEM texts of a deployment's processes; `name` is the DNS name in each certificate.

    `key` is a secret: it travels on sockets only. `always`: also for connections on one host.
    """

    name: str
    ca: bytes
    certificate: bytes
    key: bytes
    always: bool = False

    def __repr__(self) -> str:
        return f"Certificates(name={self.name!r})"


class Signer(msgspec.Struct, frozen=True):
    """What signs certificates of a deployment, as PEM texts: for hosts that join it later.

    `key` is a secret: it travels on sockets only. `always` is that of the certificates.
    """

    certificate: bytes
    key: bytes
    always: bool = False

    def __repr__(self) -> str:
        return "Signer()"
