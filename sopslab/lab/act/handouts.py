"""Put in place what the lab's own Git server hands out to learners, and take it away again."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.act import served
from sopslab.lab.act.failures import fail_first, meaning_of, told
from sopslab.lab.observe.handouts import CA, ca_certificate, handed_out
from sopslab.lab.tools.programs import Failed


def hand_out(lab: Lab, pages: dict[str, str]) -> None:
    """Hand out the CA to everybody, and to each learner their own page and a copy of the kubeconfig
    in the seat's folder. Record a failure for each seat where that fails. Raises LabError where the
    server is in the cluster and does not answer.

    + pages: the page of each seat
    """
    certificate = ca_certificate(lab)
    contents = {} if certificate is None else {CA: certificate.decode()}
    for seat, page in pages.items():
        try:
            kubeconfig = Path(lab.seat_dir(seat), "kubeconfig").read_text(encoding="utf-8")
        except OSError as error:
            _fail(lab, seat, meaning_of(error))
            continue
        contents |= {f"{seat}/page.html": page, f"{seat}/kubeconfig": kubeconfig}
    for path, said in served.serve(lab, contents).items():
        seat, inside, _ = path.partition("/")
        if inside:
            _fail(lab, seat, told(Failed("", f"{said}\n".encode())))


def _fail(lab: Lab, seat: str, meaning: str) -> None:
    fail_first(lab, seat, f"its hand-outs could not be written: {meaning}")


def withdraw(lab: Lab) -> None:
    """Stop handing out anything. Raises LabError as `hand_out` does."""
    served.withdraw(lab, handed_out(lab))
