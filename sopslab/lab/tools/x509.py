"""Keys, requests and certificates. Private keys exist in this process and in their files only."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

_DAMAGED = (ValueError, TypeError, UnsupportedAlgorithm)
# Damage inside these parts of a certificate shows only when they are read.
_PARTS = ("subject", "not_valid_before_utc", "not_valid_after_utc", "extensions")


def new_key() -> EllipticCurvePrivateKey:
    """Return a new private key, on the curve P-256."""
    return generate_private_key(SECP256R1())


def key_pem(key: EllipticCurvePrivateKey) -> bytes:
    """Return a private key as its file holds it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def name(common: str, organization: str | None = None) -> x509.Name:
    """Return a subject."""
    parts = [] if organization is None else [(NameOID.ORGANIZATION_NAME, organization)]
    parts.append((NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


def request(key: EllipticCurvePrivateKey, subject: x509.Name) -> bytes:
    """Return, in PEM, a request to sign a certificate for a key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def certificate_in(pem: bytes) -> x509.Certificate | None:
    """Return the certificate in a file, None where it holds none that can be read."""
    try:
        found = x509.load_pem_x509_certificate(pem)
        for part in _PARTS:
            getattr(found, part)
        found.public_key()
    except _DAMAGED:
        return None
    return found


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as its file holds it."""
    return certificate.public_bytes(Encoding.PEM)


def key_in(pem: bytes) -> EllipticCurvePrivateKey | None:
    """Return the private key in a file, None where it holds none of our kind."""
    try:
        found = load_pem_private_key(pem, None)
    except _DAMAGED:
        return None
    return found if isinstance(found, EllipticCurvePrivateKey) else None


def fits(pem: bytes, certificate: x509.Certificate) -> bool:
    """Whether a file holds the private key of a certificate."""
    key = key_in(pem)
    return key is not None and key.public_key() == certificate.public_key()


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 fingerprint of a certificate, as OpenSSL prints it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
