"""Names: what Kubernetes, Docker and the file system all accept."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata

# RFC 1123 label, as Kubernetes asks of namespaces
# (k8s.io/apimachinery/pkg/util/validation, IsDNS1123Label).
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
RESERVED = re.compile(r"default|flux-system|kube-.*")

# With ids of this length, the longest name that contains a seat's id stays far below the 63
# characters of a label, and the seat's user within the 64 of a certificate's common name.
SEAT_LENGTH = 40
# The form of a generation of access, and a generation that nobody has.
GENERATION = re.compile(r"[0-9a-f]{14}")
NO_GENERATION = "none"
SEAT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
# The ids of seats that are made without a learner.
SPARE = re.compile(r"spare-[1-9][0-9]{0,3}")
# Ids that no learner may choose: users of the Git server, its repository `platform`, the name of a
# seat's overlay file that kustomize would read as its own, what the namespace of a seat's Flux
# objects begins with, and spare seats.
NO_SEATS = re.compile(r"instructor|flux|learner|platform|kustomization|lab-.*|spare-[0-9]+")
# Latin letters that Unicode does not decompose.
_LATIN = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})


def check_label(value: str) -> str:
    """Return `value` if it is a DNS-1123 label that is not reserved; raise ValueError if not."""
    if not LABEL.fullmatch(value):
        raise ValueError(
            "at most 63 of a-z, 0-9 and `-` are allowed, with a letter or digit at both ends"
        )
    if RESERVED.fullmatch(value):
        raise ValueError("this name is Kubernetes' or Flux's own")
    return value


def network_name(lab: str) -> str:
    """Return the Docker network of a lab."""
    return f"sops-lab-{lab}"


def bridge_name(lab: str) -> str:
    """Return the host's bridge for the lab's network; the kernel allows 15 characters."""
    return f"sl-{hashlib.sha256(lab.encode()).hexdigest()[:10]}"


def node_name(lab: str) -> str:
    """Return the container of the lab's one node, as kind names it."""
    return f"{lab}-control-plane"


def git_server_name(lab: str) -> str:
    """Return the container of the embedded Git server; it is its host name in the cluster too."""
    return f"{lab}-git"


def git_namespace(lab: str) -> str:
    """Return the namespace of the Git server that a lab has in an existing cluster."""
    return f"sops-lab-git-{lab}"


def git_service_name(lab: str) -> str:
    """Return the host name of that Git server within the cluster, which its Service gives it."""
    return f"git.{git_namespace(lab)}.svc"


def probe_namespace(lab: str) -> str:
    """Return the namespace of the pods that find out what an existing cluster provides."""
    return f"sops-lab-probe-{lab}"


def seat_namespace(seat: str) -> str:
    """Return the namespace in which a learner of a class works."""
    return f"{seat}-develop"


def seat_system_namespace(seat: str) -> str:
    """Return the namespace of a seat's Flux objects and key, where the learner has no rights."""
    return f"lab-{seat}-sys"


def next_key(key: str) -> str:
    """Return the name that the successor of the identity `key` has in the key store."""
    return f"next/{key}"


def seat_user(seat: str, generation: str) -> str:
    """Return the user that a seat's client certificate names.

    A certificate cannot be revoked in Kubernetes: access that is issued anew goes to another user,
    and nothing is bound to the old one any more.
    """
    return f"sops-lab:{seat}:{generation}"


def nobody(seat: str) -> str:
    """Return the user to whom the rights of a seat are bound while nobody may use it.

    No such user exists.
    """
    return seat_user(seat, NO_GENERATION)


def new_generation() -> str:
    """Return a generation of access that nobody has had.

    It is random. A counter would begin again if its file is lost, or if somebody gets the id of a
    learner who left; old certificates would then be valid again.
    """
    return secrets.token_hex(7)


def check_seat(value: str) -> str:
    """Return `value` if a seat of a class may have it as its id; raise ValueError if not.

    Two ids give different names throughout: a seat's namespaces end in `-develop` and `-sys`, and
    the id stands unchanged between their fixed parts.
    """
    if not SEAT.fullmatch(value):
        raise ValueError(
            f"it becomes part of names such as {seat_namespace(value)!r:.60}, in which a-z, 0-9 and"
            " `-` are allowed, with a letter or digit at both ends"
        )
    if len(value) > SEAT_LENGTH:
        raise ValueError(
            f"at most {SEAT_LENGTH} characters are allowed, and it has {len(value)}: it becomes"
            f" part of longer names, such as `{seat_system_namespace('<id>')}`, which can have 63"
        )
    if NO_SEATS.fullmatch(value):
        raise ValueError("this name is the lab's own")
    return check_label(value)


def check_enrolled(value: str) -> str:
    """Return `value` if a seat on record may have it as its id: if `check_seat` allows it, or if it
    is the id of a spare. Raises ValueError if not."""
    return value if SPARE.fullmatch(value) else check_seat(value)


def spare_seat(number: int) -> str:
    """Return the id of a spare seat; numbers begin with 1."""
    return f"spare-{number}"


def propose_seat(name: str) -> str | None:
    """Return an id in ASCII for somebody of this name, or None if no word of it is Latin.

    The same name always gives the same id; two names may give the same one.
    """
    text = unicodedata.normalize("NFKD", name).casefold().translate(_LATIN)
    kept = "".join(sign for sign in text if not unicodedata.combining(sign) and sign not in "'’ʼ")
    # A word of mixed scripts would lose letters, and what is left may be another word.
    slug = "-".join(word for word in re.findall(r"[^\W_]+", kept) if word.isascii())
    return slug if re.search("[a-z]", slug) else None
