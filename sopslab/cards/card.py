"""The text and the commands on a card; templates decide how a card looks."""

from __future__ import annotations

import binascii
import hashlib
import ssl
from dataclasses import dataclass, field

from sopslab.config.environment import at_seat
from sopslab.config.settings import Seat, Settings
from sopslab.model.passwords import essence

_BEGIN = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class Access:
    """How a learner logs in to the Git server."""

    username: str
    password: str = field(repr=False)

    @property
    def forgiving(self) -> bool:
        """Whether case, hyphens and blanks in the password do not matter.

        They do matter in the passwords of older labs.
        """
        typed = self.password.encode()
        return essence(typed) != typed


@dataclass(frozen=True)
class Step:
    """Something that the learner does: why, and the commands."""

    title: str
    text: str
    commands: tuple[str, ...]


# Mode 700: nobody else can read the files that are put there later.
_FOLDER = "mkdir -m 700 sops-lab && cd sops-lab"
_LATER = (
    Step(
        "When you are stuck",
        "A hint for the step where you are; or your instructor, who sees that you ask, until you"
        " push there once more:",
        ("git push origin HEAD:hint", "git push origin HEAD:help"),
    ),
    Step(
        "Start over, whenever you like",
        "The first line puts your repository on the server back to day one, and keeps your commits"
        " there on a branch saved/…; the second does the same to your copy, and drops what you have"
        " not committed.",
        ("git push origin HEAD:reset", "git fetch && git reset --hard origin/main"),
    ),
)


@dataclass(frozen=True)
class Card:
    """What one learner is told: on paper with a login, or on screen after they have logged in.

    `ends` says when the access ends; None if it does not end. `good_until` says when the kubeconfig
    that is handed out now expires; None if this is not known. `ca` is the SHA-256 fingerprint of
    the CA that issued the Git server's certificate; None if the class has no CA of its own.
    """

    lab: str
    seat: str
    name: str
    group: str | None
    ends: str | None
    namespace: str
    server: str
    clone_url: str
    access: Access | None
    ca: str | None
    good_until: str | None

    @property
    def fingerprint(self) -> tuple[str, str] | None:
        """The CA's fingerprint, split into two lines."""
        if self.ca is None:
            return None
        middle = len(self.ca) // 2 + 1
        return self.ca[:middle], self.ca[middle:]

    @property
    def page(self) -> str:
        """The address of the learner's own page."""
        return f"{self.server}/~/"

    def steps(self) -> tuple[Step, ...]:
        """Return what to do, in order."""
        return (self._install(), *self._trust(), self._connect(), self._clone(), *_LATER)

    def _install(self) -> Step:
        needed = ("git", "curl", *(("openssl",) if self.ca else ()), "sops", "kubectl")
        return Step(
            f"Install {', '.join(needed[:-1])} and {needed[-1]}",
            "Linux: from your distribution, or their projects' release pages. macOS: brew install"
            " git sops kubernetes-cli. Windows: wsl --install, and work inside it. Each has"
            " to be found:",
            (f"type {' '.join(needed)}",),
        )

    def _trust(self) -> tuple[Step, ...]:
        if self.ca is None:
            return ()
        return (
            Step(
                "Make sure that it is the lab's server",
                "In a new folder, get the certificate that it is known by. The last line must print"
                " the fingerprint of the CA on your card; if it prints another one, stop and ask.",
                (
                    _FOLDER,
                    f"curl -fsSkO {self.page}ca.crt",
                    "openssl x509 -in ca.crt -noout -fingerprint -sha256",
                ),
            ),
        )

    def _connect(self) -> Step:
        trusting = "" if self.ca is None else "--cacert ca.crt "
        fetching = f"curl -fsSO {trusting}-u {self.seat} {self.page}kubeconfig"
        end = self.good_until
        until = "" if end is None else f" and is good until {end}; then fetch it again"
        return Step(
            "Look into the cluster",
            "curl asks for the password on your card. Whoever has the file kubeconfig can act as"
            f" you: it stays in this folder{until}. Repeat the export in every new shell.",
            (
                *((_FOLDER,) if self.ca is None else ()),
                fetching,
                'export KUBECONFIG="$PWD/kubeconfig"',
                f"kubectl -n {self.namespace} get secret",
            ),
        )

    def _clone(self) -> Step:
        trusting = "" if self.ca is None else '-c http.sslCAInfo="$PWD/ca.crt" '
        return Step(
            "Begin",
            "In the same folder. Git asks for the same login and password; lab.md leads through the"
            " lab.",
            (f"git clone {trusting}{self.clone_url}", "cd lab && less lab.md"),
        )


def card_of(
    settings: Settings, seat: Seat, access: Access | None, ca: str | None, good_until: str | None
) -> Card:
    """Return the card of a seat.

    + access: the login that was made for the seat; None on a page for a learner who has logged in
    + ca: the fingerprint of the class's CA, if there is one
    + good_until: when the seat's kubeconfig expires, as people read it; None if this is not known
    """
    environment = at_seat(seat)
    return Card(
        settings.lab,
        seat.id,
        seat.name,
        seat.group,
        seat.until,
        environment.namespace,
        settings.git_base_url,
        f"{settings.git_base_url}/{environment.repository}.git",
        access,
        ca,
        good_until,
    )


def fingerprint(certificate: str) -> str:
    """Return the SHA-256 fingerprint of a certificate in PEM, as OpenSSL prints it.

    Raises ValueError if the text is not exactly one certificate.
    """
    if certificate.count(_BEGIN) != 1:
        raise ValueError("exactly one certificate in PEM is needed")
    try:
        data = ssl.PEM_cert_to_DER_cert(certificate[certificate.index(_BEGIN) :].strip())
    except binascii.Error:
        raise ValueError("the certificate is damaged") from None
    return hashlib.sha256(data).digest().hex(":").upper()
