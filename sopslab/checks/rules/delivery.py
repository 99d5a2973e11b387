"""From the source controller to the namespace: the Kustomization, and what it has applied."""

from __future__ import annotations

from collections.abc import Iterator, Set

from sopslab.checks.delivery import has_applied
from sopslab.checks.objects import LEFT_ALONE, kustomization, resume
from sopslab.checks.rules.content import listed_manifests
from sopslab.checks.rules.platform import hands_off, restore
from sopslab.checks.rules.results import Cause, cause
from sopslab.checks.snapshot import LiveSecret, Manifest, Opened, Snapshot, known
from sopslab.course.chapter import UP
from sopslab.layout import KEY_SECRET
from sopslab.model.builds import build_of
from sopslab.model.objects import Object, condition, is_ready, is_suspended
from sopslab.model.suspension import BUILD, ROTATE, suspended_by
from sopslab.policy.findings import key_path


def examine_kustomization(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each way in which the Kustomization differs from the platform's."""
    found, chapter, environment = kustomization(seen), seen.chapter, seen.environment
    what = f"Kustomization {chapter.system}/{environment.kustomization}"
    if found is None:
        yield cause(
            "kustomization-missing",
            f"Flux has no Kustomization {environment.kustomization}, so it applies nothing of"
            " yours.",
            what,
            "is gone",
            UP,
        )
        return
    if is_suspended(found):
        yield cause(
            "suspended-kustomization",
            f"The Kustomization {environment.kustomization} is suspended, so Flux applies nothing"
            " new; Ready is from before.",
            what,
            *_suspended(found, environment.id),
        )
    for id, sentence, seen_there in _drifted(found, seen):
        yield cause(id, sentence, what, f"{seen_there}{hands_off(found)}", restore(found, seen))


def _suspended(found: Object, learner: str) -> tuple[str, str]:
    """Return why a Kustomization is suspended, as far as is known, and what resumes it. What a verb
    of ours has suspended is not to be resumed by hand: the same build would begin again, and a
    rotation would stay unfinished."""
    by = suspended_by(found)
    if by == BUILD:
        return "its build did not end, and was stopped", f"sopslab reset {learner}"
    if by == ROTATE:
        return "by a rotation that did not end", "run the same `sopslab rotate` again"
    return "spec.suspend is true", resume(found)


def examine_build(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if the build of the environment's main does not end. Whoever waits for it has
    no fault."""
    own = known(seen.holder) == seen.environment.id
    found = kustomization(seen)
    if own and found is not None and build_of(condition(found, "Reconciling")) is not None:
        yield cause(
            "endless-build",
            "The build of main does not end, and everybody waits for it.",
            f"Kustomization {seen.chapter.system}/{seen.environment.kustomization}",
            "is being built for longer than any ordinary build takes",
            f"sopslab reset {seen.environment.id}",
        )


def _drifted(found: Object, seen: Snapshot) -> Iterator[tuple[str, str, str]]:
    """Yield a cause's id, a sentence and the present value for each field that differs from the
    platform's."""
    spec, chapter = found["spec"], seen.chapter
    path = str(spec.get("path", ""))
    if not _looks_at(path, seen):
        yield (
            "wrong-path",
            "The Kustomization looks at another folder than the one with the secrets.",
            f"spec.path is {path}, not ./{chapter.folder}",
        )
    decryption = spec.get("decryption") or {}
    if decryption.get("provider") != "sops":
        yield (
            "decryption-off",
            "The Kustomization does not decrypt.",
            "has no spec.decryption with the provider sops",
        )
    elif (decryption.get("secretRef") or {}).get("name") != KEY_SECRET:
        yield (
            "wrong-key-reference",
            f"The Kustomization does not decrypt with {KEY_SECRET}.",
            "spec.decryption.secretRef names another Secret",
        )
    if not _reads_the_source(spec, seen):
        yield (
            "wrong-source",
            "The Kustomization does not apply the learner's repository.",
            f"spec.sourceRef does not name {chapter.source}",
        )
    if (account := spec.get("serviceAccountName")) != seen.environment.account:
        yield (
            "wrong-account",
            f"The Kustomization does not act as the ServiceAccount {seen.environment.account}.",
            f"spec.serviceAccountName is {account or 'not set'}",
        )


def _looks_at(path: str, seen: Snapshot) -> bool:
    return path.strip("./") == seen.chapter.folder


def _reads_the_source(spec: Object, seen: Snapshot) -> bool:
    return (spec.get("sourceRef") or {}).get("name") == seen.chapter.source


def examine_live(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each Secret that is gone, not made by Flux, or has other keys, although
    Flux has applied it.

    This is judged only if Flux has applied exactly this tree, from the right folder and source.
    Otherwise, Flux may not have applied the Secret yet.
    """
    namespace, live = seen.environment.namespace, known(seen.live)
    for wanted in _applied(seen):
        name = wanted.name
        found = live.get(name)
        if found is None:
            yield cause(
                "deleted-secret",
                f"The Secret {name} does not exist: it was deleted by hand, and Flux brings it back"
                " at its interval.",
                f"Secret {namespace}/{name}",
                "is gone, though Flux has applied it",
                seen.chapter.reconcile,
            )
        elif found.owner != f"{seen.environment.system}/{seen.environment.kustomization}":
            yield cause(
                "unowned-secret",
                f"The Secret {name} was not made by Flux, although Flux has applied a Secret of"
                " that name.",
                f"Secret {namespace}/{name}",
                "has no label of the Kustomization",
                seen.chapter.reconcile,
            )
        elif differing := wanted.keys ^ found.keys:
            yield _changed(name, found, differing, seen)


def examine_values(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each Secret whose value is not what Flux has applied."""
    live = known(seen.live)
    for wanted in _applied(seen):
        found = live.get(wanted.name)
        # Other rules report a missing Secret, a file in plain text, and differing keys.
        if found is None or wanted.recipients is None or wanted.keys != found.keys:
            continue
        if known(wanted.opened) is not Opened.YES:
            continue
        digests = known(found.digests)
        if differing := {key for key in wanted.keys if digests[key] != wanted.digests.get(key)}:
            yield _changed(wanted.name, found, differing, seen)


def _applied(seen: Snapshot) -> Iterator[Manifest]:
    """Yield the listed Secrets of the tree; none unless Flux reports that it applied this tree."""
    found, tree = kustomization(seen), known(seen.tree)
    if found is None:
        return
    spec = found["spec"]
    if (
        has_applied(found, tree.commit)
        and is_ready(found)
        and _looks_at(str(spec.get("path", "")), seen)
        and _reads_the_source(spec, seen)
    ):
        for manifest in listed_manifests(tree).values():
            if manifest.namespace in ("", seen.environment.namespace):
                yield manifest


def _changed(name: str, found: LiveSecret, keys: Set[str], seen: Snapshot) -> Cause:
    namespace, reconcile = seen.environment.namespace, seen.chapter.reconcile
    kept = found.left_alone
    return cause(
        "drifted-secret",
        f"The Secret {name} was changed by hand"
        + (", and Flux is told to leave it so." if kept else "; Flux will put it right."),
        f"Secret {namespace}/{name}",
        f"differs from what Flux has applied in {', '.join(sorted(map(key_path, keys)))}",
        f"kubectl -n {namespace} annotate secret {name} {LEFT_ALONE}- && {reconcile}"
        if kept
        else reconcile,
    )
