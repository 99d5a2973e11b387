"""What is in a backup of a lab, who may open it, and which backups are not restored.

Pure. Unknown files are part of a backup: a file too many costs nothing, and a missing file is lost.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import chain
from typing import TYPE_CHECKING, Any

from sopslab.config.naming import check_label
from sopslab.files.privatefile import is_unfinished
from sopslab.model.access import CREDENTIALS
from sopslab.model.backups import FILES, FORMAT, REPOSITORIES, BackupHead
from sopslab.model.hints import RECORD
from sopslab.model.mark import MARK
from sopslab.policy.age import is_intact, kind_of

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

# A learner's access to the cluster, in the folder of a seat.
_ACCESS = ("kubeconfig", *chain.from_iterable(CREDENTIALS.values()))
# Paths below the lab's folder that no backup has: what the next `up` makes again, and what belongs
# to this machine or this cluster. A pattern also matches everything below a path that it matches.
_MADE_ANEW = tuple(
    tuple(pattern.split("/"))
    for pattern in (
        # Hidden files at the top are locks, and leftovers of killed runs.
        *(".*", "lock", "log", "lab.yaml", "lease.json"),
        *("kubeconfig", "kube-cache", "reach.json", "node", "node-id", "api", "schemas-*"),
        *("applied", "instructor", "manifests", "observed.git", "platform", "pre-commit"),
        *("class/board.*", "class/cards", "class/failed", "class/report"),
        "class/issuer.json",
        # Access of seats, including archived ones.
        *(f"class/seats/*/{name}" for name in _ACCESS),
        *(f"class/pruned/*/access/{name}" for name in _ACCESS),
        *("git/access", "git/etc", "git/policy", "git/recipients", "git/rows", "git/tls"),
        *("git-server.yaml", "git/copies.lock"),
    )
)
_REPOSITORIES = ["git", "repositories"]
# The files of a repository that a backup has beside its branches; the branches are in a bundle.
_BESIDE = ([MARK], [RECORD])
# The learner's own folder, in which files may have any name.
_WORK = "work"

# Settings that belong to a lab wherever it runs. All others belong to the machine or the cluster.
_BELONGING = {
    *("age_key_type", "expires", "git_url", "git_username", "grace"),
    *("instructor_recipient", "learner"),
}

# Messages of age, and their meaning (age v1.3, cmd/age).
_AGE = (
    ("not found$", "age is not there: `sopslab fetch` brings it"),
    ("no identity matched", "it is encrypted to other recipients than these identities'"),
    ("no space left on device", "the disk is full"),
    ("incorrect passphrase", "the passphrase is another one"),
    (
        "failed to decrypt and authenticate payload|failed to read header|invalid header"
        "|unexpected EOF|failed to read nonce",
        "it is cut off or damaged",
    ),
    ("failed to open file", "a file of identities cannot be read"),
    ('unknown identity type|failed to read "', "a file of identities holds something else"),
)

_LONGEST_NAME = 4000
_MOST_FILES, _MOST_LETTERS = 200_000, 1 << 25
SHORTEST_PASSPHRASE = 12  # characters
_LONGEST_PASSPHRASE = 1000


def is_carried(path: str) -> bool:
    """Return whether a file or a folder is part of a backup.

    + path: relative to the lab's folder; the path of a folder ends with `/`
    """
    parts = path.rstrip("/").split("/")
    if parts[:2] == _REPOSITORIES:
        beside = [[]] if path.endswith("/") else _BESIDE
        return _leads_to_repository(parts[2 : _inside(parts)]) and parts[_inside(parts) :] in beside
    # A learner may give any name to a file in `work`, and to a branch, which is a file in `.git`.
    if parts[0] != _WORK and any(map(is_unfinished, parts[: _inside(parts)])):
        return False
    # A lock file of git would keep the restored repository locked for ever.
    if ".git" in parts and parts[-1].endswith(".lock"):
        return False
    return not any(_is_at(parts, pattern) for pattern in _MADE_ANEW)


def _leads_to_repository(parts: Sequence[str]) -> bool:
    return not parts or is_repository("/".join(parts).removesuffix(".git"))


def _inside(parts: Sequence[str]) -> int:
    """Return how many parts of a path lead to a repository; all of them if the path is not in a
    repository."""
    return next((n for n, part in enumerate(parts, 1) if part.endswith(".git")), len(parts))


def _is_at(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    return len(parts) >= len(pattern) and all(map(fnmatchcase, parts, pattern))


def belonging_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that belong to a lab wherever it runs, in the form of a lab file. None of
    them is secret."""
    return settings.model_dump(mode="json", include=_BELONGING)


def differing_settings(head: BackupHead, settings: Settings) -> dict[str, Any]:
    """Return the settings of a backup that belong to the lab and differ from the present ones."""
    present = belonging_settings(settings)
    return {
        name: value
        for name, value in head.settings.items()
        if name in _BELONGING and value != present[name]
    }


def recipient_problems(recipients: Sequence[str], own: Mapping[str, str]) -> list[str]:
    """Return why a backup cannot be encrypted to recipients; empty if it can.

    + own: each recipient whose identity is in the lab's folder, with the file of the identity
    """
    problems = []
    for recipient in recipients:
        if "AGE-" in recipient.upper():
            problems.append(
                "--recipient is an identity, which is secret: give its recipient, which"
                " `age-keygen -y FILE` prints"
            )
        elif kind_of(recipient) is None:
            problems.append(
                f"--recipient {recipient:.80}: a recipient of age's own is needed, `age1…`"
            )
        elif not is_intact(recipient):
            problems.append(
                f"--recipient {recipient:.80}: its checksum does not fit: a character of it was"
                " lost or mistyped"
            )
        elif recipient in own:
            problems.append(
                f"--recipient {recipient:.80}: its identity is in the lab ({own[recipient]}), and"
                " is lost with it: name one whose identity is kept elsewhere"
            )
    if not problems and len({kind_of(recipient) for recipient in recipients}) > 1:
        problems.append(
            "--recipient: age1… and age1pq1… do not go together: the backup would be as safe as"
            " the weaker one"
        )
    return problems


def passphrase_problem(text: str) -> str | None:
    """Return why a passphrase is refused, None if it is not."""
    if not text.isprintable() or len(text) > _LONGEST_PASSPHRASE:
        return "the passphrase has to be one line of printable characters"
    if len(text) < SHORTEST_PASSPHRASE:
        return (
            f"the passphrase has {len(text)} characters, and {SHORTEST_PASSPHRASE} are needed at"
            " least: whoever has the file may try as many as they like"
        )
    return None


def head_problem(head: BackupHead, lab: str) -> str | None:
    """Return why a backup with this head is refused, None if it is not.

    + lab: the lab to restore; its name cannot change, because certificates and addresses contain it
    """
    if head.format != FORMAT:
        return f"it was made by sops-lab {head.product} in another format: use that version"
    if head.lab != lab:
        return f"it is of the lab {head.lab!r:.80}, and {lab} is chosen (SOPSLAB_LAB)"
    if not all(map(is_repository, head.repositories)):
        return "it names a repository that no lab has"
    return None


def is_repository(name: str) -> bool:
    """Return whether a lab may have a repository with this path, which is without `.git`."""
    parts = name.split("/")
    try:
        return all(check_label(part) for part in parts) and len(parts) <= 2
    except ValueError:
        return False


def name_problem(name: str, seen: Collection[str]) -> str | None:
    """Return why a file of a backup is refused because of its name, None if it is not.

    + seen: the names of the files before it
    """
    parts = name.split("/")
    if name in seen:
        return "it has a file twice"
    odd = {"", ".", ".."} & set(parts) or "\0" in name or len(name) > _LONGEST_NAME
    if odd or not name.startswith((FILES, REPOSITORIES)):
        return f"it has a file in it that is not ours: {name[:80]!r}"
    return None


def amount_problem(files: int, letters: int) -> str | None:
    """Return what a backup has too much of, None if it is within the limits.

    + letters: the total length of the names of its files
    """
    if files > _MOST_FILES:
        return f"more than {_MOST_FILES} files"
    if letters > _MOST_LETTERS:
        return f"names of more than {_MOST_LETTERS} letters"
    return None


def age_meaning(lines: Sequence[str]) -> str:
    """Return why age failed. The messages of age are recognised, and not repeated."""
    said = "\n".join(lines)
    known = (text for pattern, text in _AGE if re.search(pattern, said, re.MULTILINE))
    return next(known, "age failed, for a reason that is not known here")
