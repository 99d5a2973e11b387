"""Facts about the lab's certificate authority and the certificate of its Git server. Private keys
stay in their files and in pipes."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.places import GIT_SERVER_USER
from sopslab.config.settings import Settings
from sopslab.provision.command import script

# A certificate that ends within this time is renewed.
SOON = 30 * 24 * 3600

_STATE = """
ca=$1 server=$2 soon=$3 group=$4
shift 4
command -v openssl >/dev/null || exit 0
# No configuration and no authorities but the lab's own have a say.
export OPENSSL_CONF=/dev/null SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null LC_ALL=C
me=$(id -u)
[ "$me" -eq 0 ] || group=$(id -g)
public() { openssl pkey -in "$1" -passin pass: -pubout 2>/dev/null || echo none; }
certified() { openssl x509 -in "$1" -noout -pubkey 2>/dev/null; }
fingerprint() {
    openssl x509 -in "$1" -noout -fingerprint -sha256 2>/dev/null | sed 's/.*=//' | grep .
}
there() { [ -e "$1" ] || [ -L "$1" ]; }
authority() {
    if ! there "$ca/ca.key" && ! there "$ca/ca.crt"; then
        ! there "$server" || echo "problem the key and the certificate are gone"
        return 0
    fi
    for file in ca.key ca.crt; do
        there "$ca/$file" || { echo "problem $file is gone"; return 0; }
        [ ! -L "$ca/$file" ] || { echo "problem $file is a symbolic link"; return 0; }
        [ -f "$ca/$file" ] || { echo "problem $file is not a file"; return 0; }
    done
    case $(stat -c '%u %a' "$ca/ca.key") in
    "$me 600" | "$me 400") ;;
    "$me "*) echo "problem others may read ca.key: chmod 600 $ca/ca.key"; return 0 ;;
    *) echo "problem ca.key is not yours: chown $(id -un) $ca/ca.key"; return 0 ;;
    esac
    found=$(fingerprint "$ca/ca.crt") || { echo "problem ca.crt holds no certificate"; return 0; }
    if [ "$(public "$ca/ca.key")" != "$(certified "$ca/ca.crt")" ]; then
        echo "problem ca.key does not hold the key of ca.crt"
    elif ! openssl x509 -in "$ca/ca.crt" -noout -checkend 0 >/dev/null; then
        echo "problem ca.crt has expired"
    else
        echo "authority $found"
    fi
}
certificate() {
    there "$server" || return 0
    # The server, where it has run, reads it by its group.
    case $(stat -c '%F %u %a %g' "$server") in
    "regular file $me 600 "* | "regular file $me 640 $group") ;;
    *) echo "stale others could read its key"; return 0 ;;
    esac
    found=$(fingerprint "$server") || { echo "stale it cannot be read"; return 0; }
    names=$(openssl x509 -in "$server" -noout -ext subjectAltName | sed '1d;s/^ *//')
    wanted=$(printf ', %s' "$@")
    if [ "$(public "$server")" != "$(certified "$server")" ]; then
        echo "stale its key does not fit"
    elif [ "$names" != "${wanted#, }" ]; then
        echo "stale it is for $names"
    elif ! openssl x509 -in "$server" -noout -checkend "$soon" >/dev/null; then
        echo "stale it ends in less than $((soon / 86400)) days"
    elif ! openssl verify -CAfile "$ca/ca.crt" -purpose sslserver "$server" >/dev/null 2>&1; then
        echo "stale it is not of this authority"
    else
        echo "certificate $found"
    fi
}
authority
certificate "$@"
"""


@dataclass(frozen=True)
class TlsState:
    """How the lab's TLS stands.

    `authority` is the SHA-256 fingerprint of the authority's certificate, None if there is none;
    `problem` says why it cannot be used. `certificate` is the fingerprint of the server's, None if
    one has to be made; `stale` says why, where there is one already.
    """

    authority: str | None = None
    problem: str | None = None
    certificate: str | None = None
    stale: str | None = None


class Tls(FactBase[TlsState]):
    """
    Returns how the lab's authority and the certificate of its Git server stand, as a `TlsState`.
    """

    default = TlsState

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script(
            _STATE,
            settings.tls_dir,
            server_file(settings),
            str(SOON),
            str(GIT_SERVER_USER),
            # As OpenSSL writes them out.
            *(
                f"{'IP Address' if kind == 'IP' else kind}:{name}"
                for kind, name in settings.git_server_names
            ),
        )

    @override
    def process(self, output: list[str]) -> TlsState:
        values = dict(line.split(" ", 1) for line in output if " " in line)
        return TlsState(
            authority=values.get("authority"),
            problem=values.get("problem"),
            certificate=values.get("certificate"),
            stale=values.get("stale"),
        )


def server_file(settings: Settings) -> str:
    """Return the file with the Git server's key and certificate."""
    return f"{settings.git_dir}/tls/server.pem"
