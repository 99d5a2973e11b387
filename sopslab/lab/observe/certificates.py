"""The lab's CA and the certificate of its Git server. No private key is returned."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.x509 import (
    Certificate,
    DNSName,
    ExtensionNotFound,
    GeneralName,
    IPAddress,
    NameConstraints,
    SubjectAlternativeName,
)

from sopslab.checks.certificates import ServerCertificate, fault_of
from sopslab.config.places import GIT_SERVER_USER, Lab, Places
from sopslab.lab.tools import files, x509
from sopslab.lab.tools.private import flaw_of
from sopslab.model.certificates import TlsState


def server_file(places: Places) -> str:
    """Return the file with the Git server's key and certificate."""
    return f"{places.git_dir}/tls/server.pem"


def tls_state(lab: Lab) -> TlsState:
    """Return the state of the lab's CA and of its Git server's certificate."""
    now = datetime.now(UTC)
    ca = x509.certificate_in(files.read(f"{lab.tls_dir}/ca.crt") or b"")
    problem = _problem(lab, ca, now)
    certificate, stale = _server(lab, ca, now)
    usable = None if problem is not None or ca is None else x509.fingerprint(ca)
    return TlsState(usable, problem, certificate, stale, _foreign(lab, ca))


def _problem(lab: Lab, ca: Certificate | None, now: datetime) -> str | None:
    """Return why the CA cannot be used, None if it can be used or was never made."""
    key, certificate = Path(lab.tls_dir, "ca.key"), Path(lab.tls_dir, "ca.crt")
    if not os.path.lexists(key) and not os.path.lexists(certificate):
        was_made = os.path.lexists(server_file(lab))
        return "the key and the certificate are gone" if was_made else None
    for path in (key, certificate):
        if not os.path.lexists(path):
            return f"{path.name} is gone"
    if (flaw := flaw_of(key)) is not None:
        return flaw.of(key.name)
    if certificate.is_symlink() or not certificate.is_file():
        return f"{certificate.name} is a symbolic link, or not a file"
    if ca is None:
        return "ca.crt holds no certificate"
    if not x509.fits(files.read(key) or b"", ca):
        return "ca.key does not hold the key of ca.crt"
    return "ca.crt has expired" if ca.not_valid_after_utc <= now else None


def _server(lab: Lab, ca: Certificate | None, now: datetime) -> tuple[str | None, str | None]:
    """Return the fingerprint of the server's certificate and None, or None and the reason why the
    certificate has to be made anew. Both are None if there is no certificate."""
    path = Path(server_file(lab))
    if not os.path.lexists(path):
        return None, None
    content = files.read(path) or b""
    certificate = x509.certificate_in(content)
    seen = None
    if certificate is not None:
        seen = ServerCertificate(
            _names(certificate),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            x509.fits(content, certificate),
            ca is not None and _is_signed(certificate, ca),
        )
    wanted = tuple(
        f"{'IP Address' if kind == 'IP' else kind}:{name}" for kind, name in lab.git_server_names
    )
    stale = fault_of(seen, is_open=_is_open(path), names=wanted, now=now)
    if stale is not None or certificate is None:
        return None, stale
    return x509.fingerprint(certificate), None


def _is_open(path: Path) -> bool:
    """Return whether anybody can read a file except this account and the server. The server reads
    it by its group, which owns the file once the server has run."""
    found = path.lstat()
    mode = stat.S_IMODE(found.st_mode)
    group = os.getgid() if os.getuid() else GIT_SERVER_USER
    private = mode == 0o600 or (mode == 0o640 and found.st_gid == group)
    return not (stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and private)


def _names(certificate: Certificate) -> tuple[str, ...]:
    """Return the names that a certificate is for, written as OpenSSL writes them."""
    try:
        found = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    except ExtensionNotFound:
        return ()
    return tuple(map(_written, found.value))


def _written(name: GeneralName) -> str:
    kinds = {DNSName: "DNS", IPAddress: "IP Address"}
    return f"{kinds.get(type(name), type(name).__name__)}:{name.value}"


def _is_signed(certificate: Certificate, ca: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _foreign(lab: Lab, ca: Certificate | None) -> tuple[str, ...]:
    """Return the names of the Git server that the CA may not sign for. Clients would reject a
    certificate for them."""
    if ca is None:
        return ()
    try:
        constraints = ca.extensions.get_extension_for_class(NameConstraints).value
    except ExtensionNotFound:
        return ()
    permitted = constraints.permitted_subtrees or []
    return tuple(name for kind, name in lab.git_server_names if not _permits(permitted, kind, name))


def _permits(permitted: list[GeneralName], kind: str, name: str) -> bool:
    if kind == "DNS":
        domains = [one.value for one in permitted if isinstance(one, DNSName)]
        return any(f".{name}".endswith(f".{domain}") for domain in domains)
    # The name constraints of the CA hold addresses as networks.
    networks = [ip_network(str(one.value)) for one in permitted if isinstance(one, IPAddress)]
    return any(ip_address(name) in network for network in networks)
