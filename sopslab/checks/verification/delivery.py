"""The way from the Git server into the cluster: read, applied, there. Ready alone is no proof."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from sopslab.checks.causes import APPLYING, READING, cause_of
from sopslab.course.chapter import UP, Chapter
from sopslab.layout import KUSTOMIZATION
from sopslab.model.objects import Object, condition
from sopslab.model.results import Status, Verdict, awaited, failed, passed
from sopslab.policy.findings import key_path

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
                f"flux --namespace {chapter.system} get source git {chapter.source}",
            )
        return failed(f"stale source: {cause.meaning(chapter)}, and {read}.", cause.fix(chapter))
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return awaited(
            "Flux has not yet looked at the present form of the GitRepository.", chapter.wait
        )
    if not _is_revision(revision, head):
        return awaited(f"Flux has not read {head[:7]} yet: {read}.", chapter.wait)
    if ready.get("status") != "True":
        return awaited(f"Flux is reading the repository at the moment, and {read}.", chapter.wait)
    if source.stored is False:
        return failed(
            f"Flux says that it stored {head[:7]}, but its source controller does not have it.",
            f"flux --namespace {chapter.system} reconcile source git {chapter.source}",
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
        return failed(
            f"Flux could not apply the repository: {cause.meaning(chapter)}.", cause.fix(chapter)
        )
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return awaited(
            f"Flux has not yet looked at the present form of {KUSTOMIZATION}.", chapter.wait
        )
    revision = str(status.get("lastAppliedRevision", ""))
    if not _is_revision(revision, head):
        last = f"what it last applied is {_short(revision)}" if revision else "it applied nothing"
        return awaited(f"Flux has not applied {head[:7]} yet: {last}.", chapter.wait)
    if ready.get("status") != "True":
        return awaited(f"Flux is at work on {KUSTOMIZATION} at the moment.", chapter.wait)
    entries = (status.get("inventory") or {}).get("entries") or []
    wanted = f"{chapter.namespace}_{chapter.secret}__Secret"
    if wanted not in {entry.get("id") for entry in entries}:
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
    labels = None if live is None else live.labels
    digests = {} if live is None else live.digests
    form = judge_form(labels, digests.keys(), wanted.keys(), chapter)
    if form.status is not Status.OK:
        return form
    others = {key for key, digest in wanted.items() if digests[key] != digest}
    if others:
        return failed(
            f"{chapter.live} has another value for {_named(others)} than the file.",
            chapter.reconcile,
        )
    count = len(wanted)
    return passed(
        f"{chapter.live} holds what the file holds: {count} key{'s' * (count != 1)}, the same"
        " SHA-256 each."
    )


def judge_form(
    labels: Mapping[str, str] | None, keys: Set[str], wanted: Set[str], chapter: Chapter
) -> Verdict:
    """Judge what can be said of the Secret in the cluster without any of its values.

    + labels: those of the Secret, None without one
    + keys: the keys that it has
    + wanted: the keys of the file
    """
    if labels is None:
        return failed(f"{chapter.live} does not exist.", chapter.reconcile)
    owner = labels.get(f"{_OWNER}/namespace"), labels.get(f"{_OWNER}/name")
    if owner != (chapter.system, KUSTOMIZATION):
        return failed(f"{chapter.live} was not made by Flux.", chapter.reconcile)
    for found, differing in (
        ("lacks {} of the file", wanted - keys),
        ("has {}, which the file does not have", keys - wanted),
    ):
        if differing:
            return failed(f"{chapter.live} {found.format(_named(differing))}.", chapter.reconcile)
    return passed(f"{chapter.live} was made by Flux, and has the keys of the file.")


def _named(keys: Set[str]) -> str:
    return ", ".join(sorted(key_path(key) for key in keys))


def _is_revision(revision: str, head: str) -> bool:
    return revision == f"main@sha1:{head}"


def _short(revision: str) -> str:
    branch, _, commit = revision.partition("@")
    return f"{commit.partition(':')[2][:7] or 'something else'} of {branch}"
