"""Secrets in a tree: encrypted, in the right namespace, and applied as they were encrypted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sopslab.policy import files, findings, manifests
from sopslab.policy.findings import Finding
from sopslab.policy.recipients import Expected
from sopslab.policy.secrets import Place
from sopslab.validation.findings import finding
from sopslab.validation.objects import File, Object, Reader, at
from sopslab.validation.overlays import Overlay, environment_of

# The policy's rules about Secrets. The hook no-secrets checks the other rules, and for whom a file
# has to be encrypted.
_RULES = ("secret-", "sops-", "generator-")
_ANYBODY = Expected(frozenset(), None)
_NAMESPACED = ("Secret", "ConfigMap")
_TRANSFORMERS = (
    *("namespace", "namePrefix", "nameSuffix", "patches", "patchesStrategicMerge"),
    *("patchesJson6902", "replacements", "transformers", "labels", "commonLabels"),
    *("commonAnnotations", "generatorOptions", "components"),
)
_OWN = ("finalizers", "ownerReferences", "generateName")
_AGAIN = (
    "make the Secret again, since an encrypted file must not be edited by hand: "
    "scripts/sops-encrypt-secret.sh {} {} --force"
)


def check_encryption(file: File, reader: Reader) -> Iterator[Finding]:
    """Yield Secrets in plain text, by the project's policy, which may raise Undecidable."""
    place = Place(
        file.path,
        files.Path(file.path).in_secrets_tree,
        lambda: _ANYBODY,
        reader.tree.read,
    )
    for document in file.documents:
        for hit in manifests.check(document, place):
            if hit.rule.startswith(_RULES):
                fix = findings.FIXES[hit.rule]
                yield finding(file.path, hit.line, hit.rule, hit.message, fix)


def check_environment(file: File, namespaces: Mapping[str, str | None]) -> Iterator[Finding]:
    """Yield what does not belong to the environment that a file lies in.

    + namespaces: the namespace of each environment, None for other folders (`environments`)
    """
    environment = environment_of(file.path)
    wanted = namespaces.get(environment)
    if wanted is None:
        return
    for one in file.objects:
        if one.api_version != "v1":
            continue
        if one.kind == "Namespace":
            text = "a Namespace among the secrets of an environment"
            yield finding(file.path, one.line, "namespace-object", text)
        elif one.kind in _NAMESPACED and not one.namespace:
            text = f"a {one.kind} without metadata.namespace; it should be {wanted}"
            fix = "" if not one.is_encrypted else _AGAIN.format(environment, one.name)
            line = one.line_at("metadata")
            yield finding(file.path, line, "namespace-missing", text, fix)
        elif one.kind in _NAMESPACED and one.namespace != wanted:
            text = f"metadata.namespace is {one.namespace!r}, and the environment's is {wanted}"
            fix = _AGAIN.format(environment, one.name) if one.kind == "Secret" else ""
            line = one.line_at("metadata", "namespace")
            yield finding(file.path, line, "namespace-mismatch", text, fix)


def check_transformed(
    objects: Sequence[Mapping[str, Any]],
    originals: Mapping[str, Sequence[tuple[Object, Any]]],
    parts: Sequence[Overlay],
    spec: Mapping[str, Any],
) -> Iterator[Finding]:
    """Yield encrypted objects that a kustomization changed.

    Changes by the Flux Kustomization itself are left to its author, since Flux checks no mac.

    + objects: what was built
    + originals: by mac, the objects that are written with it, and their content; documents that
      were encrypted together have the same mac
    + parts: the overlays that the build consists of
    + spec: the spec of the Flux Kustomization
    """
    own = [*_OWN, *(() if spec.get("targetNamespace") else ("namespace",))]
    own += [] if spec.get("namePrefix") or spec.get("nameSuffix") else ["name"]
    own += [] if spec.get("commonMetadata") else ["labels", "annotations"]
    if spec.get("patches") and not any(
        part.has(field) for part in parts for field in _TRANSFORMERS
    ):
        return
    for built in objects:
        mac = at(built, "sops", "mac")
        if not isinstance(mac, str) or mac not in originals:
            continue
        wanted = _compared(built, own)
        if any(wanted == _compared(said, own) for _, said in originals[mac]):
            continue
        written, said = min(originals[mac], key=lambda one: _name(one[1]) != _name(built))
        if written.text("sops", "mac_only_encrypted") == "true":
            continue
        place, line, field = _transformer(parts, built, said)
        text = f"{field} changes the encrypted {written.kind} {written.name} of {written.path}: "
        text += "its message authentication code (MAC) covers the whole file and holds no longer"
        yield finding(place, line, "encrypted-transformed", text)


def _transformer(
    parts: Sequence[Overlay], built: Mapping[str, Any], said: Any
) -> tuple[str, int, str]:
    """Return the likeliest cause: first the field `namespace`, if the namespaces differ."""
    moved = at(built, "metadata", "namespace") != at(said, "metadata", "namespace")
    fields = _TRANSFORMERS if moved else _TRANSFORMERS[1:]
    for field in fields:
        for part in parts:
            if part.has(field):
                return part.place, part.line_of(field), field
    return parts[0].place, 1, "the kustomization"


def _compared(manifest: Any, fields: Sequence[str]) -> dict[str, Any]:
    """Return an object without its sops block, and of its metadata only some fields."""
    whole = dict(manifest) if isinstance(manifest, dict) else {}
    metadata = whole.get("metadata")
    if isinstance(metadata, dict):
        whole["metadata"] = {key: metadata.get(key) or None for key in fields}
    return {**whole, "sops": None}


def _name(manifest: Any) -> tuple[Any, Any]:
    return at(manifest, "kind"), at(manifest, "metadata", "name")
