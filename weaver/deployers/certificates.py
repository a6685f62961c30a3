"""Certificates of a deployment: its own CA, and what that signs for each process.

Made by the manager's side, which alone has `cryptography`; a process gets the PEM texts as an
`Identity` and needs the standard library only. The key of the CA is in the memory of the manager
and, for the next one, of envelopes. Each of those can show a certificate of the deployment anyway,
and all certificates admit to the same.
"""

import dataclasses
import datetime
import functools
from typing import TYPE_CHECKING, Any, Final

from weaver.control.certificates import Certificates
from weaver.errors import UsageError
from weaver.transport.tls import Identity

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

LASTS: Final = datetime.timedelta(days=3650)
"""Longer than any deployment: a new one has a new CA."""

SKEW: Final = datetime.timedelta(hours=24)
"""How far the clocks of hosts may be behind."""


@dataclasses.dataclass(frozen=True)
class Authority:
    """The CA of one deployment, as PEM texts; `key` is a secret of its managers."""

    deployment: str
    certificate: bytes
    key: bytes = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """The DNS name in every certificate of the deployment."""
        return f"{self.deployment}.weaver"

    def certificates(self, host: str, *, always: bool) -> Certificates:
        """What the processes of a host show; `always` wants TLS on Unix sockets, too."""
        own = self.issue(host, always=always)
        return Certificates(own.name, own.ca, own.certificate, own.key, always=always)

    def issue(self, replica: str, *, always: bool = False) -> Identity:
        """The identity of one process. `always` wants TLS on Unix sockets, too."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        ca = x509.load_pem_x509_certificate(self.certificate)
        ca_key = serialization.load_pem_private_key(self.key, None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        usages = x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        signed = (
            _builder(replica, ca.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(self.name)]), critical=False)
            .add_extension(usages, critical=False)
            .add_extension(_signed_by(ca_key), critical=False)
            .sign(ca_key, _hash())
        )
        return Identity(
            name=self.name,
            ca=self.certificate,
            certificate=_pem(signed),
            key=_private(key),
            always=always,
        )


def create_authority(deployment: str) -> Authority:
    """A new CA. Raises UsageError where `cryptography` is not installed."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise UsageError(
            "certificates cannot be made: `cryptography` is not installed",
            why="connections between hosts are encrypted, and each deployment has its own CA",
            fix="pip install cryptography, where the command line runs",
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject(f"weaver deployment {deployment}")
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    signed = (
        _builder(f"weaver deployment {deployment}", name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, _hash())
    )
    return Authority(deployment, _pem(signed), _private(key))


def _builder(
    subject: str, issuer: "x509.Name", key: "ec.EllipticCurvePrivateKey"
) -> "x509.CertificateBuilder":
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LASTS)
    )


def _subject(name: str) -> "x509.Name":
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])


def _signed_by(key: "ec.EllipticCurvePrivateKey") -> Any:
    from cryptography import x509

    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


@functools.cache
def _hash() -> Any:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def _pem(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: "ec.EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
