"""Certificates for users, made for a test, and what a server shows."""

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def write(folder: Path, name: str, *, password: bytes = b"") -> tuple[Path, Path]:
    """`cert.pem` and `key.pem` of a certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    protection: Any = serialization.NoEncryption()
    if password:
        protection = serialization.BestAvailableEncryption(password)
    chain, private = folder / "cert.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    )
    return chain, private


def trusting() -> ssl.SSLContext:
    """The context of a client that takes any certificate: which one it was is asked later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shown(port: int) -> str:
    """The name in the certificate that a server of this host shows; blocks."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as sock,
        trusting().wrap_socket(sock) as tls,
    ):
        return name_in(tls.getpeercert(binary_form=True))


def name_in(der: bytes | None) -> str:
    """The common name of a certificate."""
    assert der is not None
    found = x509.load_der_x509_certificate(der).subject
    return str(found.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
