"""The lab's CA, and the certificate of its Git server. A private key never leaves its file."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from sopslab.config.naming import git_server_name, git_service_name
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import meaning_of
from sopslab.lab.observe.certificates import server_file
from sopslab.lab.tools import files
from sopslab.lab.tools.x509 import certificate_in, key_in, key_pem, name, new_key

# Ten years: everyone who trusts the CA has a copy of its certificate, so it is not renewed.
_CA_DAYS = 3650
# Clients do not accept a server's certificate that is valid for much longer than this.
_SERVER_DAYS = 397
_EVERY_ADDRESS = ipaddress.ip_network("0.0.0.0/0")


def make_ca(lab: Lab) -> None:
    """Make the lab's CA. An existing CA is never overwritten. Raises LabError."""
    key, folder = new_key(), Path(lab.tls_dir)
    try:
        files.private_folder(folder.parent)
        with files.new_folder(folder) as new:
            # Key and certificate appear together, by a rename that fails if the folder already
            # holds anything.
            made = new / "tls"
            made.mkdir()
            made.chmod(0o755)
            files.write(made / "ca.key", key_pem(key))
            files.write(made / "ca.crt", _ca(lab, key), 0o644)
            made.rename(folder)
    except OSError as error:
        raise LabError(f"the CA could not be made: {meaning_of(error)}") from error


def _ca(lab: Lab, key: EllipticCurvePrivateKey) -> bytes:
    """Return the certificate of the CA.

    It limits what the CA may sign for to this lab's Git server: by the server's own names, on a
    machine and in a cluster, and by any IPv4 address, because the machine's address may change.
    What the CA signs for any other name is worth nothing.
    """
    subject = name(f"sops-lab {lab.lab}")
    its_own = ("localhost", git_server_name(lab.lab), git_service_name(lab.lab))
    reached = (text for kind, text in lab.git_server_names if kind == "DNS")
    permitted: list[x509.GeneralName] = [
        *map(x509.DNSName, dict.fromkeys((*its_own, *reached))),
        x509.IPAddress(_EVERY_ADDRESS),
    ]
    builder = (
        _certificate(subject, key, _CA_DAYS)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
    )
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def certify_server(lab: Lab) -> None:
    """Write a new key for the Git server and its certificate, signed by the lab's CA, to one file.
    Raises LabError."""
    key, path = new_key(), Path(server_file(lab))
    try:
        files.private_folder(path.parent)
        with files.new_folder(path) as new:
            made = new / path.name
            files.write(made, key_pem(key) + _server(lab, key))
            made.rename(path)
    except OSError as error:
        raise LabError(
            f"the Git server's certificate could not be made: {meaning_of(error)}"
        ) from error


def _server(lab: Lab, key: EllipticCurvePrivateKey) -> bytes:
    """Return the server's certificate. Raises OSError, and LabError if the CA is damaged."""
    ca = certificate_in(Path(lab.tls_dir, "ca.crt").read_bytes())
    signing = key_in(Path(lab.tls_dir, "ca.key").read_bytes())
    if ca is None or signing is None:
        raise LabError("the Git server's certificate could not be made: the CA cannot be read")
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    names: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(text)) if kind == "IP" else x509.DNSName(text)
        for kind, text in lab.git_server_names
    ]
    builder = (
        _certificate(name(git_server_name(lab.lab)), key, _SERVER_DAYS)
        .issuer_name(ca.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return builder.sign(signing, SHA256()).public_bytes(Encoding.PEM)


def _certificate(
    subject: x509.Name, key: EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*uses: str) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{use: use in uses for use in every})
