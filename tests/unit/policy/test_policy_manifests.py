"""Secrets and credentials are found in a document however deep they lie, and nothing else is."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable

import pytest

from sopslab.policy import manifests
from sopslab.policy.findings import Undecidable
from sopslab.policy.recipients import Expected
from sopslab.policy.secrets import Place
from tests.unit.policy.policy_material import (
    RECIPIENT,
    RECIPIENT_PQ,
    encrypted_value,
    render,
    sops_block,
)
from tests.unit.policy.policy_places import Told, document, place, told

ENCRYPTED = encrypted_value()
PASSWORD = "Quince77" + "lantern"
HEAD = "apiVersion: v1\nkind: ConfigMap\n"


def found(text: str, where: Place | None = None, depth: int = 0) -> Told:
    return told(manifests.check(document(text), where or place(), depth))


def names(text: str, where: Place | None = None) -> list[str]:
    return [name for _, _, name in found(text, where)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: Secret\ndata: {a: hunter2}", [(2, "secret-plaintext", "data.a")]),
        ("a:\n- b: {kind: Secret, data: {c: hunter2}}", [(2, "secret-plaintext", "data.c")]),
        ("kind: SecretList\nitems: [{data: {a: b}}]", [(2, "secret-plaintext", "data.a")]),
        ("kind: secretlist\nitems: [{data: {a: b}}]", [(2, "secret-plaintext", "data.a")]),
        ("kind: SecretList\nitems: [{a: {data: {b: c}}}]", []),
        ("kind: List\nitems: [{data: {a: b}}]", []),
        ("kind: SecretList\nitems: x\ndata: {a: b}", []),
        ("kind: SecretList\nother: [{data: {a: b}}]", []),
    ],
)
def test_a_secret_is_one_wherever_it_lies(text: str, expected: Told) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {stringData: {b: hunter2, c: ''}}", ["stringData.b"]),
        (f"a: {{stringData: {{b: '{ENCRYPTED}'}}}}", []),
        ("a: {STRINGDATA: {b: {c: hunter2}}}", ["STRINGDATA.b.c"]),
        ("a: {stringData: hunter2}", []),
        ("a: {stringData: {type: object, description: b}}", []),
        ("a: {stringData: {type: object, note: b}}", ["stringData.type", "stringData.note"]),
        ("a: {data: {b: hunter2}}", []),
        ("kind: ClusterSecret\ndata: {b: hunter2}", ["data.b"]),
        ("kind: SopsSecret\nDATA: {b: hunter2}", []),
        ("kind: SopsSecret", []),
        ("kind: ExternalSecret\ndata: {b: hunter2}", []),
        ("kind: AClusterSecret\ndata: {b: hunter2}", []),
        ("secretTemplates: [{name: a, data: {b: hunter2}, labels: {c: d}}]", ["data.b"]),
        ("secretTemplates: {data: {b: hunter2}}", []),
        ("templates: [{data: {b: hunter2}}]", []),
    ],
)
def test_what_is_to_become_a_secret_holds_values(text: str, expected: list[str]) -> None:
    assert found(text) == [(1 + text.count("\n"), "secret-plaintext", name) for name in expected]


SUFFIX = sops_block(RECIPIENT, options="encrypted_regex: ^x$\n    unencrypted_suffix: _b")


def test_what_a_suffix_leaves_plain_is_told_of_once() -> None:
    text = "a: {stringData: {a_b: note, c: {d_b: {e: note}}, f: note}}\nx: ''\n"
    assert names(text) == ["stringData.a_b", "stringData.c.d_b.e", "stringData.f"]
    assert names(f"{text}{SUFFIX}") == ["stringData.f"]
    assert names(f"{text}{sops_block(RECIPIENT, options='encrypted_regex: ^x$')}") == names(text)


def sealed(text: str) -> set[str]:
    where = place()
    list(manifests.check(document(text), where))
    return where.sealed


def test_ciphertext_of_other_tools_is_remembered() -> None:
    one, other = render("{{ sealed }}"), render("{{ sealed }}")
    assert sealed(f"encryptedData: {{a: {one}, b: {{d: {other}}}, c: hunter2}}") == {one, other}
    assert sealed(f"data: {{a: {one}}}") == set()
    foreign = "{cipher}" + "0123456789abcdef" * 4
    assert sealed(f"a: ['  {foreign} ', b]") == {foreign}


LITERAL = [(2, "generator-literal", "the")]


@pytest.mark.parametrize(
    ("literal", "by_flux", "elsewhere"),
    [
        ("key=hunter2", True, True),
        ("key='hunter2'", True, True),
        ("key=", False, False),
        ("key=''", False, False),
        ("key", False, False),
        (f"key={ENCRYPTED}", False, False),
        (f'key="{ENCRYPTED}"', False, False),
        ("key=${VALUE}", True, False),
        ("key={{ value }}", True, False),
        ("key=$VALUE", True, True),
        ("key=a=b", True, True),
    ],
)
def test_a_literal_of_a_generator_holds_no_value(
    literal: str, by_flux: bool, elsewhere: bool
) -> None:
    for start in ("secretGenerator", "SecretGenerator"):
        for field in ("literals", "Literals"):
            text = f"{start}:\n- {{name: a, {field}: [{json.dumps(literal)}]}}"
            assert found(text, place(for_flux=True)) == (LITERAL if by_flux else [])
            assert found(text) == (LITERAL if elsewhere else [])
    text = f"kind: SecretGenerator\nliterals: [{json.dumps(literal)}]"
    assert found(text) == (LITERAL if elsewhere else [])


def test_only_generators_of_secrets_are_looked_at() -> None:
    assert found("configMapGenerator: [{literals: [a=hunter2]}]") == []
    assert found("kind: ConfigMapGenerator\nliterals: [a=hunter2]") == []
    assert found("secretGenerator: {literals: [a=hunter2]}") == []
    assert found("secretGenerator: [{literals: a=hunter2}]") == []


def test_a_literal_is_named_by_its_key() -> None:
    (hit,) = manifests.check(document("secretGenerator: [{literals: ['some.key=a=b']}]"), place())
    assert hit.message == "the literal some.key of a secretGenerator is in plain text"


FILES: dict[str, str | bytes] = {
    "apps/plain": "note",
    "apps/empty": " \n",
    "apps/encrypted": render("{{ sops_binary }}"),
    "apps/encrypted-with-a-mark": b"\xef\xbb\xbf" + render("{{ sops_binary }}").encode(),
    "apps/binary": b"\xff\xfe\xfd",
    "apps/certificate": render("{{ certificate }}"),
    "apps/public": "-----BEGIN PUBLIC KEY-----",
    "other/plain": "note",
}


@pytest.mark.parametrize(
    ("named", "plain"),
    [
        ("plain", True),
        ("./x/../plain", True),
        ("key=plain", True),
        ("a=b=plain", True),
        ("../other/plain", True),
        ("binary", True),
        ("empty", False),
        ("encrypted", False),
        ("encrypted-with-a-mark", False),
        ("certificate", False),
        ("public", False),
        ("missing", False),
        ("", False),
        ("key=", False),
    ],
)
@pytest.mark.parametrize("field", ["files: [{}]", "envs: [{}]", "env: {}", "Files: [{}]"])
def test_a_generator_reads_what_is_encrypted(named: str, plain: bool, field: str) -> None:
    text = "secretGenerator:\n- name: a\n  " + field.format(json.dumps(named))
    where = place("apps/kustomization.yaml", files=FILES)
    assert found(text, where) == ([(3, "generator-plaintext-source", "a")] if plain else [])


def test_a_generator_may_read_several_files() -> None:
    text = "secretGenerator:\n- files: [encrypted,\n  plain]\n  envs: [\n  plain]\n  env: plain"
    hits = found(text, place("apps/kustomization.yaml", files=FILES))
    assert [line for line, _, _ in hits] == [3, 5, 6]


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("{client-key-data: aGVsbG8xMjM0}", ["user.client-key-data"]),
        ("{token: hunter2, password: hunter3}", ["user.token", "user.password"]),
        (f"{{token: '{ENCRYPTED}'}}", []),
        ("{token: ''}", []),
        ("{token: '<token>'}", []),
        ("{client-certificate-data: aGVsbG8xMjM0}", []),
        ("hunter2", []),
    ],
)
def test_a_user_of_a_kubeconfig_has_no_credential(user: str, expected: list[str]) -> None:
    text = f"users:\n- name: a\n  user: {user}"
    assert found(text) == [(3, "kubeconfig-credential", name) for name in expected]
    assert "kubeconfig-credential" not in str(found(text.replace("users", "others")))
    assert "kubeconfig-credential" not in str(found(text.replace("user:", "other:")))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{auth: aHVudGVyMg==}", ["auths.auth"]),
        ("{password: hunter2}", ["auths.password"]),
        ("{identitytoken: hunter2}", ["auths.identitytoken"]),
        ("{registrytoken: hunter2}", ["auths.registrytoken"]),
        ("{auth: aHVudGVyMg==, password: hunter2}", ["auths.auth"]),
        ("{auth: '${AUTH}', password: hunter2}", ["auths.password"]),
        (f"{{auth: '{ENCRYPTED}'}}", []),
        ("{auth: ''}", []),
        ("{email: a@lab}", []),
    ],
)
def test_a_registry_is_entered_without_a_credential(entry: str, expected: list[str]) -> None:
    text = f"auths:\n  registry:\n    {entry}"
    hits = [(3, "registry-credential", name) for name in expected]
    assert found(text) == hits
    assert found(f"{text}\n  b: {entry}") == [*hits, *((4, *hit[1:]) for hit in hits)]
    old = f"x: a\n'registry.example.org':\n    {entry}"
    if "auth:" in entry:
        assert found(old) == hits
    assert "registry-credential" not in str(found(old.replace(".", "")))


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ("kty: oct\nk: " + "a1" * 10, [2]),
        ("kty: OKP\nd: " + "a1" * 10, [2]),
        ("kty: OKP\nd: " + "a1" * 10 + "\nk: " + "a1" * 10, [2, 3]),
        ("kty: oct\nk: " + "a" * 19, []),
        ("type: oct\nk: " + "a1" * 10, []),
        ("kty: OKP\nx: " + "a1" * 10, []),
    ],
)
def test_a_json_web_key_is_private_by_its_parts(fields: str, lines: list[int]) -> None:
    assert found(fields) == [(line, "key-private", "a") for line in lines]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("{op: add, path: /stringData/a, value: hunter2}", ["stringData.a"]),
        (
            "{op: add, path: /stringData, value: {a: {b: x}, c: y}}",
            ["stringData.a.b", "stringData.c"],
        ),
        ("{op: add, path: /stringData/, value: hunter2}", ["stringData"]),
        (f"{{op: add, path: /stringData/a, value: '{ENCRYPTED}'}}", []),
        ("{op: add, path: /stringData/a, value: ''}", []),
        ("{op: remove, path: /stringData/a}", []),
        ("{path: /stringData/a, value: hunter2}", []),
        ("{op: add, path: /spec/stringData, value: hunter2}", []),
        ("{op: add, value: hunter2}", []),
    ],
)
def test_a_patch_puts_nothing_plain_into_a_secret(operation: str, expected: list[str]) -> None:
    assert found(f"- {operation}") == [(1, "secret-plaintext", name) for name in expected]


def test_a_patch_may_be_a_template_but_not_for_flux() -> None:
    text = "- {op: add, path: /stringData/a, value: '${A}'}"
    assert found(text) == []
    assert found(text, place(for_flux=True)) == [(1, "secret-plaintext", "stringData.a")]


SECRET = "kind: Secret\nstringData:\n  a: hunter2\n"


def literal(text: str) -> str:
    return f"{HEAD}data:\n  b: |\n{textwrap.indent(text, '    ')}"


def quoted(text: str) -> str:
    return f"{HEAD}data:\n  b: {json.dumps(text)}\n"


def test_a_document_in_a_string_has_lines_where_it_is_written_in_lines() -> None:
    assert found(literal(SECRET)) == [(7, "secret-plaintext", "stringData.a")]
    assert found(literal(SECRET).replace("|", ">")) == []
    assert found(quoted(SECRET)) == [(4, "secret-plaintext", "stringData.a")]
    assert found(quoted('{"kind": "Secret", "data": {"a": "b"}}')) == [
        (4, "secret-plaintext", "data.a")
    ]
    for text in (literal(SECRET), quoted(SECRET)):
        (hit,) = manifests.check(document(text), place())
        assert hit.message == "stringData.a is in plain text, in a string"


@pytest.mark.parametrize("wrap", [literal, quoted])
def test_a_string_in_a_string_is_looked_into_up_to_a_depth(wrap: Callable[[str], str]) -> None:
    text = SECRET
    for depth in range(1, 4):
        text = wrap(text)
        assert len(found(text)) == 1
        assert len(found(text, None, 3 - depth)) == 1
        assert found(text, None, 4 - depth) == []
    assert found(wrap(text)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: Secret\ndata: abcde", True),
        ("kind: Secret\ndata: abcd", False),
        ("Secret of some words that are long", False),
        ("users:\n- user: {token: hunter2}", False),
        ("users:\n- user: {client-key-data: aGVsbG8xMjM0}", True),
        ('{"auths": {"a": {"auth": "aHVudGVyMg=="}}}', True),
        ("- kind: Secret\n  data: {a: hunter2}", True),
        ("some text that is a secret\nwith two lines", False),
    ],
)
def test_a_string_is_looked_into_where_it_may_hold_a_secret(text: str, expected: bool) -> None:
    assert bool(found(quoted(text))) is expected


def test_a_string_that_cannot_be_read_is_read_as_a_template() -> None:
    for text in (f"{{{{ if a }}}}\n{SECRET}", f"x: &a [*a]\n{SECRET}"):
        assert found(quoted(text)) == [(4, "secret-plaintext", "stringData.a")]
        assert found(literal(text)) == [(8, "secret-plaintext", "stringData.a")]
    with pytest.raises(Undecidable):
        found(quoted(f"x: &a [*a]\n{SECRET}"), place(in_tree=True))
    assert found(quoted(f"{{{{ if a }}}}\n{SECRET}"), place(in_tree=True))


TWICE = "a: 1\nb:\n  c: 2\n  c: 3\n"


def test_a_key_may_not_occur_twice_where_secrets_are() -> None:
    assert found(TWICE) == []
    assert found(TWICE, place(in_tree=True)) == [(4, "yaml-duplicate-key", "the")]
    assert found(f"kind: Secret\n{TWICE}") == [(5, "yaml-duplicate-key", "the")]
    assert found("kind: Secret\ndata:\n  a: x\n  a: y") == [
        (3, "secret-plaintext", "data.a"),
        (4, "secret-plaintext", "data.a"),
        (4, "yaml-duplicate-key", "the"),
    ]
    (hit,) = manifests.check(document(TWICE), place(in_tree=True))
    assert hit.message == "the key c occurs twice"


def test_an_encrypted_file_is_judged_as_a_whole() -> None:
    plain = [(2, "secret-plaintext", "b.c")]
    block = sops_block(RECIPIENT, options="unencrypted_suffix: _x")
    text = f"a: {ENCRYPTED}\nb: {{c: d}}\n"
    assert found(text + block) == plain
    assert found(f"a: {ENCRYPTED}\n{block}") == []
    broken = sops_block(RECIPIENT, options="unencrypted_suffix: _x", with_mac=False)
    assert found(text + broken) == [(3, "sops-no-mac", "the"), *plain]
    nobody = sops_block(options="unencrypted_suffix: _x")
    assert found(text + nobody) == [(3, "sops-no-recipients", "the"), *plain]
    assert found(f"{text}sops: {{version: x}}") == []
    other = Expected(frozenset(), frozenset({RECIPIENT_PQ}))
    assert found(text + block, place(expected=other)) == [
        (3, "sops-wrong-recipient", "encrypted"),
        *plain,
    ]


def test_the_metadata_of_a_secret_is_told_of_once() -> None:
    block = sops_block(RECIPIENT, with_mac=False)
    assert found(f"kind: Secret\ndata: {{a: '{ENCRYPTED}'}}\n{block}") == [
        (3, "sops-no-mac", "the")
    ]


@pytest.mark.parametrize(
    ("start", "in_tree", "ruled", "elsewhere"),
    [("x: 1\n", ["x", "a"], ["a"], []), (HEAD, [], [], [])],
)
def test_what_has_to_be_encrypted_depends_on_where_it_lies(
    start: str, in_tree: list[str], ruled: list[str], elsewhere: list[str]
) -> None:
    text = (
        f"{start}a: note\nb: {ENCRYPTED}\n{sops_block(RECIPIENT, options='encrypted_regex: ^b$')}"
    )
    rule = Expected(frozenset(), None, options={"encrypted_regex": "^a$"})
    assert names(text, place(in_tree=True)) == in_tree
    assert names(text, place(expected=rule)) == ruled
    assert names(text) == elsewhere


@pytest.mark.parametrize(
    ("entry", "in_tree", "elsewhere"),
    [
        ("a_b: note", True, False),
        ("a: {c_b: {d: note}}", True, False),
        ("data: {a_b: note}", True, True),
        ("STRINGDATA: {a_b: note}", True, True),
        (f"password_b: {PASSWORD}", True, True),
        (f"a: {{password_b: {PASSWORD}}}", True, True),
        ("a_b: ''", False, False),
        (f"a_b: '{ENCRYPTED}'", False, False),
    ],
)
def test_a_suffix_leaves_no_secret_plain(entry: str, in_tree: bool, elsewhere: bool) -> None:
    text = f"{HEAD}x: {ENCRYPTED}\n{entry}\n{SUFFIX}"
    rules = [(line, rule) for line, rule, _ in found(text)]
    hit = [(4, "secret-unencrypted-suffix")]
    assert (hit[0] in rules) is elsewhere
    assert [(line, rule) for line, rule, _ in found(text, place(in_tree=True))] == (
        hit if in_tree else []
    )


def test_what_is_left_out_is_named_by_its_path() -> None:
    text = f"{HEAD}x: {ENCRYPTED}\ndata: {{a: {{c_b: note}}}}\n{SUFFIX}"
    assert found(text) == [(4, "secret-unencrypted-suffix", "data.a.c_b")]


def test_passwords_are_told_of_once() -> None:
    assert found(f"spec:\n  password: {PASSWORD}") == [(2, "password", "spec.password")]
    text = f"users: [{{user: {{password: {PASSWORD}}}}}]"
    assert found(text) == [(1, "kubeconfig-credential", "user.password")]


def test_lines_that_only_name_something_are_remembered() -> None:
    where = place()
    text = f"{HEAD}spec:\n  secretKeyRef:\n    name: some-very-long-name-of-an-object\n    key: b\n"
    assert found(text, where) == []
    assert 5 in where.names
