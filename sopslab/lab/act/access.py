"""Begin, replace and prove learners' access. A certificate cannot be revoked, so new access names a
new user. A seat's failure is recorded, and the other seats go on."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from sopslab.checks.access import WORDS
from sopslab.config.naming import seat_namespace
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import fail_first, has_failed, meaning_of, told
from sopslab.lab.act.served import withdraw
from sopslab.lab.observe import logins
from sopslab.lab.observe.issuers import GIVEN, issuer_of
from sopslab.lab.observe.users import bound, still_unbound
from sopslab.lab.tools import files
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.waiting import Deadline
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.objects import reference

_PAUSE = 0.3  # seconds
# Flux is asked to read this repository, which names the new users: where no hook tells Flux of a
# push, it looks only once a minute.
_PLATFORM = reference("GitRepository", FLUX_NAMESPACE, FLUX_NAMESPACE)
_REFUSED = re.compile(rb"\((Forbidden|Unauthorized)\)")


def begin_generations(lab: Lab, generations: dict[str, str]) -> None:
    """Write each seat's generation of access; record a failure for each seat where that fails."""
    for seat, generation in generations.items():
        folder = Path(lab.seat_dir(seat))
        try:
            files.private_folder(folder)
            files.write(folder / "generation", f"{generation}\n")
        except OSError as error:
            fail_first(lab, seat, f"its generation could not be written: {meaning_of(error)}")


def retire(lab: Lab, generations: dict[str, str]) -> None:
    """Give each seat a new generation of access, and keep the access that was valid until it is
    proven worthless. Raises LabError where the Git server is in the cluster and does not answer."""
    withdraw(lab, list(generations))
    for seat, generation in generations.items():
        folder, kept = Path(lab.seat_dir(seat)), Path(lab.retired_dir(seat))
        files.private_folder(folder)
        files.private_folder(kept)
        with files.new_folder(kept.parent) as new:
            for name, content in _valid(lab, seat).items():
                files.write(new / name, content)
            new.rename(kept / f"before-{generation}")
        # Written before the password is replaced: whatever happens after this, the next run gives
        # the seat another user.
        files.write(folder / "generation", f"{generation}\n")


def _valid(lab: Lab, seat: str) -> dict[str, bytes]:
    """Return the files of a seat's valid access, by name: the kubeconfig if the seat's present
    proof is in it, and the login if the Git server is the lab's own."""
    folder = Path(lab.seat_dir(seat))
    kubeconfig = files.read(folder / "kubeconfig") or b""
    proof = GIVEN[issuer_of(lab)].proof(folder).values()
    in_use = any(value and value.encode() in kubeconfig for value in proof)
    login = files.read(lab.login_file(seat)) if lab.git_url is None else None
    found = {"kubeconfig": kubeconfig if in_use else None, "git-credentials": login}
    return {name: content for name, content in found.items() if content}


def prove(lab: Lab, seats: list[str], within: int) -> None:
    """Wait until retired access opens nothing and the new access works; then remove the retired
    access.

    Raises LabError with a line for each seat where this is not true in time.

    + within: how many seconds this may take for all seats together
    """
    Kubectl(lab).ask_flux([_PLATFORM], 20)
    deadline, problems = Deadline(within), []
    for seat in seats:
        if has_failed(lab, seat):
            continue
        while (found := _unproven(lab, seat)) is not None:
            if deadline.is_over:
                problem, failure = found
                theirs = f": {told(failure)}" if failure is not None and failure.words else ""
                problems.append(f"{seat}: after {within} s {problem}{theirs}")
                break
            time.sleep(_PAUSE)
        else:
            shutil.rmtree(lab.retired_dir(seat))
    if problems:
        raise LabError("\n".join(problems))


def _unproven(lab: Lab, seat: str) -> tuple[str, Failed | None] | None:
    """Return which part of a seat's access is not as it should be, and what a program said about
    it; None if all is well."""
    repository, word = f"{seat}/lab", WORDS[issuer_of(lab)]
    for old in sorted(Path(lab.retired_dir(seat)).iterdir()):
        kubeconfig, login = old / "kubeconfig", old / "git-credentials"
        if files.has_content(kubeconfig):
            # The lab's cluster is asked, even if the old kubeconfig leads to another one.
            both = f"{kubeconfig}:{lab.lab_kubeconfig}"
            failure = _no_pods(Kubectl(lab, kubeconfig=both), seat)
            if failure is None:
                return f"the old {word} still opens {seat_namespace(seat)}", None
            if not _REFUSED.search(failure.words):
                return f"the old {word} was not refused", failure
        if files.has_content(login):
            failure = logins.refusal(lab, login, repository)
            if failure is None:
                return f"the old password still opens {repository}", None
            if not logins.is_of_login(failure):
                return "the old password was not refused", failure
    own = Kubectl(lab, kubeconfig=f"{lab.seat_dir(seat)}/kubeconfig", context=seat)
    failure = _no_pods(own, seat)
    if failure is not None:
        return f"the new {word} does not open {seat_namespace(seat)}", failure
    if lab.git_url is None:
        failure = logins.refusal(lab, lab.login_file(seat), repository)
        if failure is not None:
            return f"the new password does not open {repository}", failure
    return None


def _no_pods(kubectl: Kubectl, seat: str) -> Failed | None:
    """Return how a seat's user failed to list the pods of its namespace; None if that succeeded."""
    try:
        kubectl.run(
            "--request-timeout", "10s", "get", "pods", "--output", "name",
            "--namespace", seat_namespace(seat), "--user", seat,
            patience=20,
        )  # fmt: skip
    except Failed as failure:
        return failure
    return None


def await_bound(lab: Lab, users: dict[str, str], within: int) -> None:
    """Wait until the cluster lets only the present user of each seat into its namespace; record a
    failure for each seat where this takes too long."""
    Kubectl(lab).ask_flux([_PLATFORM], 20)
    deadline = Deadline(within)
    while users := still_unbound(users, bound(lab)):
        if deadline.is_over:
            break
        time.sleep(_PAUSE)
    for seat in users:
        fail_first(
            lab,
            seat,
            f"after {within} s the cluster still lets in the user of an earlier access, or no user:"
            f" `flux get kustomization tenant-{seat}` says why",
        )
