"""Secrets and credentials inside the documents of a YAML or JSON file, however deep they lie.

Looked at: v1 Secrets on their own, in Lists, in other objects and in strings (ConfigMaps, Helm
values, patches, the annotation of kubectl apply); what Kustomize makes Secrets from; kubeconfigs;
registry credentials; other files that sops encrypted.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

from sopslab.policy import (
    ciphertext,
    documents,
    obligations,
    passwords,
    patches,
    placeholders,
    secrets,
    sops,
    templates,
)
from sopslab.policy.documents import Mapping, Node, Scalar, Sequence
from sopslab.policy.findings import Hit, Undecidable, key_path
from sopslab.policy.secrets import Place

MAX_EMBEDDED = 3
_EMBEDDED = ("ecret", "auths", "client-key-data")
_KUBECONFIG_KEYS = ("client-key-data", "token", "password")
_REGISTRY_KEYS = ("auth", "password", "identitytoken", "registrytoken")


def check(document: Node, place: Place, depth: int = 0) -> Iterator[Hit]:
    """Yield the findings of one document. Raises Undecidable if a part exceeds the bounds."""
    lines: set[int] = set()
    for hit in _parts(document, place, depth):
        lines.add(hit.line)
        yield hit
    for hit in _whole(document, place):
        # What a Secret already reported is not reported again as part of an encrypted file.
        if hit.rule == "yaml-duplicate-key" or hit.line not in lines:
            yield hit


def _parts(document: Node, place: Place, depth: int) -> Iterator[Hit]:
    """Yield the findings in the mappings and strings of *document*."""
    # The ids of nodes that are Secrets by where they are.
    held: set[int] = set()
    block = sops.metadata(document)
    for node in documents.walk(document):
        if isinstance(node, Mapping):
            found = documents.fields(node)
            if secrets.is_secret(found) or id(node) in held:
                yield from secrets.check(node, block, place)
            else:
                yield from _strays(found, block, place)
            if documents.text_of(found.get("kind")).lower() == "secretlist":
                held.update(map(id, documents.items(found.get("items"))))
            if "encryptedData" in found:
                # What a SealedSecret holds is encrypted, but looks like a token.
                sealed = (
                    documents.text_of(leaf) for _, leaf in documents.leaves(found["encryptedData"])
                )
                place.sealed.update(filter(placeholders.is_sealed, sealed))
            yield from _generators(found, place)
            yield from patches.check(found, place)
            yield from _kubeconfig(found)
            yield from _registry(found)
            yield from _patch(found, place)
            yield from _web_key(found)
        elif isinstance(node, Scalar):
            if ciphertext.is_foreign(str(node.value)):
                place.sealed.add(str(node.value).strip())
            if depth >= MAX_EMBEDDED:
                continue
            yield from _embedded(node, place, depth)


def _whole(document: Node, place: Place) -> Iterator[Hit]:
    """Yield the findings about the document as a whole."""
    is_secret = secrets.is_secret(documents.fields(document))
    if is_secret or place.in_secrets_tree:
        for key, line in documents.duplicate_keys(document):
            yield Hit(line, "yaml-duplicate-key", f"the key {key_path(key)} occurs twice")
    if not is_secret:
        found = sops.metadata(document)
        if found is not None and (found.mac or found.recipients):
            yield from found.problems()
            yield from place.expected().problems(found)
            yield from _left_out(document, found, place)
            for path, leaf in sops.plaintext_leaves(document, found, _demanded(document, place)):
                text = f"{key_path(*path)} is in plain text in an encrypted file"
                yield Hit(documents.line_of(leaf), "secret-plaintext", text)
    yield from passwords.in_document(document, place.names)


def _demanded(document: Node, place: Place) -> Callable[[tuple[str, ...]], bool]:
    """Return a function that tells which paths must be encrypted, whatever the file's options say.

    In the secrets tree these are all, elsewhere those that the creation rule selects. In Kubernetes
    objects there are none.
    """
    if obligations.is_named(document):
        return lambda _: False
    return (lambda _: True) if place.in_secrets_tree else place.expected().selects


def _left_out(document: Node, found: sops.Metadata, place: Place) -> Iterator[Hit]:
    """Yield values that an encrypted file keeps in plain text because of their key's suffix."""
    suffix = found.options.get("unencrypted_suffix", "")
    for key, _, content in documents.entries(document) if suffix else ():
        for below, leaf in documents.leaves(content):
            path, text = (key, *below), documents.text_of(leaf)
            marked = next((part for part in path if part.endswith(suffix)), "")
            if marked and text and not sops.is_encrypted(text):
                is_password = passwords.is_real(marked.removesuffix(suffix), text)
                if place.in_secrets_tree or key.lower() in secrets.SECTIONS or is_password:
                    name = f"{key_path(*path)} is left in plain text by sops"
                    yield Hit(documents.line_of(leaf), "secret-unencrypted-suffix", name)


_SCHEMA = frozenset(("type", "description", "additionalProperties", "properties", "$ref"))
_OTHER_SECRET = re.compile(r"(?:Cluster|Global|Shared|Sops|Replicated)Secret")


def _strays(found: dict[str, Node], block: sops.Metadata | None, place: Place) -> Iterator[Hit]:
    """Yield plain values of Secrets that a chart or an operator is to make.

    `stringData` always counts, since only Secrets have it. `data` counts in `secretTemplates`, and
    in an object of a kind such as ClusterSecret.

    + block: the metadata of the document
    """
    suffix = block.options.get("unencrypted_suffix", "") if block is not None else ""
    for name, content in found.items():
        if name.casefold() == "stringdata" and not _is_schema(content):
            yield from _values(content, place, name, suffix)
    if _OTHER_SECRET.fullmatch(documents.text_of(found.get("kind"))) and "data" in found:
        yield from _values(found["data"], place, "data")
    for template in documents.items(found.get("secretTemplates")):
        for name, _, content in documents.entries(template):
            if name == "data":
                yield from _values(content, place, name)


def _is_schema(content: Node) -> bool:
    fields = documents.fields(content)
    return bool(fields) and fields.keys() <= _SCHEMA


def _values(content: Node, place: Place, section: str, suffix: str = "") -> Iterator[Hit]:
    for path, leaf in documents.leaves(content) if isinstance(content, Mapping) else ():
        # A value that sops left out because of its suffix has its own finding (_left_out).
        if not (suffix and any(part.endswith(suffix) for part in path)):
            yield from secrets.leaf((section, *path), leaf, place)


def _generators(found: dict[str, Node], place: Place) -> Iterator[Hit]:
    # kustomize ignores the case of a field's name.
    folded = {key.casefold(): node for key, node in found.items()}
    generators = documents.items(folded.get("secretgenerator"))
    if documents.text_of(found.get("kind")) == "SecretGenerator":
        generators.append(Mapping("", [(Scalar("", key), node) for key, node in found.items()]))
    for generator in generators:
        fields = {key.casefold(): node for key, _, node in documents.entries(generator)}
        for literal in documents.items(fields.get("literals")):
            key, _, value = documents.text_of(literal).partition("=")
            value = value.strip("\"'")
            if value and not sops.is_encrypted(value) and not _is_replaced(value, place):
                text = f"the literal {key_path(key)} of a secretGenerator is in plain text"
                yield Hit(documents.line_of(literal), "generator-literal", text)
        sources = [*documents.items(fields.get("files")), *documents.items(fields.get("envs"))]
        for source in [*sources, *([fields["env"]] if "env" in fields else [])]:
            yield from _generator_source(source, place)


def _is_replaced(value: str, place: Place) -> bool:
    """True for a template that some tool fills in before kustomize runs; with Flux, none does."""
    bare = re.search(r"\$[A-Za-z_]", value)
    return not place.for_flux and bare is None and placeholders.is_template(value)


def _generator_source(source: Node, place: Place) -> Iterator[Hit]:
    name = documents.text_of(source).rpartition("=")[2]
    if not name:
        return
    path = posixpath.normpath(posixpath.join(posixpath.dirname(place.path), name))
    data = place.read(path)
    if data is None or not data.strip():
        return
    text = data.decode("utf-8-sig", "replace")
    certificate = "BEGIN CERTIFICATE" in text or "BEGIN PUBLIC KEY" in text
    if not certificate and not sops.is_encrypted_file(text):
        message = "a secretGenerator reads a file that is not encrypted"
        yield Hit(documents.line_of(source), "generator-plaintext-source", message)


def _kubeconfig(found: dict[str, Node]) -> Iterator[Hit]:
    for entry in documents.items(found.get("users")):
        user = documents.get(entry, "user")
        for key, _, value in documents.entries(user):
            text = documents.text_of(value)
            if key in _KUBECONFIG_KEYS and text and not _is_harmless(text):
                line = documents.line_of(value)
                yield Hit(line, "kubeconfig-credential", f"{key_path('user', key)} of a kubeconfig")


def _registry(found: dict[str, Node]) -> Iterator[Hit]:
    entries = [entry for _, _, entry in documents.entries(found.get("auths"))]
    # The old form, .dockercfg, has the hosts at its top.
    entries += [node for key, node in found.items() if "." in key and documents.get(node, "auth")]
    for entry in entries:
        for key, _, value in documents.entries(entry):
            text = documents.text_of(value)
            if key in _REGISTRY_KEYS and text and not _is_harmless(text):
                line = documents.line_of(value)
                yield Hit(line, "registry-credential", f"{key_path('auths', key)} of a registry")
                break


def _web_key(found: dict[str, Node]) -> Iterator[Hit]:
    """Yield a private or symmetric JSON Web Key (RFC 7517)."""
    for part in ("d", "k"):
        if "kty" in found and len(documents.text_of(found.get(part))) >= 20:
            yield Hit(documents.line_of(found[part]), "key-private", "a private JSON Web Key")


def _is_harmless(text: str) -> bool:
    return sops.is_encrypted(text) or placeholders.is_placeholder(text)


def _patch(found: dict[str, Node], place: Place) -> Iterator[Hit]:
    """Yield a JSON patch (RFC 6902) that puts a plain value into a Secret."""
    path, value = documents.text_of(found.get("path")), found.get("value")
    if "op" in found and value is not None and path.startswith("/stringData"):
        for below, leaf in documents.leaves(value):
            text = documents.text_of(leaf)
            replaced = placeholders.is_template(text) and not place.for_flux
            if text and not sops.is_encrypted(text) and not replaced:
                name = key_path(*path.strip("/").split("/"), *below)
                yield Hit(documents.line_of(leaf), "secret-plaintext", f"{name} is in plain text")


def _embedded(node: Scalar, place: Place, depth: int) -> Iterator[Hit]:
    """Yield the findings in a string whose text is itself a document."""
    text = str(node.value)
    if len(text) < 24 or not any(word in text for word in _EMBEDDED):
        return
    if "\n" not in text and "{" not in text:
        return
    first = documents.line_of(node)
    exact = node.style in ("|", ">")
    try:
        parsed = documents.parse(text)
    except Undecidable:
        if place.in_secrets_tree:
            raise
        parsed = documents.Parsed((), 1)
    hits: list[Hit] = []
    if parsed.error_line:
        hits.extend(templates.plaintext_secrets(text))
    for inner in parsed.documents:
        if isinstance(inner, Mapping | Sequence):
            hits.extend(check(inner, place, depth + 1))
    for hit in hits:
        yield Hit(first + hit.line if exact else first, hit.rule, f"{hit.message}, in a string")
