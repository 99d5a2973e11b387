"""What Flux reports, where nothing else shows it: what the API server refuses, for example.

A message speaks of Flux's last attempt. What it says of things that can be looked at is left out:
either the look shows it, too, or it is in order by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from sopslab.checks import causes
from sopslab.checks.doctor.examination.delivery import kustomization
from sopslab.checks.doctor.objects import named
from sopslab.checks.doctor.results import Cause, cause
from sopslab.checks.doctor.seen import Seen, known
from sopslab.model.objects import Object, condition
from sopslab.model.results import Undecided

# What only Flux, or the API server that answers it, can tell. In brackets, what may be behind it:
# then it is told as that.
_TOLD_BY_FLUX: dict[str, Set[str]] = {
    "over-quota": frozenset(),
    "refused-by-admission": frozenset(),
    "forbidden": frozenset({"wrong-namespace"}),
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


# What keeps the Git server silent for Flux, and shows elsewhere.
_SILENCING = frozenset(
    {"git-server-down", "source-controller-without-git", "controller-down", "controller-missing"}
)


def examine_reports(seen: Seen, found: Sequence[Cause]) -> Iterator[Cause]:
    """Yield what Flux reports and none of the causes that were found explains."""
    objects, chapter = known(seen.objects), seen.chapter
    ids = {one.id for one in found}
    source = named(objects.flux.repositories, chapter.source)
    yield from _reading(source, seen, ids)
    applied = kustomization(seen)
    if applied is None or applied["spec"].get("suspend") or not _has_failed(applied):
        return
    recognised = causes.cause_of(_message(applied), causes.APPLYING)
    what = f"Kustomization {chapter.system}/{seen.environment.kustomization}"
    if recognised is None:
        if not ids:
            raise Undecided(
                "Flux could not apply the repository, for a reason that is not known here",
                chapter.describe,
            )
        return
    if recognised.id in _TOLD_BY_FLUX:
        if not ids & _TOLD_BY_FLUX[recognised.id]:
            yield cause(
                recognised.id,
                f"Flux could not apply main: {recognised.meaning(chapter)}.",
                what,
                f"is not ready ({_reason(applied)})",
                recognised.fix(chapter),
            )
    elif not ids:
        yield _late(what, chapter.reconcile)


def _reading(source: Object | None, seen: Seen, ids: Set[str]) -> Iterator[Cause]:
    if source is None or source["spec"].get("suspend") or not _has_failed(source):
        return
    chapter = seen.chapter
    what = f"GitRepository {chapter.system}/{chapter.source}"
    recognised = causes.cause_of(_message(source), causes.READING)
    if recognised is None:
        if ids:
            return
        raise Undecided(
            "Flux could not read the repository, for a reason that is not known here",
            f"flux --namespace {chapter.system} get source git {chapter.source}",
        )
    if recognised.id == "server-silent" and not ids & _SILENCING:
        # The server answers here, so it is the way from the cluster that is closed.
        yield cause(
            "source-controller-without-git",
            "The source controller does not reach the Git server, which answers elsewhere.",
            what,
            f"is not ready ({_reason(source)}), although its address is right",
            recognised.fix(chapter),
        )
    elif not ids:
        yield _late(what, chapter.reconcile)


def _late(what: str, next_step: str) -> Cause:
    return cause(
        "flux-behind",
        "Flux's last attempt failed on something that is in order by now.",
        what,
        "is not ready, for a reason that is gone",
        next_step,
    )


def _has_failed(found: Object) -> bool:
    return condition(found, "Ready").get("status") == "False"


def _message(found: Object) -> str:
    return str(condition(found, "Ready").get("message", ""))


def _reason(found: Object) -> str:
    return str(condition(found, "Ready").get("reason", "no reason given"))
