"""What is on a card, in words and commands; how it looks is not decided here."""

from __future__ import annotations

import binascii
import hashlib
import ssl
from dataclasses import dataclass, field

from sopslab.config.environment import at_seat
from sopslab.config.settings import Seat, Settings

_BEGIN = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class Access:
    """How a learner logs in to the Git server."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Step:
    """Something that the learner does: why, and the commands."""

    title: str
    text: str
    commands: tuple[str, ...]


_INSTALL = Step(
    "Install git, sops and kubectl",
    "Linux: from your distribution, or their projects' release pages. macOS: brew install git sops"
    " kubernetes-cli. Windows: wsl --install, and work inside it. Three versions must appear:",
    ("git --version && sops --version && kubectl version --client",),
)


@dataclass(frozen=True)
class Card:
    """What one learner is handed out.

    `ca` is the SHA-256 fingerprint of the CA that the Git server's
    certificate comes from, or None where the server has none of the class's own.
    """

    lab: str
    seat: str
    name: str
    group: str | None
    namespace: str
    clone_url: str
    access: Access
    ca: str | None

    @property
    def kubeconfig(self) -> str:
        """Where the learner keeps the kubeconfig."""
        return f"~/.kube/sops-lab-{self.seat}"

    def steps(self) -> tuple[Step, ...]:
        """Return what to do, in order."""
        return (_INSTALL, *self._trust(), self._clone(), self._connect(), self._start_over())

    def _trust(self) -> tuple[Step, ...]:
        if self.ca is None:
            return ()
        return (
            Step(
                "Trust the Git server",
                "The file ca.crt came with this card. Put it where you want to work, and go there:"
                " the command must print the fingerprint above. If it prints another one, stop and"
                " ask. Git will need the file there from now on.",
                ("openssl x509 -in ca.crt -noout -fingerprint -sha256",),
            ),
        )

    def _clone(self) -> Step:
        trusting = "" if self.ca is None else '-c http.sslCAInfo="$PWD/ca.crt" '
        return Step(
            "Begin",
            "Git asks for the login and the password above. lab.md leads through the lab.",
            (f"git clone {trusting}{self.clone_url}", "cd lab", "less lab.md"),
        )

    def _connect(self) -> Step:
        return Step(
            "Look into the cluster",
            "The file kubeconfig came with this card, and whoever has it can act as you. From where"
            " it is, copy it to a place that only you can read; the export is for every new shell.",
            (
                "mkdir -p ~/.kube",
                f"install -m 600 kubeconfig {self.kubeconfig}",
                f"export KUBECONFIG={self.kubeconfig}",
                f"kubectl -n {self.namespace} get secret",
            ),
        )

    def _start_over(self) -> Step:
        return Step(
            "Start over, whenever you like",
            "The first command puts your repository on the server back to day one and keeps your"
            " commits there on a branch saved/…; the second one does the same to your copy, and"
            " drops what you have not committed.",
            (
                "git push origin HEAD:reset",
                "git fetch && git reset --hard origin/main",
            ),
        )


def card_of(settings: Settings, seat: Seat, access: Access, ca: str | None) -> Card:
    """Return the card of a seat.

    + access: the login that was made for the seat
    + ca: the fingerprint of the class's CA, if there is one
    """
    environment = at_seat(seat)
    return Card(
        settings.lab,
        seat.id,
        seat.name,
        seat.group,
        environment.namespace,
        f"{settings.git_base_url}/{environment.repository}.git",
        access,
        ca,
    )


def fingerprint(certificate: str) -> str:
    """Return the SHA-256 fingerprint of a certificate in PEM, as OpenSSL prints it.

    Raises ValueError where the text is not exactly one certificate.
    """
    if certificate.count(_BEGIN) != 1:
        raise ValueError("exactly one certificate in PEM is needed")
    try:
        data = ssl.PEM_cert_to_DER_cert(certificate[certificate.index(_BEGIN) :].strip())
    except binascii.Error:
        raise ValueError("the certificate is damaged") from None
    return hashlib.sha256(data).digest().hex(":").upper()
