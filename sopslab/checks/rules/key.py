"""The environment's key: in the store, and in the cluster, where Flux decrypts with it."""

from __future__ import annotations

from collections.abc import Iterator, Set

from sopslab.checks.rules.results import Cause, Evidence, cause
from sopslab.checks.snapshot import KEY_ENDING, Snapshot, known
from sopslab.course.chapter import UP
from sopslab.layout import KEY_ENTRY, KEY_SECRET
from sopslab.policy.sops import short


def listed(recipients: Set[str]) -> str:
    """Return public keys, shortened, in one text."""
    return ", ".join(short(name) for name in sorted(recipients)) or "nobody"


def examine_store(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each key file of the lab that cannot be used."""
    own, instructor = known(seen.identity), known(seen.instructor)
    if own.recipient is None:
        yield cause(
            "store-key-unusable",
            "The lab's own key file cannot be used, and the cluster's is compared with it.",
            "the key file",
            own.problem,
            own.fix,
        )
    if instructor.recipient is None:
        yield cause(
            "instructor-key-unusable",
            "The instructor's key file cannot be used, so a lost key would be final.",
            "the instructor's key file",
            instructor.problem,
            instructor.fix,
        )


def examine_key(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if the cluster cannot decrypt what is encrypted to the environment's key."""
    key, chapter = known(seen.key), seen.chapter
    what = f"Secret {chapter.system}/{KEY_SECRET}"
    if not key.present:
        yield cause(
            "missing-key",
            "Flux has no key to decrypt with: there is no Secret"
            f" {KEY_SECRET} in {chapter.system}.",
            what,
            "is gone",
            chapter.setup,
        )
        return
    if not (key.valid or key.damaged):
        names = ", ".join(sorted(key.entries)) or "none"
        yield cause(
            "key-without-agekey",
            f"Flux does not read the key: no entry of it ends in {KEY_ENDING}, as"
            f" {KEY_ENTRY} does.",
            what,
            f"has the entries: {names}",
            _give_back(seen),
        )
        return
    for name, problem in key.damaged.items():
        yield cause(
            "corrupt-key",
            "The key in the cluster is damaged, so Flux cannot use it.",
            what,
            f"its entry {name} {problem.value}",
            _give_back(seen),
        )
    own, held = known(seen.identity).recipient, key.recipients
    if key.damaged or own is None or own in held:
        return
    keys = (
        Evidence(what, f"has {listed(held)}"),
        Evidence("the key file", f"is {short(own)}, to which the rules of the lab encrypt"),
    )
    if _is_the_files_key(seen, held, own):
        yield Cause(
            "store-key-differs",
            "The key file holds another key than the cluster and the encrypted files.",
            keys,
            f"{UP} --key-from cluster",
        )
        return
    yield Cause(
        "wrong-key",
        "The key in the cluster is not the key that files are encrypted to.",
        keys,
        _give_back(seen),
    )


def _give_back(seen: Snapshot) -> str:
    """Return the command that replaces the cluster's key with the one in the store."""
    return f"{UP} --key-from store" if seen.environment.is_seat else seen.chapter.setup


def _is_the_files_key(seen: Snapshot, held: frozenset[str], own: str) -> bool:
    """Return whether all encrypted files are encrypted to the cluster's key, and none to the key in
    the store."""
    manifests = known(seen.tree).manifests.values()
    recipients = [one.recipients for one in manifests if one.recipients]
    return bool(recipients) and all(held & one and own not in one for one in recipients)
