"""What the embedded Git server hands out to learners: put there, and taken away again."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.act.failures import fail_first, meaning_of
from sopslab.lab.observe.handouts import HANDED_OUT, ca_certificate, handed_out
from sopslab.lab.tools import files


def hand_out(lab: Lab, pages: dict[str, str]) -> None:
    """Have the CA handed out to everybody, and to each of the learners what is theirs: a page, and
    a copy of the kubeconfig that lies in the seat's folder. A seat that fails says so.

    + pages: the page of each seat
    """
    folder = Path(lab.handouts_dir)
    with files.umask(0o027):
        folder.mkdir(parents=True, exist_ok=True)
        certificate = ca_certificate(lab)
        if certificate is not None:
            files.write(folder / "ca.crt", certificate, HANDED_OUT)
        for seat, page in pages.items():
            theirs = Path(lab.handout_dir(seat))
            try:
                kubeconfig = Path(lab.seat_dir(seat), "kubeconfig").read_bytes()
                theirs.mkdir(exist_ok=True)
                files.write(theirs / "page.html", page, HANDED_OUT)
                files.write(theirs / "kubeconfig", kubeconfig, HANDED_OUT)
            except OSError as error:
                fail_first(lab, seat, f"its hand-outs could not be written: {meaning_of(error)}")


def withdraw(lab: Lab) -> None:
    """Have nothing handed out any more."""
    for name in handed_out(lab):
        files.remove(Path(lab.handouts_dir, name))
