"""The faults that `sopslab break` injects. Their ids are those of the causes that the doctor names.

An id never changes its meaning: exams are drawn by a seed from this list, in this order.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations


class Scope(Enum):
    """Whom a fault reaches."""

    LEARNER = "a commit in the learner's repository"
    SEAT = "objects of the learner's environment"
    LAB = "objects that all environments share"


class Part(Enum):
    """What a fault changes. Two faults that change the same part would undo each other."""

    KEY = "the Secret sops-age"
    MANIFEST = "the encrypted file"
    LIST = "kustomization.yaml"
    SUSPENSION = "spec.suspend of the Kustomization"
    PATH = "spec.path of the Kustomization"
    LOGIN = "the credential with which Flux reads Git"
    ADDRESS = "the address of the GitRepository"
    CONTROLLER = "the kustomize-controller"


@dataclass(frozen=True)
class Fault:
    """One fault: its id, what it is, and what learners learn from it.

    `scope_alone` is its scope for a learner alone on a lab, if that differs. `exposes` is whether
    its commit counts as a leak as long as a branch contains it, even if later commits repair it.
    """

    id: str
    title: str
    teaches: str
    part: Part
    scope: Scope
    scope_alone: Scope | None = None
    exposes: bool = False

    @property
    def in_git(self) -> bool:
        """Whether the fault is injected by a commit."""
        return self.scope is Scope.LEARNER

    def scope_at(self, *, seat: bool) -> Scope:
        """Return whom the fault reaches: at a seat of a class, or for a learner alone on a lab."""
        return self.scope if seat or self.scope_alone is None else self.scope_alone


FAULTS = (
    Fault(
        "missing-key",
        "the Secret sops-age is gone",
        "Flux decrypts with a Secret beside the Kustomization; without it nothing new arrives, and"
        " what was decrypted before stays",
        Part.KEY,
        Scope.SEAT,
    ),
    Fault(
        "wrong-key",
        "sops-age holds the identity of somebody else",
        "compare public keys: that of the cluster with those in the file",
        Part.KEY,
        Scope.SEAT,
    ),
    Fault(
        "key-without-agekey",
        "the entry of sops-age is called age.key, which does not end in .agekey",
        "Flux reads entries by their ending; its message names variables that have nothing to do"
        " with it",
        Part.KEY,
        Scope.SEAT,
    ),
    Fault(
        "corrupt-key",
        "the identity in sops-age lacks its last letter",
        "a damaged key is another fault than a wrong one, and a backup is what helps",
        Part.KEY,
        Scope.SEAT,
    ),
    Fault(
        "not-wired",
        "a commit comments the file out of kustomization.yaml",
        "Flux applies what is listed, removes what no longer is, and stays Ready",
        Part.LIST,
        Scope.LEARNER,
    ),
    Fault(
        "wrong-recipient",
        "a commit has the file encrypted to a stranger",
        "who encrypts decides who can read; the rules of the repository are there to be used",
        Part.MANIFEST,
        Scope.LEARNER,
        exposes=True,
    ),
    Fault(
        "edited-ciphertext",
        "a commit changes one letter of an encrypted value",
        "ciphertext is not edited: it is authenticated, value by value and by a MAC over all",
        Part.MANIFEST,
        Scope.LEARNER,
    ),
    Fault(
        "encrypted-regex-typo",
        "a commit has ^(dta|stringData)$ in .sops.yaml, and a file that was encrypted by it",
        "a sops block proves nothing: Flux applies such a file without a word",
        Part.MANIFEST,
        Scope.LEARNER,
        exposes=True,
    ),
    Fault(
        "suspended-kustomization",
        "the Kustomization is suspended: spec.suspend is true",
        "Ready speaks of the last time that Flux looked, not of now",
        Part.SUSPENSION,
        Scope.SEAT,
    ),
    Fault(
        "wrong-path",
        "spec.path of the Kustomization names a folder that is not there",
        "where Flux looks is written in the cluster, not in the learner's repository",
        Part.PATH,
        Scope.SEAT,
    ),
    Fault(
        "git-credential-revoked",
        "the Git server refuses the password with which Flux reads",
        "a source that cannot be read leaves everything as it was, and still Ready",
        Part.LOGIN,
        Scope.SEAT,
        Scope.LAB,
    ),
    Fault(
        "source-controller-without-git",
        "the GitRepository names a port at which the Git server does not answer",
        "tell a server that is down from one that is looked for in the wrong place",
        Part.ADDRESS,
        Scope.LAB,
    ),
    Fault(
        "drifted-lockdown-flag",
        "the kustomize-controller runs without --no-remote-bases, a lockdown flag",
        "what keeps tenants apart can vanish without anything failing",
        Part.CONTROLLER,
        Scope.LAB,
    ),
)

BY_ID = {fault.id: fault for fault in FAULTS}


def injectable(*, seat: bool, in_class: bool) -> list[Fault]:
    """Return the faults that reach only the learner who is to practise.

    + seat: whether the environment is a seat of a class
    + in_class: whether the lab has a class
    """
    return [fault for fault in FAULTS if not in_class or fault.scope_at(seat=seat) is not Scope.LAB]


def clash(ids: Sequence[str]) -> str | None:
    """Return in words which two of the faults cannot be combined, None if all can."""
    for one, other in combinations([BY_ID[name] for name in dict.fromkeys(ids)], 2):
        if one.part is other.part:
            return f"{one.id} and {other.id} both change {one.part.value}"
    return None


def draw(seed: int, count: int, among: Sequence[Fault]) -> tuple[str, ...]:
    """Return the ids of `count` faults that can be combined. The same seed and the same choice
    (`among`) always give the same ids."""
    mixed = [
        ids for ids in combinations([fault.id for fault in among], count) if clash(ids) is None
    ]
    return random.Random(seed).choice(mixed)
