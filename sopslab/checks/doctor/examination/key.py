"""The key: the one in the store, and the one with which the cluster decrypts."""

from __future__ import annotations

from collections.abc import Iterator

from sopslab.checks.doctor.results import Cause, Evidence, cause
from sopslab.checks.doctor.seen import Seen, known
from sopslab.checks.verification.cluster import Entry, listed
from sopslab.course.chapter import UP
from sopslab.layout import KEY_SECRET
from sopslab.model.results import Undecided
from sopslab.policy.sops import short

_ENDING = ".agekey"


def examine_store(seen: Seen) -> Iterator[Cause]:
    """Yield why the key file of the lab cannot be used."""
    if seen.identity.recipient is None:
        yield cause(
            "store-key-unusable",
            "The lab's own key file cannot be used, and the cluster's is compared with it.",
            "the key file",
            seen.identity.problem,
            seen.identity.fix,
        )


def examine_key(seen: Seen) -> Iterator[Cause]:
    """Yield why the cluster cannot decrypt what is encrypted to the environment's key."""
    key, chapter = known(seen.objects).key, seen.chapter
    what = f"Secret {chapter.system}/{KEY_SECRET}"
    if not key.present:
        yield cause(
            "missing-key", "Flux has no key to decrypt with.", what, "is gone", chapter.setup
        )
        return
    # Flux takes every entry of this ending, and gives up if one of them is no identity.
    read = {name: held for name, held in key.entries.items() if name.endswith(_ENDING)}
    if not read:
        names = ", ".join(sorted(key.entries)) or "none"
        yield cause(
            "key-without-agekey",
            f"Flux does not read the key: its entry does not end in {_ENDING}.",
            what,
            f"has the entries: {names}",
            _give_back(seen),
        )
        return
    damaged = [name for name, held in sorted(read.items()) if isinstance(held, Entry)]
    for name in damaged:
        yield cause(
            "corrupt-key",
            "The key in the cluster is damaged, so Flux cannot use it.",
            what,
            f"its entry {name} is empty or holds no valid age identity",
            _give_back(seen),
        )
    own = seen.identity.recipient
    held = frozenset[str]().union(*(one for one in read.values() if not isinstance(one, Entry)))
    if damaged or own is None or own in held:
        return
    keys = (
        Evidence(what, f"has {listed(held)}"),
        Evidence("the key file", f"is {short(own)}, to which the rules of the lab encrypt"),
    )
    if _is_the_files_key(seen, held, own):
        yield Cause(
            "store-key-differs",
            "The key file is another than the key of the cluster and of the files on main.",
            keys,
            f"{UP} --key-from cluster",
        )
        return
    yield Cause(
        "wrong-key",
        "The cluster has another key than the one that files are encrypted to.",
        keys,
        _give_back(seen),
    )


def _give_back(seen: Seen) -> str:
    """Return the command that replaces what the cluster has by the key of the store."""
    return f"{UP} --key-from store" if seen.environment.is_seat else seen.chapter.setup


def _is_the_files_key(seen: Seen, held: frozenset[str], own: str) -> bool:
    """Return whether what is on main is for the cluster's key, and not for the one of the store."""
    try:
        manifests = known(seen.repository).manifests.values()
    except Undecided:
        return False
    recipients = [one.recipients for one in manifests if one.recipients]
    return bool(recipients) and all(held & one and own not in one for one in recipients)
