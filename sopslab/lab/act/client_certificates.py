"""Learners' certificates, where the cluster's controller manager signs them. A seat's failure is
recorded, and the other seats go on."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from sopslab.checks import causes
from sopslab.checks.access import LEARNERS
from sopslab.checks.kubeconfigs import by_certificate, kubeconfig
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import fail_first, meaning_of
from sopslab.lab.observe.client_certificates import PRIVATE
from sopslab.lab.observe.ownership import owner_labels
from sopslab.lab.tools import files, x509
from sopslab.lab.tools.kubectl import Kubectl, parsed
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.waiting import Deadline
from sopslab.layout import REQUEST_LABEL, SEAT_LABEL
from sopslab.model.access import CERTIFICATE
from sopslab.model.objects import Object

_DAYS = 30
_MARK = "sops-lab/request"
_REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
# kubectl limits itself to ten requests at once and to five a second from then on, and each approval
# takes two requests: one process would need 40 s for a hundred approvals.
_TOGETHER, _PROCESSES = 5, 4
# The seat and the user in the certificate that tests the cluster; no learner's user has this form.
_PROBE, _NO_LEARNER = "probe", "sops-lab:probe"


def issue(lab: Lab, users: Mapping[str, str], within: int) -> dict[str, dict[str, bytes]]:
    """Return, for each seat, the files of a certificate that the cluster has signed.

    Raises LabError where the cluster accepts no request at all, or does not show them.

    + users: the user that each seat's certificate is to name
    + within: how many seconds the cluster has to sign
    """
    keys = {seat: key for seat in users if (key := _new_key(lab, seat)) is not None}
    if not keys:
        return {}
    requests, against = _requested(lab, users, keys, within)
    made = {}
    for seat, key in keys.items():
        certificate = _certificate(requests.get(seat))
        if certificate is None:
            fail_first(lab, seat, why_unsigned(requests.get(seat), against[seat], within))
        else:
            made[seat] = {PRIVATE: x509.key_pem(key), CERTIFICATE: certificate}
    return made


def works(lab: Lab, within: int) -> bool:
    """Whether the cluster signs a certificate within `within` seconds and accepts it as a login.
    The certificate names a user that has no rights."""
    key = x509.new_key()
    try:
        requests, _ = _requested(lab, {_PROBE: _NO_LEARNER}, {_PROBE: key}, within)
    except LabError:
        return False
    certificate = _certificate(requests.get(_PROBE))
    return certificate is not None and _is_taken(lab, certificate, key)


def _is_taken(lab: Lab, certificate: bytes, key: EllipticCurvePrivateKey) -> bool:
    cluster = Kubectl(lab).cluster()
    text = kubeconfig(lab.lab, cluster, _PROBE, by_certificate(certificate, x509.key_pem(key)))
    with files.new_folder(lab.issuer_file) as folder:
        files.write(folder / "kubeconfig", text)
        bearer = Kubectl(lab, kubeconfig=folder / "kubeconfig", context=_PROBE)
        try:
            said = bearer.run(
                "--request-timeout", "10s", "auth", "whoami", "--output", "json", patience=20
            )
        except Failed:
            return False
    taken_for: object = parsed(said)["status"]["userInfo"]["username"]
    return taken_for == _NO_LEARNER


def _requested(
    lab: Lab, users: Mapping[str, str], keys: Mapping[str, EllipticCurvePrivateKey], within: int
) -> tuple[dict[str, Object], dict[str, list[str]]]:
    """Return the requests with the cluster's decisions, and what kubectl said against each, both by
    seat.

    Raises LabError where the cluster accepts no request at all, or does not show them.
    """
    mark, ours = str(time.time_ns()), owner_labels(lab, REQUEST_LABEL)
    kubectl = Kubectl(lab)
    words = _submitted(
        kubectl,
        [_request({**ours, _MARK: mark}, seat, users[seat], key) for seat, key in keys.items()],
    )
    requests = _signed(kubectl, mark, within)
    # Requests of a killed run are deleted, too; the cluster would keep them for hours.
    selector = quote(",".join(f"{key}={value}" for key, value in ours.items()), safe="")
    kubectl.succeeds(
        "--request-timeout", "20s", "delete", "--raw", f"{_REQUESTS}?labelSelector={selector}"
    )
    against = {seat: [line for line in words if _name(users[seat], mark) in line] for seat in keys}
    return requests, against


def _new_key(lab: Lab, seat: str) -> EllipticCurvePrivateKey | None:
    try:
        files.private_folder(lab.seat_dir(seat))
    except OSError as error:
        fail_first(lab, seat, f"its key could not be made: {meaning_of(error)}")
        return None
    return x509.new_key()


def _name(user: str, mark: str) -> str:
    return f"{user.replace(':', '-')}-{mark}"


def _request(
    labels: Mapping[str, str], seat: str, user: str, key: EllipticCurvePrivateKey
) -> Object:
    wanted = x509.request(key, x509.name(user, LEARNERS))
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {
            "name": _name(user, labels[_MARK]),
            "labels": {**labels, SEAT_LABEL: seat},
        },
        "spec": {
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
            "expirationSeconds": _DAYS * 24 * 3600,
            "request": base64.b64encode(wanted).decode(),
        },
    }


def _submitted(kubectl: Kubectl, requests: Iterable[Object]) -> list[str]:
    """Create requests and approve them; return what kubectl said against any of them.

    The first are approved while others are still being created. Raises LabError if the cluster
    accepts none.
    """
    created: list[str] = []
    words: list[str] = []
    with ThreadPoolExecutor(_PROCESSES) as processes:
        approvals = []
        try:
            for name in kubectl.create(requests):
                created.append(name)
                if len(created) % _TOGETHER == 0:
                    approvals.append(processes.submit(_approve, kubectl, created[-_TOGETHER:]))
        except Failed as failure:
            words += failure.lines
        rest = len(created) % _TOGETHER
        if rest:
            approvals.append(processes.submit(_approve, kubectl, created[-rest:]))
    if not created:
        raise LabError(
            f"the cluster took none of the requests for certificates: {causes.refused(words)}"
        )
    return [*words, *(line for approval in approvals for line in approval.result())]


def _approve(kubectl: Kubectl, names: list[str]) -> list[str]:
    try:
        kubectl.run("certificate", "approve", *names)
    except Failed as failure:
        return failure.lines
    return []


def _signed(kubectl: Kubectl, mark: str, within: int) -> dict[str, Object]:
    """Return the requests with a mark, by seat, once all of them are decided or the time is over.

    Raises LabError if the cluster does not show them.
    """
    deadline = Deadline(within)
    while True:
        found, said = _look(kubectl, mark)
        if found is not None and all(map(_is_decided, found)):
            break
        if deadline.is_over:
            break
        time.sleep(0.2)
    if found is None:
        raise LabError(
            f"the cluster did not show the certificates within {within} s: {causes.refused(said)}"
        )
    return {request["metadata"]["labels"][SEAT_LABEL]: request for request in found}


def _look(kubectl: Kubectl, mark: str) -> tuple[list[Object] | None, list[str]]:
    try:
        said = kubectl.run(
            "--request-timeout", "20s", "get", "certificatesigningrequests",
            "--selector", f"{_MARK}={mark}", "--output", "json",
        )  # fmt: skip
    except Failed as failure:
        return None, failure.lines
    return list(parsed(said)["items"]), []


def _status(request: Object) -> Mapping[str, Any]:
    return request.get("status") or {}


def _refusal(request: Object) -> str | None:
    """Return why a request will never be signed, None if nothing is known against it."""
    kinds = (condition["type"] for condition in _status(request).get("conditions") or ())
    return next((kind for kind in kinds if kind in {"Failed", "Denied"}), None)


def _is_decided(request: Object) -> bool:
    return bool(_status(request).get("certificate") or _refusal(request))


def _certificate(request: Object | None) -> bytes | None:
    """Return the certificate that was signed for a request, in PEM; None without one."""
    text = base64.b64decode(_status(request or {}).get("certificate") or "")
    return b"".join(b"%s\n" % line for line in text.split(b"\n") if line) or None


def why_unsigned(request: Object | None, against: Sequence[str], within: int) -> str:
    """Return in a sentence why a seat has no certificate.

    + request: as the cluster has it, None where it has none
    + against: what kubectl has said against it
    + within: how many seconds the cluster had
    """
    detail = f" ({causes.refused(against)})" if against else ""
    if request is None:
        return f"the cluster did not take its request for a certificate{detail}"
    refusal = _refusal(request)
    if refusal is not None:
        return f"its certificate was not signed: {refusal}{detail}"
    return (
        f"its certificate was not signed within {within} s: kube-controller-manager does that once"
        f" the request is approved{detail}"
    )
