"""The way from the Git server into the cluster: read, applied, there. Ready alone is no proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sopslab.layout import FLUX_NAMESPACE, KUSTOMIZATION, NAMESPACE
from sopslab.policy.findings import key_path
from sopslab.verification.causes import APPLYING, READING, cause_of
from sopslab.verification.chapter import UP, Chapter
from sopslab.verification.judgement.cluster import Object, condition
from sopslab.verification.results import Verdict, failed, passed

_WAIT = "sopslab verify --wait 60"
_OWNER = "kustomize.toolkit.fluxcd.io"


@dataclass(frozen=True)
class Source:
    """The learner's GitRepository, and whether the source controller really has its artifact.

    `stored` is None where that could not be seen.
    """

    repository: Object | None
    stored: bool | None = None


def judge_source(source: Source, head: str, chapter: Chapter) -> Verdict:
    """Judge whether Flux has read the commit `head`, and not merely once read something."""
    found = source.repository
    if found is None:
        return failed(f"Flux has no GitRepository {chapter.source}.", UP)
    status = found.get("status") or {}
    revision = str((status.get("artifact") or {}).get("revision", ""))
    ready = condition(found, "Ready")
    read = f"what it last read is {_short(revision)}" if revision else "it has read nothing yet"
    if ready.get("status") == "False":
        cause = cause_of(str(ready.get("message", "")), READING)
        if cause is None:
            return failed(
                f"stale source: Flux cannot read the repository ({ready.get('reason')}), {read}.",
                f"flux --namespace {FLUX_NAMESPACE} get source git {chapter.source}",
            )
        return failed(f"stale source: {cause.meaning}, and {read}.", cause.fix(chapter))
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return failed("Flux has not yet looked at the present form of the GitRepository.", _WAIT)
    if not _is_revision(revision, head):
        return failed(f"Flux has not read {head[:7]} yet: {read}.", _WAIT)
    if ready.get("status") != "True":
        return failed(f"Flux is reading the repository at the moment, and {read}.", _WAIT)
    if source.stored is False:
        return failed(
            f"Flux says that it stored {head[:7]}, but its source controller does not have it.",
            f"flux --namespace {FLUX_NAMESPACE} reconcile source git {chapter.source}",
        )
    return passed(f"Flux has read your commit {head[:7]}.")


def judge_applied(found: Object | None, head: str, chapter: Chapter) -> Verdict:
    """Judge whether Flux has applied the commit `head`, with the chapter's Secret in it."""
    if found is None:
        return failed(f"Flux has no Kustomization {KUSTOMIZATION}.", UP)
    status = found.get("status") or {}
    ready = condition(found, "Ready")
    if ready.get("status") == "False":
        cause = cause_of(str(ready.get("message", "")), APPLYING)
        if cause is None:
            return failed(
                f"Flux could not apply the repository ({ready.get('reason')}).", chapter.describe
            )
        return failed(f"Flux could not apply the repository: {cause.meaning}.", cause.fix(chapter))
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return failed(f"Flux has not yet looked at the present form of {KUSTOMIZATION}.", _WAIT)
    revision = str(status.get("lastAppliedRevision", ""))
    if not _is_revision(revision, head):
        last = f"what it last applied is {_short(revision)}" if revision else "it applied nothing"
        return failed(f"Flux has not applied {head[:7]} yet: {last}.", _WAIT)
    if ready.get("status") != "True":
        return failed(f"Flux is at work on {KUSTOMIZATION} at the moment.", _WAIT)
    entries = (status.get("inventory") or {}).get("entries") or []
    if f"{NAMESPACE}_{chapter.secret}__Secret" not in {entry.get("id") for entry in entries}:
        return failed(
            f"Flux applied {head[:7]}, but {chapter.live} was not in it.",
            chapter.at_work("sopslab validate"),
        )
    return passed(f"Flux has decrypted and applied your commit {head[:7]}.")


@dataclass(frozen=True)
class Live:
    """The Secret in the cluster: who applied it, and the SHA-256 of each value."""

    labels: Mapping[str, str]
    digests: Mapping[str, str]


def judge_secret(live: Live | None, wanted: Mapping[str, str], chapter: Chapter) -> Verdict:
    """Judge whether the Secret in the cluster has exactly the keys and values of the file.

    + wanted: the SHA-256 of each value in the file
    """
    if live is None:
        return failed(f"{chapter.live} does not exist.", chapter.reconcile)
    owner = live.labels.get(f"{_OWNER}/namespace"), live.labels.get(f"{_OWNER}/name")
    if owner != (FLUX_NAMESPACE, KUSTOMIZATION):
        return failed(f"{chapter.live} was not made by Flux.", chapter.reconcile)
    for found, keys in (
        ("lacks {} of the file", wanted.keys() - live.digests.keys()),
        ("has {}, which the file does not have", live.digests.keys() - wanted.keys()),
        (
            "has another value for {} than the file",
            {
                key
                for key in wanted.keys() & live.digests.keys()
                if wanted[key] != live.digests[key]
            },
        ),
    ):
        if keys:
            return failed(f"{chapter.live} {found.format(_named(keys))}.", chapter.reconcile)
    count = len(wanted)
    return passed(
        f"{chapter.live} holds what the file holds: {count} key{'s' * (count != 1)}, the same"
        " SHA-256 each."
    )


def _named(keys: set[str]) -> str:
    return ", ".join(sorted(key_path(key) for key in keys))


def _is_revision(revision: str, head: str) -> bool:
    return revision == f"main@sha1:{head}"


def _short(revision: str) -> str:
    branch, _, commit = revision.partition("@")
    return f"{commit.partition(':')[2][:7] or 'something else'} of {branch}"
