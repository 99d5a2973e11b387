"""What only Flux's reports show, such as objects that the API server refuses.

A message is about Flux's last attempt. If its cause could be seen elsewhere, it is left out here:
either another rule reports that cause, or the cause is repaired by now. These rules therefore come
last, and answer only if everything that could be behind a message was seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from sopslab.checks.objects import failure, kustomization, source
from sopslab.checks.rules.results import Cause, cause
from sopslab.checks.snapshot import Snapshot
from sopslab.model.objects import is_suspended
from sopslab.model.results import Undecided

# Messages that only Flux has, or the API server that answers Flux. Each has the causes that may be
# behind it; if one of them was found, only that cause is reported.
_TOLD_BY_FLUX: dict[str, Set[str]] = {
    "over-quota": frozenset(),
    "refused-by-admission": frozenset(),
    "forbidden": frozenset({"wrong-namespace", "wrong-account"}),
    "namespace-other": frozenset({"wrong-namespace", "namespace-missing"}),
    "invalid": frozenset({"decryption-off", "plaintext-value", "edited-ciphertext"}),
    "not-base64": frozenset({"plaintext-value", "encrypted-regex-typo", "plaintext-secret"}),
    "too-large": frozenset(),
    "yaml-broken": frozenset({"list-invalid"}),
    "list-broken": frozenset(
        {"list-invalid", "listed-file-missing", "list-missing", "folder-missing", "wrong-path"}
    ),
    "not-ready": frozenset({"namespace-terminating"}),
    "decryption-off-or-no-mac": frozenset({"decryption-off", "edited-ciphertext"}),
}

# Causes, found by other rules, that keep Flux from reaching the Git server.
_SILENCING = frozenset(
    {"git-server-down", "source-controller-without-git", "controller-down", "controller-missing"}
)


def examine_reading(seen: Snapshot, found: Set[str], *, all_seen: bool) -> Iterator[Cause]:
    """Yield what Flux reports about its source, unless a cause that was found explains it.

    + found: the ids of the causes that were found
    + all_seen: whether every other rule could answer
    """
    one, chapter = source(seen), seen.chapter
    failed = None if one is None or is_suspended(one) else failure(one)
    if failed is None:
        return
    what = f"GitRepository {chapter.system}/{chapter.source}"
    silent = failed.meaning is not None and failed.meaning.id == "server-silent"
    if found & _SILENCING if silent else found:
        return
    if not all_seen or failed.meaning is None:
        raise Undecided(
            f"Flux could not read the repository{_for(failed.meaning is None)}",
            f"flux --namespace {chapter.system} get source git {chapter.source}",
        )
    if silent:
        # The server answers this machine, so only the way from the cluster can be closed.
        yield cause(
            "source-controller-without-git",
            "The source controller does not reach the Git server, which answers elsewhere.",
            what,
            f"is not ready ({failed.reason}), although its address is right",
            failed.meaning.fix(chapter),
        )
    else:
        yield _late(what, chapter.reconcile)


def examine_applying(seen: Snapshot, found: Set[str], *, all_seen: bool) -> Iterator[Cause]:
    """Yield what Flux reports about its Kustomization, unless a cause that was found explains it.

    + found, all_seen: as for `examine_reading`
    """
    one, chapter = kustomization(seen), seen.chapter
    failed = None if one is None or is_suspended(one) else failure(one)
    if failed is None:
        return
    what = f"Kustomization {chapter.system}/{seen.environment.kustomization}"
    meaning = failed.meaning
    behind = None if meaning is None else _TOLD_BY_FLUX.get(meaning.id)
    if found if behind is None else found & behind:
        return
    if meaning is None or not (all_seen or behind == frozenset()):
        raise Undecided(
            f"Flux could not apply the repository{_for(meaning is None)}", chapter.describe
        )
    if behind is None:
        yield _late(what, chapter.reconcile)
    else:
        yield cause(
            meaning.id,
            f"Flux could not apply main: {meaning.meaning(chapter)}.",
            what,
            f"is not ready ({failed.reason})",
            meaning.fix(chapter),
        )


def _for(unknown: bool) -> str:
    return (
        ", for a reason that is not known here"
        if unknown
        else ", and what may be behind that was not seen"
    )


def _late(what: str, next_step: str) -> Cause:
    return cause(
        "flux-behind",
        "Flux's last attempt failed on something that is in order by now.",
        what,
        "is not ready, for a reason that is gone",
        next_step,
    )
