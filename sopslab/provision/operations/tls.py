"""Operations on certificates. A private key never leaves its file but through a pipe."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.causes import TELLING
from sopslab.config.naming import git_server_name
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.provision.command import Commands, refusal, script
from sopslab.provision.facts.tls import Tls, server_file

# Ten years; whoever trusts it has a copy, so it is not renewed.
_AUTHORITY_DAYS = "3650"
# No client accepts a server's certificate for longer than about this.
_SERVER_DAYS = "397"

# Key and certificate appear together, by a rename that fails where there is anything already.
_MAKE_AUTHORITY = (
    TELLING
    + """
folder=$1 days=$2
umask 077
export OPENSSL_CONF=/dev/null
mkdir -p "$(dirname "$folder")"
new=$(mktemp -d "$(dirname "$folder")/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
cat >"$new/config"
mkdir -m 755 "$new/tls"
{
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$new/tls/ca.key" \\
        && openssl req -new -x509 -config "$new/config" -key "$new/tls/ca.key" -sha256 \\
            -days "$days" -out "$new/tls/ca.crt"
} 2>"$new/said" || {
    say "the certificate authority could not be made: $(told "$new/said")"
    exit 1
}
chmod 644 "$new/tls/ca.crt"
mv -T "$new/tls" "$folder"
"""
)

# The whole of what it may sign: this lab's Git server, by its own names and by any IPv4 address,
# for the machine's may change. Nothing of it is worth anything for a name of somebody else's.
_AUTHORITY = """
[req]
distinguished_name = subject
x509_extensions = extensions
prompt = no
[subject]
CN = sops-lab {lab}
[extensions]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
nameConstraints = critical, permitted;DNS:localhost, permitted;DNS:{server}, \
permitted;IP:0.0.0.0/0.0.0.0
"""

_MAKE_CERTIFICATE = (
    TELLING
    + """
ca=$1 file=$2 days=$3
umask 077
export OPENSSL_CONF=/dev/null
folder=$(dirname "$file")
mkdir -p "$folder"
new=$(mktemp -d "$folder/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
cat >"$new/config"
{
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$new/key" \\
        && openssl req -new -config "$new/config" -key "$new/key" -out "$new/request" \\
        && openssl x509 -req -in "$new/request" -CA "$ca/ca.crt" -CAkey "$ca/ca.key" -sha256 \\
            -set_serial "0x$(openssl rand -hex 16)" -days "$days" -extfile "$new/config" \\
            -extensions extensions -out "$new/certificate"
} 2>"$new/said" || {
    say "the Git server's certificate could not be made: $(told "$new/said")"
    exit 1
}
cat "$new/key" "$new/certificate" >"$new/server.pem"
mv -T "$new/server.pem" "$file"
"""
)

_CERTIFICATE = """
[req]
distinguished_name = subject
prompt = no
[subject]
CN = {server}
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""


@operation()
def authority(settings: Settings) -> Commands:
    """
    Have the lab's certificate authority: made once, never overwritten, never made anew silently.

    + settings: the lab's settings
    """
    state = host.get_fact(Tls, settings=settings)
    if state.problem is not None:
        yield refusal(
            f"the certificate authority in {settings.tls_dir} cannot be used: {state.problem}."
            " Restore it from your backup. A new one is trusted by no learner until they have its"
            f" ca.crt; if that is meant, remove {settings.tls_dir} and {server_file(settings)}"
        )
        return
    if state.authority is not None:
        host.noop("the certificate authority is there")
        return
    server = git_server_name(settings.lab)
    yield script(
        _MAKE_AUTHORITY,
        settings.tls_dir,
        _AUTHORITY_DAYS,
        stdin=_AUTHORITY.format(lab=settings.lab, server=server),
    )


@operation()
def certificate(settings: Settings) -> Commands:
    """
    Have a certificate of the lab's authority for its Git server, renewed before it ends.

    + settings: the lab's settings
    """
    state = host.get_fact(Tls, settings=settings)
    if state.certificate is not None:
        host.noop("the Git server has its certificate")
        return
    if state.stale is not None:
        note(f"the certificate was made anew: {state.stale}")
    yield script(
        _MAKE_CERTIFICATE,
        settings.tls_dir,
        server_file(settings),
        _SERVER_DAYS,
        stdin=_CERTIFICATE.format(
            server=git_server_name(settings.lab),
            names=", ".join(f"{kind}:{name}" for kind, name in settings.git_server_names),
        ),
    )
