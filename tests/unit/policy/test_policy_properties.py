"""Whatever the shape of a file, no encrypted leaf is reported, and every plaintext leaf is.

Shapes: block and flow style, JSON, several documents, Lists, Secrets inside other objects and in
strings, anchors (PyYAML writes an object that occurs twice as anchor and alias).
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sopslab.policy import documents, engine, placeholders, sops
from sopslab.policy.findings import Hit, Undecidable
from sopslab.policy.recipients import Rules, Trusted
from sopslab.policy.sources import Blob, Tree
from tests.unit.policy import policy_material

NO_FILES = Tree([])
SOPS = yaml.safe_load(policy_material.sops_block(policy_material.RECIPIENT))["sops"]
ENCRYPTED = [policy_material.encrypted_value() for _ in range(20)]
KEYS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=8)


def hits(text: str, path: str = "a.yaml") -> list[Hit]:
    """Return what the policy says about one file, gitleaks left out."""
    rules = Rules(lambda _: None, lambda _: False, Trusted())
    return list(engine.File(Blob(path, "100644", text.encode()), rules, NO_FILES).hits())


@st.composite
def plaintexts(draw: st.DrawFn) -> Any:
    """A value that is not a template: text of any kind, numbers, booleans."""
    value = draw(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40),
            st.sampled_from(["ENC[x]", ENCRYPTED[0] + "x", "ENC", "**SOPS**", "null ", "~x"]),
            st.integers(),
            st.booleans(),
        )
    )
    assume(not placeholders.is_template(str(value)))
    return value


@st.composite
def secrets(draw: st.DrawFn, leaves: st.SearchStrategy[Any]) -> dict[str, Any]:
    """A v1 Secret with *leaves*, in data, stringData or both."""
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    sections = draw(st.lists(st.sampled_from(["data", "stringData"]), min_size=1, unique=True))
    for section in sections:
        secret[section] = draw(st.dictionaries(KEYS, leaves, min_size=1, max_size=4))
    order = draw(st.permutations(list(secret)))
    return {key: secret[key] for key in order}


@st.composite
def files(draw: st.DrawFn, leaves: st.SearchStrategy[Any]) -> tuple[str, list[dict[str, Any]]]:
    """A file and the Secrets in it."""
    held = draw(st.lists(secrets(leaves), min_size=1, max_size=3))
    if draw(st.booleans()):
        held.append(held[0])
    shape = draw(st.sampled_from(["documents", "list", "values"]))
    if shape == "documents":
        roots = [{**secret, "sops": SOPS} for secret in held]
    elif shape == "list":
        roots = [{"apiVersion": "v1", "kind": "List", "items": held, "sops": SOPS}]
    else:
        roots = [{"kind": "HelmRelease", "spec": {"values": {"x": {"y": held}}}, "sops": SOPS}]
    if draw(st.booleans()):
        return "\n".join(json.dumps(root, indent=draw(INDENT)) for root in roots), held
    style = draw(st.sampled_from([None, True, False]))
    text = yaml.safe_dump_all(roots, default_flow_style=style, sort_keys=draw(st.booleans()))
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", "# a\n", "\ufeff"])) + text, held


INDENT = st.sampled_from([None, 2, "\t"])


@given(files(st.sampled_from(ENCRYPTED)))
@settings(max_examples=150)
def test_no_encrypted_leaf_is_reported(case: tuple[str, list[dict[str, Any]]]) -> None:
    assert hits(case[0]) == []


@given(files(st.sampled_from(["", None])))
@settings(max_examples=50)
def test_nothing_is_no_secret(case: tuple[str, list[dict[str, Any]]]) -> None:
    assert hits(case[0]) == []


@given(
    files(st.one_of(st.sampled_from(ENCRYPTED), plaintexts())), st.sampled_from(["yaml", "yml~"])
)
@settings(max_examples=300)
def test_every_plaintext_leaf_is_reported(
    case: tuple[str, list[dict[str, Any]]], extension: str
) -> None:
    text, held = case
    expected = {
        f"{section}.{key}"
        for secret in held
        for section in ("data", "stringData")
        for key, value in secret.get(section, {}).items()
        if not (isinstance(value, str) and sops.is_encrypted(value))
    }
    found = {
        hit.message.split(" ")[0] for hit in hits(text, f"a.{extension}") if "secret-" in hit.rule
    }
    assert found == expected


@given(secrets(plaintexts()), st.sampled_from(["|", ">", '"']))
@settings(max_examples=100)
def test_a_plaintext_secret_in_a_string_is_reported(secret: dict[str, Any], style: str) -> None:
    holder = {"kind": "ConfigMap", "data": {"a.yaml": yaml.safe_dump(secret)}}
    text = yaml.safe_dump(holder, default_style=style)
    assert any(hit.rule.startswith("secret-") for hit in hits(text))


@given(
    st.binary(max_size=300), st.sampled_from(["a.yaml", "flux/secrets/a.yaml", "a.json", ".env"])
)
@settings(max_examples=300)
def test_any_bytes_are_judged(data: bytes, path: str) -> None:
    rules = Rules(lambda _: None, lambda _: False, Trusted())
    try:
        list(engine.File(Blob(path, "100644", data), rules, NO_FILES).hits())
    except Undecidable as error:
        assert str(error)


# With the slash, the mark does not look like a key; names of keys are shown.
MARK = "zq9X/markXq9z"
PIECES = st.sampled_from(
    [
        *("apiVersion: v1\n", "kind: Secret\n", "stringData:\n", "sops:\n", "  ", "\t", "- "),
        *("{", "}", "[", "]", "&a ", "*a ", "<<: ", "? ", ": ", "|\n", ">-\n", "---\n", "...\n"),
        *("!!binary ", "%YAML 9\n", '"', "'", "\\", "\n", "\r", "{{", "}}", "ENC["),
        *(MARK, f"  password: {MARK}\n"),
    ]
)


@given(st.lists(PIECES, max_size=40), st.sampled_from(["a.yaml", "flux/secrets/a.yaml", "a.json"]))
@example(["stringData: {", f"password:{MARK}", "}"], "a.yaml")
@settings(max_examples=400)
def test_broken_input_ends_bounded_and_is_never_shown(pieces: list[str], path: str) -> None:
    try:
        shown = " ".join(hit.message for hit in hits("".join(pieces), path))
    except Undecidable as error:
        shown = str(error)
    assert MARK not in shown


@given(st.integers(1, 3000), st.sampled_from(["[", "{a: ", "- ", "? "]))
@settings(max_examples=40)
def test_deep_nesting_is_bounded(depth: int, piece: str) -> None:
    try:
        documents.parse(piece * depth)
    except Undecidable as error:
        assert "nested too deeply" in str(error)


HOSTILE = {
    "blank lines": "secret\n" + "\n" * 50_000,
    "blanks and lines": "\n \n" * 20_000,
    "long blanks": f"AB{' ' * 50_000}x\nAB={' ' * 50_000}x\n",
    "open templates": "{{" * 30_000,
    "open variables": "${" * 30_000,
    "half an identity": policy_material.AGE + "1" + "q " * 30_000,
    "many markers": f"{policy_material.DASHES}BEGIN PRIVATE KEY{policy_material.DASHES}\n" * 1_000,
    "almost URLs": "http://a:bbb" * 5_000,
    "many Secrets": "kind: Secret\ndata: {" * 3_000,
    "many sections": "kind: Secret\n" + "data:\n" * 10_000,
    "many entries": "kind: Secret\ndata:\n" + "  a: b\n" * 15_000,
    "many items": "kind: SecretList\nitems:\n" + "- {}\n" * 20_000,
    "many passwords": f"password: {policy_material.PASSWORD}\n" * 5_000,
    "base64": "LS0tLS1CRUdJTiB" * 4_000,
    "words": "password" * 8_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", ["a.txt", "a.yaml", "a.sh", "a.py", "flux/secrets/a.env"])
def test_hostile_text_takes_no_quadratic_time(name: str, path: str) -> None:
    started = time.process_time()
    with contextlib.suppress(Undecidable):
        hits(HOSTILE[name], path)
    # Linear work on these texts takes well under a second; quadratic work took minutes.
    assert time.process_time() - started < 5
