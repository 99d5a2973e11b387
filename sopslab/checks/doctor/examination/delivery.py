"""From the source controller into the namespace: the Kustomization, and what it has applied."""

from __future__ import annotations

from collections.abc import Iterator

from sopslab.checks.doctor.examination.content import listed_manifests
from sopslab.checks.doctor.examination.platform import hands_off, restore
from sopslab.checks.doctor.objects import LEFT_ALONE, named
from sopslab.checks.doctor.results import Cause, cause
from sopslab.checks.doctor.seen import Seen, known
from sopslab.course.chapter import UP
from sopslab.layout import KEY_SECRET
from sopslab.model.objects import Object, condition
from sopslab.policy.findings import key_path


def examine_kustomization(seen: Seen) -> Iterator[Cause]:
    """Yield what of the Kustomization is not as the platform has it."""
    found, chapter = kustomization(seen), seen.chapter
    what = _what(seen)
    if found is None:
        yield cause(
            "kustomization-missing",
            "Flux has no Kustomization for the environment, so it applies nothing.",
            what,
            "is gone",
            UP,
        )
        return
    spec = found["spec"]
    if spec.get("suspend"):
        yield cause(
            "suspended-kustomization",
            "The Kustomization is suspended, so Flux applies nothing new; Ready is of before.",
            what,
            "spec.suspend is true",
            f"flux --namespace {chapter.system} resume kustomization"
            f" {seen.environment.kustomization}",
        )
    path = str(spec.get("path", ""))
    if path.strip("./") != chapter.folder:
        yield cause(
            "wrong-path",
            "The Kustomization looks at another folder than the one with the secrets.",
            what,
            f"spec.path is {path}, not ./{chapter.folder}{hands_off(found)}",
            restore(found, seen),
        )
    decryption = spec.get("decryption") or {}
    if decryption.get("provider") != "sops":
        yield cause(
            "decryption-off",
            "The Kustomization does not decrypt.",
            what,
            f"has no spec.decryption with the provider sops{hands_off(found)}",
            restore(found, seen),
        )
    elif (decryption.get("secretRef") or {}).get("name") != KEY_SECRET:
        yield cause(
            "wrong-key-reference",
            f"The Kustomization does not decrypt with {KEY_SECRET}.",
            what,
            f"spec.decryption.secretRef names another Secret{hands_off(found)}",
            restore(found, seen),
        )
    if (spec.get("sourceRef") or {}).get("name") != chapter.source:
        yield cause(
            "wrong-source",
            "The Kustomization does not apply the learner's repository.",
            what,
            f"spec.sourceRef does not name {chapter.source}{hands_off(found)}",
            restore(found, seen),
        )


def examine_live(seen: Seen) -> Iterator[Cause]:
    """Yield what was changed by hand of what Flux has applied.

    It is told where Flux has applied exactly main, and from the right place: else the difference is
    what Flux has not done.
    """
    objects, repository = known(seen.objects), known(seen.repository)
    found = kustomization(seen)
    if found is None or repository.main is None:
        return
    status, spec = found.get("status") or {}, found["spec"]
    if (
        status.get("lastAppliedRevision") != f"main@sha1:{repository.main}"
        or condition(found, "Ready").get("status") != "True"
        or str(spec.get("path", "")).strip("./") != seen.chapter.folder
        or (spec.get("sourceRef") or {}).get("name") != seen.chapter.source
    ):
        return
    namespace, reconcile = seen.environment.namespace, seen.chapter.reconcile
    for manifest in listed_manifests(repository).values():
        name, wanted = manifest.file.name, manifest.file.digests
        if not wanted or manifest.file.namespace not in ("", namespace):
            continue
        what = f"Secret {namespace}/{name}"
        live = objects.live.get(name)
        if live is None:
            yield cause(
                "deleted-secret",
                f"The Secret {name} was deleted by hand; Flux brings it back at its interval.",
                what,
                "is gone, though Flux has applied it from main",
                reconcile,
            )
            continue
        changed = {
            key
            for key in wanted.keys() | live.digests.keys()
            if wanted.get(key) != live.digests.get(key)
        }
        if changed:
            keys = ", ".join(sorted(key_path(key) for key in changed))
            kept = live.left_alone
            yield cause(
                "drifted-secret",
                f"The Secret {name} was changed by hand"
                + (", and Flux is told to leave it so." if kept else "; Flux will put it right."),
                what,
                f"differs from main in {keys}, by SHA-256",
                f"kubectl -n {namespace} annotate secret {name} {LEFT_ALONE}- && {reconcile}"
                if kept
                else reconcile,
            )


def kustomization(seen: Seen) -> Object | None:
    """Return the Kustomization of the environment, None if it is gone."""
    return named(known(seen.objects).flux.kustomizations, seen.environment.kustomization)


def _what(seen: Seen) -> str:
    return f"Kustomization {seen.chapter.system}/{seen.environment.kustomization}"
