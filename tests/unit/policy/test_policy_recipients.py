"""The caller and the nearest .sops.yaml say for whom a file must be encrypted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from sopslab.policy import documents, sops
from sopslab.policy.findings import Hit, Undecidable
from sopslab.policy.recipients import (
    CONFIG,
    Expected,
    Rules,
    Trusted,
    creation_rule,
    is_age_only,
)
from tests.unit.policy import policy_material

A, B, C = (policy_material.recipient() for _ in range(3))
PQ = policy_material.RECIPIENT_PQ
PGP = "0123456789ABCDEF" * 2
DEFAULT = {"unencrypted_suffix": "_unencrypted"}


def trusted(required: str = "", allowed: str = "") -> Trusted:
    return Trusted.from_environment(
        {"SOPSLAB_REQUIRED_RECIPIENTS": required, "SOPSLAB_ALLOWED_RECIPIENTS": allowed}
    )


def rules(files: dict[str, str], who: Trusted | None = None, top: str = "") -> Rules:
    return Rules(
        lambda path: files[path].encode() if path in files else None,
        lambda folder: folder == top,
        who or Trusted(),
    )


def ruled(rule: str, who: Trusted | None = None) -> Expected:
    config = {CONFIG: f"creation_rules:\n- {rule}\n"}
    return rules(config, who).expected("a.yaml", False)


def names(rule: str) -> set[str]:
    return set(ruled(rule).required)


def told(hits: Iterable[Hit]) -> list[tuple[int, str, str]]:
    return [(hit.line, hit.rule, hit.message) for hit in hits]


def test_who_is_trusted_comes_from_the_environment() -> None:
    assert trusted(f" {A} , {B},", C) == Trusted(frozenset({A, B}), frozenset({C}))
    assert Trusted.from_environment({}) == Trusted(frozenset(), frozenset())
    assert trusted(PGP.lower()).required == {PGP}


@pytest.mark.parametrize(
    ("required", "expected"),
    [(A, True), (f"{A},{PQ}", True), (f"{A},{PGP}", False), (PGP, False), ("", False)],
)
def test_whoever_demands_age_keys_alone_takes_no_other_kind(required: str, expected: bool) -> None:
    assert trusted(required).age_only is expected
    assert ruled(f"age: {A}", trusted(required)).age_only is expected


FOUND = sops.Metadata(
    7, {"mac": policy_material.mac()}, ((sops.Recipient("age", A, "x"),),), frozenset()
)


def test_whoever_can_open_a_file_must_be_allowed_and_whoever_must_can() -> None:
    assert told(Expected(frozenset({A}), frozenset({A, B})).problems(FOUND)) == []
    assert told(Expected(frozenset(), None).problems(FOUND)) == []
    assert told(Expected(frozenset({B, C}), frozenset({B})).problems(FOUND)) == [
        (7, "sops-wrong-recipient",
         f"encrypted for {A}, which is not an allowed recipient"),
        *(
            (7, "sops-missing-recipient", f"not encrypted for {one}, which must be able to read it")
            for one in sorted((B, C))
        ),
    ]  # fmt: skip


def test_whoever_holds_a_share_cannot_open_a_file_alone() -> None:
    shared = replace(FOUND, groups=tuple((sops.Recipient("age", name, "x"),) for name in (A, B)))
    assert told(Expected(frozenset({A}), None).problems(shared)) == [
        (7, "sops-missing-recipient", f"{A} cannot open it alone, but must be able to")
    ]


def test_of_a_file_for_nobody_only_the_rule_is_missed() -> None:
    nobody = replace(FOUND, groups=())
    missing = (7, "sops-no-rule", "no creation rule of .sops.yaml matches this path")
    assert told(Expected(frozenset({A}), frozenset({A})).problems(nobody)) == []
    assert told(Expected(frozenset(), None, no_rule=True).problems(nobody)) == [missing]
    assert told(Expected(frozenset(), None, no_rule=True).problems(FOUND)) == [missing]


def test_where_age_keys_alone_are_taken_others_and_made_up_ones_are_named() -> None:
    forged = replace(FOUND, foreign=frozenset({"pgp", "kms"}), fields={"mac": "ENC[]"})
    assert told(Expected(frozenset({A}), None).problems(forged)) == []
    assert told(Expected(frozenset({A}), None, age_only=True).problems(forged)) == [
        *(
            (7, "sops-foreign-recipient",
             f"has a recipient of the kind {kind}, and only age keys are taken")
            for kind in ("kms", "pgp")
        ),
    ]  # fmt: skip
    short = replace(FOUND, fields={"mac": policy_material.encrypted_value(size=64)})
    assert told(Expected(frozenset({A}), None, age_only=True).problems(short)) == [
        (7, "sops-no-mac", "the mac in the sops block is not a SHA-512")
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (f"age: {A}", {A}),
        (f"age: '{A}, {B},'", {A, B}),
        (f"age: [{A}, '{B},{C}']", {A, B, C}),
        (f"age: {A}\n  pgp: {PGP.lower()}", {A, PGP}),
        ("kms: 'arn:a+arn:aws:iam::1:role/x'", {"arn:a"}),
        ("kms: [{arn: 'arn:a', role: b}]", {"arn:a"}),
        ("gcp_kms: [{resource_id: projects/a}]", {"projects/a"}),
        ("azure_keyvault: [{vaultUrl: 'https://v', key: k, version: '1'}]",
         {"https://v/keys/k/1"}),
        ("azure_keyvault: [{vaultUrl: 'https://v', key: k}]", {"https://v/keys/k/"}),
        ("azure_keyvault: https://v/keys/k/1", {"https://v/keys/k/1"}),
        ("hc_vault_transit_uri: https://h/v1/t/keys/k", {"https://h/v1/t/keys/k"}),
        ("hc_vault: [https://h/v1/t/keys/k]", {"https://h/v1/t/keys/k"}),
        ("hckms: [{key_id: 'a:b'}]", {"a:b"}),
        (f"key_groups: [{{age: [{A}]}}, {{pgp: [{PGP}], merge: [{{age: [{B}]}}]}}]", {A, B, PGP}),
        (f"unknown: {A}", set()),
        (f"age: [{{recipient: {A}}}]", set()),
        ("age: []", set()),
    ],
)  # fmt: skip
def test_a_rule_names_recipients_in_many_ways(rule: str, expected: set[str]) -> None:
    assert names(rule) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (f"age: {A}", DEFAULT),
        ("path_regex: a", DEFAULT),
        ("encrypted_regex: ^a$\n  path_regex: a", {"encrypted_regex": "^a$"}),
        ("unencrypted_suffix: _x", {"unencrypted_suffix": "_x"}),
        ("encrypted_comment_regex: x", {"encrypted_comment_regex": "x"}),
    ],
)
def test_a_rule_says_what_is_encrypted(rule: str, expected: dict[str, str]) -> None:
    assert ruled(rule).options == expected


def test_a_rule_selects_what_its_options_say() -> None:
    expected = ruled("encrypted_regex: ^a$")
    assert expected.selects(("a",))
    assert not expected.selects(("b",))
    assert ruled(f"age: {A}").selects(("b",))
    assert not Expected(frozenset(), None).selects(("a",))


def test_a_rule_without_names_leaves_it_to_the_caller() -> None:
    assert ruled("path_regex: ^a") == Expected(frozenset(), None, pattern="^a", options=DEFAULT)
    assert ruled("path_regex: ^a", trusted(A, B)) == Expected(
        frozenset({A}), frozenset({B}), age_only=True, pattern="^a", options=DEFAULT
    )


@pytest.mark.parametrize(
    ("who", "required", "allowed"),
    [
        (trusted(), {A, B}, {A, B}),
        (trusted(C), {A, B, C}, {A, B}),
        (trusted("", f"{A},{C}"), {A}, {A, C}),
        (trusted(C, f"{B},{C}"), {B, C}, {B, C}),
    ],
)
def test_the_caller_goes_before_a_rule(who: Trusted, required: set[str], allowed: set[str]) -> None:
    expected = ruled(f"age: '{A},{B}'", who)
    assert (expected.required, expected.allowed) == (frozenset(required), frozenset(allowed))
    assert not expected.no_rule


def test_no_rule_is_missed_where_there_is_a_config_alone() -> None:
    nothing = Expected(frozenset({A}), None, age_only=True)
    assert rules({}, trusted(A)).expected("a/b.yaml", True) == nothing
    none = {CONFIG: "creation_rules: []\n"}
    assert rules(none, trusted(A)).expected("a/b.yaml", True) == nothing
    other = {CONFIG: f"creation_rules:\n- path_regex: ^x\n  age: {B}\n"}
    assert rules(other, trusted(A)).expected("a/b.yaml", True) == replace(nothing, no_rule=True)


NEAR = {
    CONFIG: f"creation_rules: [{{age: {A}}}]",
    f"flux/{CONFIG}": f"creation_rules: [{{path_regex: ^secrets/, age: {B}}}, {{age: {C}}}]",
}


@pytest.mark.parametrize(
    ("path", "in_tree", "top", "allowed"),
    [
        ("flux/secrets/a/b.yaml", True, "", {B}),
        ("flux/secrets.yaml", True, "", {C}),
        ("other/secrets/a.yaml", True, "", {A}),
        ("a.yaml", False, "", {A}),
        ("flux/secrets/a.yaml", False, "", None),
        ("flux/secrets/a.yaml", False, "flux", {B}),
    ],
)
def test_the_nearest_config_counts_and_elsewhere_that_at_the_top(
    path: str, in_tree: bool, top: str, allowed: set[str] | None
) -> None:
    expected = rules(NEAR, top=top).expected(path, in_tree)
    assert expected.allowed == (None if allowed is None else frozenset(allowed))
    assert not expected.no_rule


def test_in_a_tree_of_absolute_paths_the_search_ends_at_the_root() -> None:
    found = rules({f"/{CONFIG}": f"creation_rules: [{{path_regex: ^a/b, age: {A}}}]"}, top="/")
    assert found.expected("/a/b.yaml", False).allowed == frozenset({A})
    assert rules({}).expected("/a/b.yaml", True).allowed is None


def test_a_config_is_read_once() -> None:
    asked = []

    def read(path: str) -> bytes | None:
        asked.append(path)
        return f"creation_rules: [{{age: {A}}}]".encode() if path == CONFIG else None

    found = Rules(read, lambda _: True, Trusted())
    for _ in range(2):
        assert found.expected("a/b.yaml", True).allowed == frozenset({A})
    assert asked == [f"a/{CONFIG}", CONFIG]


@pytest.mark.parametrize("text", ["a: [", "a: b\n---\nc: d\n", "a: b\n---\n}"])
def test_a_config_that_is_no_single_document_is_not_judged(text: str) -> None:
    message = f"cannot be judged: {CONFIG} is not one valid YAML document"
    with pytest.raises(Undecidable) as raised:
        rules({CONFIG: text}).expected("a.yaml", True)
    assert str(raised.value) == message


@pytest.mark.parametrize("text", ["", "# nothing\n", "a: b\n", "[a]\n", "creation_rules: a\n"])
def test_a_config_without_rules_is_none(text: str) -> None:
    assert rules({CONFIG: text}).expected("a.yaml", True) == Expected(frozenset(), None)


def test_a_config_may_begin_with_a_mark_and_have_odd_bytes() -> None:
    data = f"\ufeffcreation_rules: [{{age: {A}}}] # ".encode() + b"\xff\n"
    found = Rules(lambda path: data if path == CONFIG else None, lambda _: True, Trusted())
    assert found.expected("a.yaml", True).allowed == frozenset({A})


def test_a_rule_that_cannot_be_understood_hides_what_comes_after_it() -> None:
    text = f"creation_rules: [{{path_regex: ^a, age: {A}}}, {{path_regex: '(?!x)'}}, {{age: {B}}}]"
    (config,) = documents.parse(text).documents
    assert creation_rule(config, "a.yaml") is not None
    with pytest.raises(Undecidable, match=f"^cannot be judged: a path_regex of {CONFIG} has "):
        creation_rule(config, "b.yaml")
    assert creation_rule(None, "a.yaml") is None


def problems(text: str, who: Trusted | None = None) -> list[tuple[int, str, str]]:
    (config,) = documents.parse(text).documents
    return told(rules({}, who).problems(config))


def test_every_expression_of_every_rule_must_be_one() -> None:
    text = (
        "creation_rules:\n- path_regex: ^a\n  encrypted_regex: '('\n  encrypted_suffix: '('\n"
        "- age: a\n  path_regex: 'a**'\n"
    )
    assert [(line, rule, said.split()[0]) for line, rule, said in problems(text)] == [
        (3, "sops-bad-pattern", "encrypted_regex"),
        (6, "sops-bad-pattern", "path_regex"),
    ]


def test_whoever_takes_age_keys_alone_is_told_of_rules_with_others() -> None:
    text = (
        f"creation_rules:\n- age: {A}\n  PGP: {PGP}\n  kms: ~\n  gcp_kms: []\n"
        "  azure_keyvault: {}\n- key_groups:\n  - hc_vault: [a]\n    hckms: {a: b}\n"
    )
    said = "names recipients of the kind {}: only age keys are taken"
    assert problems(text) == []
    assert problems(text, trusted(A)) == [
        (line, "sops-foreign-recipient", said.format(kind))
        for line, kind in ((3, "PGP"), (8, "hc_vault"), (9, "hckms"))
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"creation_rules:\n- age: {A}\n  kms: ~\n  pgp: ''\n", True),
        ("", True),
        (f"creation_rules:\n- age: {A}\n  PGP: {PGP}\n", False),
        (f"creation_rules:\n- age: {A}\n---\nkms: a\n", False),
        (f"creation_rules:\n- age: {A}\n- key_groups:\n  - hc_vault: [a]\n", False),
        ("creation_rules: [", False),
        ("a: &a [*a]\n", False),
    ],
)
def test_rules_that_have_sops_use_nothing_but_age_are_told(text: str, expected: bool) -> None:
    assert is_age_only(text) is expected
