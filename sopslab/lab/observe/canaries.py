"""How far canaries are on their way from the repositories into the cluster, in one look for all.

Values of canaries exist only in pipes and in this process. What is compared are their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from sopslab.checks.canaries import UNDECRYPTABLE, Canary, judge_canary
from sopslab.checks.delivery import applied_revision
from sopslab.checks.objects import kustomization, tenant
from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import INSTRUCTOR, Lab
from sopslab.course.listing import read_list
from sopslab.lab.observe.checkpoints import START
from sopslab.lab.observe.copies import bring
from sopslab.lab.observe.environments import look_at_kustomizations
from sopslab.lab.observe.keys import key_file
from sopslab.lab.observe.objects import listed, path_of, whole_list
from sopslab.lab.tools import sops
from sopslab.lab.tools.files import has_content, read
from sopslab.lab.tools.git import MAIN, Git
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.layout import CANARY_PATH, LIST_PATH
from sopslab.model.canaries import CanaryState, Link, Progress
from sopslab.model.objects import is_deleted
from sopslab.model.results import Undecided

_NAME = "lab-canary"
_FETCH_S = 20


def canary_states(lab: Lab, environments: list[Environment]) -> dict[str, CanaryState]:
    """Return how far the canary of each environment is, by the learner's id; nothing if there is no
    cluster."""
    return Canaries(lab).look(environments)


class Canaries:
    """The canaries of environments. sops decrypts the canary of each commit only once."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._decrypted: dict[str, str] = {}

    def look(self, environments: Sequence[Environment]) -> dict[str, CanaryState]:
        """Return how far the canary of each environment is, by the learner's id.

        To look into the repository and the namespace is expensive, so only canaries are looked at
        there for which Flux has applied a commit.
        """
        if not has_content(self._lab.lab_kubeconfig):
            return {}
        try:
            found = look_at_kustomizations(self._lab, environments)
            own = {who: kustomization(one) for who, one in found.items()}
            begun = [one for one in environments if applied_revision(own[one.id])]
            seen = self._look_at(begun) if begun else {}
        except Undecided as reason:
            silent = CanaryState(Progress.WAITING, reason.found, Link.BEGINNING)
            return {one.id: silent for one in environments}
        return {
            one.id: judge_canary(one, own[one.id], tenant(found[one.id]), seen.get(one.id))
            for one in environments
        }

    def _look_at(self, environments: Sequence[Environment]) -> dict[str, Canary]:
        """Return what is seen of canaries. Raises Undecided if the cluster does not show its
        namespaces."""
        with ThreadPoolExecutor() as executor:
            spaces = executor.submit(self._namespaces)
            live = self._live(environments)
            # If a copy cannot be brought up to date, its main is not the commit that Flux has
            # applied.
            bring(self._lab, [one for one in environments if one.is_seat])
            there = spaces.result()
        return {
            one.id: replace(
                self._seen(one, live.get(one.namespace)), is_gone=one.namespace not in there
            )
            for one in environments
        }

    def _live(self, environments: Sequence[Environment]) -> Mapping[str, str]:
        """Return the hash of the canary in each namespace that has one."""
        spaces = [one.namespace for one in environments]
        found = listed(self._lab, "secrets", namespaces=spaces, fields=f"metadata.name={_NAME}")
        values = {
            str(one["metadata"]["namespace"]): base64.b64decode(
                (one.get("data") or {}).get("value", "")
            )
            for one in found
        }
        return {namespace: _hash(value) for namespace, value in values.items() if value}

    def _namespaces(self) -> Collection[str]:
        """Return the cluster's namespaces, without those that are being deleted: what is in them
        goes, too, and may take a while. Raises Undecided if the cluster does not show them."""
        found = whole_list(Kubectl(self._lab), path_of("Namespace"), patience=30)
        return {str(one["metadata"]["name"]) for one in found["items"] if not is_deleted(one)}

    def _seen(self, environment: Environment, live: str | None) -> Canary:
        if environment.is_seat:
            return self._of_seat(environment, live)
        head = self.head(environment)
        if head is None:
            return Canary(None)
        git = self._observed(environment)
        return Canary(head, self._expected(git, environment, head, live), live)

    def _of_seat(self, environment: Environment, live: str | None) -> Canary:
        """Return what is seen of the canary of a seat, for which the lab keeps the hash."""
        asked = (MAIN, f"{MAIN}:{CANARY_PATH}", f"{START}:{CANARY_PATH}")
        repository = Git(self._lab, bare_repository(self._lab, environment))
        try:
            told = repository.text(
                "cat-file", "--batch-check=%(objectname)", stdin="\n".join(asked).encode()
            )
        except Failed:
            return Canary(None)
        # For a missing object, git prints the name that it was given, and that it is missing.
        head, now, begun = told.splitlines()
        if now != begun or (live is None and not _is_listed(repository, head)):
            return Canary(head, None, live)
        kept = read(Path(self._lab.seat_dir(environment.id), "canary")) or b""
        return Canary(head, kept.decode().strip(), live)

    def head(self, environment: Environment) -> str | None:
        """Return the commit of main on the Git server, None if the server does not answer.

        In a lab without a class, main is fetched over HTTP, as Flux fetches it, into a repository
        on this machine.
        """
        if environment.is_seat:
            return Git(self._lab, bare_repository(self._lab, environment)).commit(MAIN)
        git = self._observed(environment)
        url = f"{self._lab.git_base_url}/{environment.repository}.git"
        try:
            if not git.folder.is_dir():
                git.run("init", "--quiet", "--bare")
            git.run("fetch", "--quiet", url, f"+{MAIN}:{MAIN}", patience=_FETCH_S)
        except Failed:
            return None
        return git.commit(MAIN)

    def _observed(self, environment: Environment) -> Git:
        login = self._lab.login_file(INSTRUCTOR)
        return Git(self._lab, f"{self._lab.lab_dir}/observed.git", login=login)

    def _expected(
        self, git: Git, environment: Environment, head: str, live: str | None
    ) -> str | None:
        """Return the hash of the canary on main, None if the learner took it off the list.

        If the canary is in the cluster, the list is not read.
        """
        if live is None and not _is_listed(git, head):
            return None
        if head not in self._decrypted:
            found = self._decrypt(git, environment, head)
            if found is None:
                return UNDECRYPTABLE
            self._decrypted[head] = found
        return self._decrypted[head]

    def _decrypt(self, git: Git, environment: Environment, head: str) -> str | None:
        """Return the hash of the canary in a commit, None if sops does not answer, which it may do
        at the next look."""
        encrypted = git.blob(head, CANARY_PATH)
        if encrypted is None:
            return UNDECRYPTABLE
        key = key_file(self._lab, environment.key)
        try:
            opened = sops.decrypt(self._lab, key, encrypted, "--extract", '["stringData"]["value"]')
        except Undecided:
            return None
        return _hash(opened.out) if opened.code == 0 and opened.out.strip() else UNDECRYPTABLE


def _is_listed(git: Git, head: str) -> bool:
    """Return whether Flux is told to apply the canary. That is worth a look only if the cluster has
    no canary: otherwise Flux has found it listed, however the line is written."""
    listing = git.blob(head, LIST_PATH) or b""
    return Path(CANARY_PATH).name in (read_list(listing) or ())


def _hash(value: bytes) -> str:
    # Some programs add a newline at the end, others do not.
    return hashlib.sha256(value.rstrip(b"\n")).hexdigest()
