"""What sops writes is recognised by its form, in each format, and its metadata is understood.

Sources: getsops/sops aes/cipher.go, stores/stores.go, sops.go (shouldBeEncrypted), shamir.
"""

from __future__ import annotations

import pytest

from sopslab.policy import sops
from sopslab.policy.sops import Metadata, Recipient
from tests.unit.policy.policy_material import (
    RECIPIENT,
    RECIPIENT_PQ,
    age_armor,
    armored,
    b64,
    encrypted_value,
    noise,
    recipient,
    render,
    sops_block,
)
from tests.unit.policy.policy_places import Told, document, told

ENCRYPTED = encrypted_value()
FINGERPRINT = "0123456789ABCDEF" * 2 + "01234567"
ENC = "\n".join(age_armor(RECIPIENT))
FIELDS = {
    "mac": encrypted_value(size=128),
    "lastmodified": "2026-11-24T10:00:00Z",
    "version": "3.13.3",
}
ONE = Recipient("age", RECIPIENT, ENC)
A, B, C, D = (Recipient("age", recipient(), ENC) for _ in range(4))


def value(data: int = 9, iv: int = 32, tag: int = 16) -> str:
    parts = (
        f"{name}:{b64(noise(size))}" for name, size in (("data", data), ("iv", iv), ("tag", tag))
    )
    return f"ENC[AES256_GCM,{','.join(parts)},type:str]"


def metadata(*groups: tuple[Recipient, ...], **fields: str) -> Metadata:
    return Metadata(7, {**FIELDS, **fields}, groups)


def of_file(text: str) -> Metadata:
    found = sops.metadata(document(text))
    assert found is not None
    return found


def of_flat(text: str) -> Metadata:
    found = sops.flat_metadata(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (value(), True),
        (value(data=1), True),
        (value(iv=31), False),
        (value(iv=33), False),
        (value(tag=15), False),
        (value(tag=17), False),
        (value(iv=16, tag=32), False),
        (value().replace("data:", "data:A"), False),
        (value().replace("iv:", "iv:A"), False),
        (value().replace("tag:", "tag:A"), False),
        (value(data=0), False),
        (value().replace("data:", "data:!"), False),
        (value().replace("AES256_GCM", "AES128_GCM"), False),
        (value().replace("type:str", "type:text"), False),
        (value().lower(), False),
        (f"{value()} ", False),
        (f"{value()}x", False),
        ("", False),
    ],
)
def test_a_value_has_the_sizes_that_sops_gives_it(text: str, expected: bool) -> None:
    assert sops.is_encrypted(text) is expected


def test_those_open_a_file_alone_who_are_in_as_many_groups_as_it_takes() -> None:
    assert metadata((A, B)).openers == {A.name, B.name}
    assert metadata((A, B)).recipients == {A.name, B.name}
    assert metadata((A, B), (A, C)).openers == {A.name}
    assert metadata((A, B), (A, C)).recipients == {A.name, B.name, C.name}
    assert metadata((A, B), (A, C), (A,), shamir_threshold="2").openers == {A.name}
    assert metadata((A, B), (C, B), (A,), shamir_threshold="2").openers == {A.name, B.name}
    assert metadata((A, B), (C,), (D,), shamir_threshold="1").openers == {
        one.name for one in (A, B, C, D)
    }
    assert metadata((A, B), (A, C), shamir_threshold="0").openers == {A.name}
    assert metadata((A,), shamir_threshold="2").openers == {A.name}
    assert metadata().openers == frozenset()


def test_the_options_are_what_tells_the_encrypted() -> None:
    found = metadata(encrypted_regex="^a$", unencrypted_suffix="_b", encrypted="c")
    assert found.options == {"encrypted_regex": "^a$", "unencrypted_suffix": "_b"}
    assert found.regex == "^a$"
    assert found.selects(("x", "a"))
    assert metadata().regex is None
    assert metadata().mac == FIELDS["mac"]
    assert Metadata(1, {}, ()).mac == ""


@pytest.mark.parametrize(
    ("options", "encrypted", "plain"),
    [
        ({}, ["a", "a_unencrypted"], []),
        ({"unencrypted_suffix": ""}, ["a"], []),
        ({"unencrypted_suffix": "_b"}, ["a", "_bc"], ["a_b", "a_b/c", "c/a_b"]),
        ({"encrypted_suffix": "_b"}, ["a_b", "a_b/c", "c/a_b"], ["a", "_bc"]),
        ({"encrypted_regex": "^a"}, ["a", "ab/c", "c/a"], ["ba"]),
        ({"unencrypted_regex": "^a"}, ["ba"], ["a", "ab/c", "c/a"]),
        ({"encrypted_regex": "^(?!a)"}, ["a", "b"], []),
        ({"unencrypted_regex": "^(?!a)"}, ["a", "b"], []),
        ({"encrypted_comment_regex": "a"}, [], ["a", "b"]),
        ({"unencrypted_comment_regex": "a"}, [], ["a", "b"]),
        ({"encrypted_regex": "^a", "encrypted_comment_regex": "x"}, ["a"], ["b"]),
    ],
)
def test_options_select_by_any_key_of_a_path(
    options: dict[str, str], encrypted: list[str], plain: list[str]
) -> None:
    for path in encrypted:
        assert sops.selects(options, tuple(path.split("/"))), path
    for path in plain:
        assert not sops.selects(options, tuple(path.split("/"))), path


def test_an_expression_that_go_does_not_know_is_told_of() -> None:
    assert told(sops.pattern_problem(3, "encrypted_regex", "^(?!a)")) == [
        (3, "sops-bad-pattern", "encrypted_regex")
    ]
    assert told(sops.pattern_problem(3, "encrypted_regex", "^a$")) == []


QUANTUM = Recipient("age", RECIPIENT_PQ, ENC)
PGP = Recipient("pgp", FINGERPRINT, "\n".join(armored("PGP MESSAGE")))


@pytest.mark.parametrize(
    ("found", "rules"),
    [
        (metadata((ONE,)), []),
        (metadata((ONE,), version=""), []),
        (metadata((ONE,), version="3.13"), []),
        (metadata((ONE,), version="3"), ["sops-unopenable"]),
        (metadata((ONE,), mac=""), ["sops-no-mac"]),
        (metadata((ONE,), mac=encrypted_value("int", 128)), ["sops-no-mac"]),
        (metadata((ONE,), mac="\n ".join(FIELDS["mac"].split(","))), ["sops-no-mac"]),
        (metadata((ONE,), mac=",\n ".join(FIELDS["mac"].split(","))), []),
        (metadata((ONE,), mac=value(data=64)), []),
        (metadata((ONE,), mac=value(iv=31)), ["sops-no-mac"]),
        (metadata(), ["sops-no-recipients"]),
        (metadata((ONE,), lastmodified=""), ["sops-unopenable"]),
        (metadata((ONE,), lastmodified="2026-11-24T10:00:00.5+01:00"), []),
        (Metadata(7, {"mac": FIELDS["mac"]}, ((ONE,),)), ["sops-unopenable"]),
        (metadata((ONE,), shamir_threshold="0"), []),
        (metadata((ONE,), shamir_threshold="1"), []),
        (metadata((ONE,), shamir_threshold="2"), ["sops-unopenable"]),
        (metadata((ONE,), shamir_threshold="x"), ["sops-unopenable"]),
        (metadata((ONE,), shamir_threshold="²"), ["sops-unopenable"]),
        (metadata((ONE,), shamir_threshold="000001"), ["sops-unopenable"]),
        (metadata((ONE,), shamir_threshold="00001"), []),
        (metadata((ONE,), (A,), shamir_threshold="2"), []),
        (metadata((ONE,), (A,), shamir_threshold="3"), ["sops-unopenable"]),
        (metadata((PGP,)), []),
        (metadata((Recipient("age", RECIPIENT, "x"),)), ["sops-unopenable"]),
        (metadata((ONE,), encrypted_regex="^(?!a)"), ["sops-bad-pattern"]),
        (metadata((ONE,), unencrypted_suffix="(?!a)"), []),
        (metadata((QUANTUM,)), []),
        (metadata((QUANTUM, PGP)), []),
        (metadata((QUANTUM, ONE)), ["sops-mixed-recipients"]),
        (metadata((ONE, A)), []),
        (metadata((ONE, A, QUANTUM)), ["sops-mixed-recipients"]),
    ],
)
def test_metadata_that_is_of_no_use_is_told_of(found: Metadata, rules: list[str]) -> None:
    hits = told(found.problems())
    assert [(line, rule) for line, rule, _ in hits] == [(7, rule) for rule in rules]


def test_an_expression_that_is_of_no_use_is_named() -> None:
    found = metadata((ONE,), encrypted_regex="^(?!a)", unencrypted_regex="[")
    assert [name for _, _, name in told(found.problems())] == list(found.options)


def test_a_wrapped_key_has_to_be_one_for_its_recipient() -> None:
    def made_up(found: Metadata) -> Told:
        return told(found.made_up())

    def wrapped(kind: str, size: int) -> Recipient:
        return Recipient("age", RECIPIENT, "\n".join(age_armor(kind, size)))

    assert made_up(metadata((ONE,))) == []
    assert made_up(metadata((ONE,), mac="")) == []
    assert made_up(metadata((ONE,), mac=value(data=64))) == [(7, "sops-no-mac", "the")]
    assert made_up(metadata((PGP, ONE))) == []
    # What is not an armor at all is reported for every file, by `problems`.
    assert made_up(metadata((Recipient("age", RECIPIENT, "x"),))) == []
    for group, shared in (((ONE,), False), ((wrapped(RECIPIENT, 33),), True)):
        problem = [(7, "sops-unopenable", "what")]
        assert made_up(metadata(group)) == (problem if shared else [])
        assert made_up(metadata(group, group)) == ([] if shared else problem * 2)
    assert made_up(metadata((wrapped(RECIPIENT_PQ, 32),))) == [(7, "sops-unopenable", "what")]


def test_a_recipient_is_named_so_that_a_sentence_can_hold_it() -> None:
    assert sops.short("a" * 64) == "a" * 64
    assert sops.short("a" * 24 + "b" * 33 + "c" * 8) == "a" * 24 + "…" + "c" * 8
    assert sops.short("arn:aws:kms/a.b_c-D9\n;") == "arn:aws:kms/a.b_c-D9??"


def test_a_key_is_post_quantum_or_not() -> None:
    assert (sops.kind_of(RECIPIENT_PQ), sops.kind_of(RECIPIENT)) == ("pq", "x25519")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0123 4567 89ab cdef", "0123456789ABCDEF"),
        (FINGERPRINT.lower(), FINGERPRINT),
        ("0123456789abcde", "0123456789abcde"),
        (FINGERPRINT.lower() + "0", FINGERPRINT.lower() + "0"),
        (f" {RECIPIENT}\n", RECIPIENT),
    ],
)
def test_fingerprints_are_compared_without_blanks_and_case(name: str, expected: str) -> None:
    assert sops.normal_recipient(name) == expected


def test_metadata_is_a_mapping_under_sops() -> None:
    assert sops.metadata(document("a: 1")) is None
    assert sops.metadata(document("sops: 1")) is None
    assert sops.metadata(document("Sops: {mac: x}")) is None
    found = of_file(f"a: 1\n{sops_block(RECIPIENT, options='encrypted_regex: ^a$')}")
    assert (found.line, found.regex) == (2, "^a$")
    assert found.recipients == {RECIPIENT}
    assert found.fields["version"] == "3.13.3"
    ((one,),) = found.groups
    assert one.kind == "age"
    assert one.enc.strip().startswith("-----BEGIN AGE")


MEMBERS = {
    "age": (f"recipient: {RECIPIENT}", RECIPIENT),
    "pgp": (f"fp: {FINGERPRINT.lower()}", FINGERPRINT),
    "kms": ("arn: arn:aws:kms:eu:1:key/a", "arn:aws:kms:eu:1:key/a"),
    "gcp_kms": ("resource_id: projects/p/a", "projects/p/a"),
    "azure_kv": ("vault_url: https://v, name: n, version: w", "https://v/keys/n/w"),
    "hc_vault": ("vault_address: https://v, engine_path: e, key_name: k", "https://v/v1/e/keys/k"),
    "hckms": ("key_id: a:b", "a:b"),
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_every_kind_of_recipient_is_read(kind: str) -> None:
    fields, name = MEMBERS[kind]
    found = of_file(f"sops: {{{kind}: [{{{fields}, enc: x}}]}}")
    assert found.groups == ((Recipient(kind, name, "x"),),)
    assert found.foreign == (frozenset() if kind == "age" else {kind})
    flat = "\n".join(
        f"sops_{kind}__list_0__map_{field.strip().replace(': ', '=', 1)}"
        for field in f"{fields}, enc: x".split(",")
    )
    assert of_flat(flat).groups == found.groups
    assert of_flat(flat).foreign == found.foreign


@pytest.mark.parametrize("fields", [f"recipient: {RECIPIENT}", "enc: x", "recipient: '', enc: x"])
def test_who_has_no_key_or_no_name_opens_nothing(fields: str) -> None:
    assert of_file(f"sops: {{age: [{{{fields}}}]}}").groups == ()


GROUPS = f"key_groups: [{{age: [{{recipient: {A.name}, enc: x}}]}}, {{pgp: [{{fp: b, enc: y}}]}}]"


def test_groups_count_where_nobody_stands_outside_of_them() -> None:
    one = f"age: [{{recipient: {RECIPIENT}, enc: x}}]"
    found = of_file(f"sops: {{{GROUPS}}}")
    assert [[each.name for each in group] for group in found.groups] == [[A.name], ["b"]]
    found = of_file(f"sops: {{{one}, {GROUPS}}}")
    assert [[each.name for each in group] for group in found.groups] == [[RECIPIENT]]
    assert found.foreign == {"pgp"}
    assert of_file("sops: {key_groups: [{age: []}, {}], mac: x}").groups == ()
    assert of_file("sops: {key_groups: x, age: y}").groups == ()


@pytest.mark.parametrize(
    ("block", "foreign"),
    [
        ("{mac: x}", set()),
        ("{AGE: [x]}", set()),
        ("{age: [x], pgp: [], kms: x}", set()),
        ("{pgp: [x], Kms: [x]}", {"pgp", "Kms"}),
        ("{new_kind: [x]}", {"new_kind"}),
        (
            "{Key_Groups: [{pgp: [x]}, {kms: [x], key_groups: [{hckms: [x]}]}]}",
            {"pgp", "kms", "hckms"},
        ),
        ("{age: [{recipient: age1yubikey1qqq, enc: x}]}", {"plugin-or-ssh"}),
        (f"{{age: [{{recipient: {RECIPIENT}, enc: x}}]}}", set()),
        (
            f"{{age: [{{recipient: {RECIPIENT}, enc: x}}, {{recipient: ssh-rsa, enc: x}}]}}",
            {"plugin-or-ssh"},
        ),
    ],
)
def test_kinds_that_are_not_ages_are_told(block: str, foreign: set[str]) -> None:
    assert of_file(f"sops: {block}").foreign == foreign
    assert sops.foreign_kinds(f"sops: {block}") == foreign
    assert sops.foreign_kinds(f"a: 1\n---\nSOPS: {block}\n---\nb: 1\n") == foreign


def test_whatever_may_be_metadata_is_asked_for_its_kinds() -> None:
    assert sops.foreign_kinds("sops: {pgp: [x]}\n---\nsops: {kms: [x]}") == {"pgp", "kms"}
    assert sops.foreign_kinds("sops: x\n") == frozenset()
    assert sops.foreign_kinds("a: [\n") == {"unknown"}
    assert sops.foreign_kinds("a: &a [*a]\n") == {"unknown"}
    flat = "sops_mac=x\nsops_age__list_0__map_enc=x\n"
    assert sops.foreign_kinds(f"a=b\n{flat}") == frozenset()
    assert sops.foreign_kinds(f"a=b: [\n{flat}") == frozenset()
    assert sops.foreign_kinds(f"a=b: [\n{flat}sops_pgp__list_0__map_fp=x\n") == {"pgp"}
    assert sops.foreign_kinds(f"{flat}sops_pgp__list_0__map_fp=x\n") == {"pgp"}


FLAT = render("{{ sops_dotenv }}")


def test_flat_metadata_is_read_from_dotenv() -> None:
    found = of_flat(f"A={ENCRYPTED}\n\n{FLAT}\n")
    assert found.line == 3
    assert found.recipients == {RECIPIENT}
    assert found.options == {"unencrypted_suffix": "_unencrypted"}
    assert told(found.problems()) == []
    assert found.foreign == frozenset()


def test_flat_metadata_is_read_from_the_section_of_ini() -> None:
    ini = render("{{ sops_ini }}")
    found = of_flat(f"[app]\nA = {ENCRYPTED}\n\n [ sops ] \n{ini}\n")
    assert found.line == 5
    assert found.recipients == {RECIPIENT}
    assert told(found.problems()) == []
    assert sops.flat_metadata(f"[app]\nA = x\n{ini}\n") is None
    assert sops.flat_metadata(f"[sops]\n[app]\n{ini}\n") is None


@pytest.mark.parametrize("key", ["mac", "lastmodified", "version"])
def test_one_field_that_sops_wrote_is_metadata(key: str) -> None:
    assert of_flat(f"a=1\nsops_{key}=x\n").fields == {key: "x"}
    assert sops.flat_metadata(f"a=1\nsops_x{key}=x\n") is None
    assert sops.flat_metadata(f"a=1\n{key}=x\n") is None


def test_flat_groups_are_in_the_order_of_their_numbers() -> None:
    def line(group: int, number: int, name: str) -> str:
        place = f"sops_key_groups__list_{group}__map_age__list_{number}__map"
        return f"{place}_recipient={name}\n{place}_enc=x\\ny\n"

    text = line(1, 0, "c") + line(0, 1, "b") + line(0, 0, "a")
    found = of_flat(text)
    assert [[(one.name, one.enc) for one in group] for group in found.groups] == [
        [("a", "x\ny"), ("b", "x\ny")],
        [("c", "x\ny")],
    ]
    outside = "sops_age__list_0__map_recipient=d\nsops_age__list_0__map_enc=x\n"
    assert of_flat(text + outside).recipients == {"d"}
    # A number of any length still gets an answer.
    assert (
        of_flat(text.replace("list_1__map_age", f"list_{'1' * 9}__map_age")).groups == found.groups
    )
    far = text.replace("age__list_1", f"age__list_{'1' * 9000}")
    assert of_flat(far).groups == found.groups


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A=b", (1, "A", "b")),
        ("  export  A = 'b' # c ", (1, "A", "b' # c")),
        ('A = "b"', (1, "A", "b")),
        ("export A B = c=d", (1, "A B", "c=d")),
        ("export = b", (1, "export", "b")),
        ("= b", None),
        ("A=", None),
        ("A=''", None),
        ("# A=b", None),
        ("; A=b", None),
        ("A", None),
        (f"A={ENCRYPTED}", None),
        (f"A='{ENCRYPTED}'", None),
        ("sops_A=b", None),
        ("[sops]\nA=b", None),
        ("[a]\nA=b", (2, "A", "b")),
    ],
)
def test_plain_values_of_a_flat_file_are_told(
    line: str, expected: tuple[int, str, str] | None
) -> None:
    assert list(sops.flat_plaintext(line)) == ([expected] if expected else [])


def test_of_a_flat_file_that_is_plain_counts_which_its_options_select() -> None:
    text = f"sops_mac=x\nA=1\nsops_a=1\nB={ENCRYPTED}\nC_b=2\nD='3'\n"
    found = metadata(unencrypted_suffix="_b")
    assert list(sops.flat_plaintext(text, found)) == [(2, "A", "1"), (6, "D", "3")]
    assert list(sops.flat_plaintext(text)) == [(2, "A", "1"), (5, "C_b", "2"), (6, "D", "3")]
    assert list(sops.flat_values(text)) == ["1", ENCRYPTED, "2", "3"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], False),
        ([""], False),
        (["a", ""], True),
        (["a", ENCRYPTED], False),
        ([ENCRYPTED], False),
    ],
)
def test_a_file_is_hollow_where_no_value_is_ciphertext(values: list[str], expected: bool) -> None:
    assert sops.is_hollow(iter(values)) is expected


def test_what_tells_objects_apart_is_no_value() -> None:
    text = (
        "{kind: a, type: b, metadata: {c: d}, data: {e: f, kind: g}, sops: {h: i}, apiVersion: j}"
    )
    assert list(sops.values(document(text))) == ["f"]
    assert sorted(sops.values(document(text.replace("kind: a", "Kind: a")))) == sorted("abdfgj")


def test_leaves_are_told_which_the_options_select_or_somebody_demands() -> None:
    text = f"a: {{b: x, c: '{ENCRYPTED}', d: ''}}\ne_b: y\nf: z\nsops: {{g: v}}\n"
    found = metadata(encrypted_suffix="_b")

    def paths(*demanded: tuple[str, ...]) -> list[tuple[str, ...]]:
        leaves = sops.plaintext_leaves(document(text), found, lambda path: path in demanded)
        return [path for path, _ in leaves]

    assert paths() == [("e_b",)]
    assert paths(("a", "b"), ("a", "c"), ("a", "d"), ("sops", "g")) == [("a", "b"), ("e_b",)]
    ((path, leaf),) = sops.plaintext_leaves(document(text), found)
    assert (path, leaf.value) == (("e_b",), "y")


YAML = f"a: {ENCRYPTED}\n{sops_block(RECIPIENT, options='unencrypted_suffix: _b')}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (YAML, True),
        (f"{YAML}---\n{YAML}", True),
        (f"{YAML}---\na: 1\n", False),
        (YAML + "c: x\n", False),
        (YAML + "c_b: x\n", True),
        (YAML + "c: [\n", False),
        (YAML + "c: &a [*a]\n", False),
        (YAML.replace(ENCRYPTED, "''"), True),
        (YAML.replace("a:", "a_b:").replace(ENCRYPTED, "x"), False),
        (YAML.replace("mac:", "mic:"), False),
        (YAML.replace("sops:", "soap:"), False),
        ("sops: 1\na: x\n", False),
        ("# sops:\n", False),
        ("", False),
        (render("{{ sops_binary }}"), True),
        (render("{{ sops_binary }}").replace('"mac"', '"mic"'), False),
        (f"A={ENCRYPTED}\n{FLAT}", True),
        (f"A={ENCRYPTED}\nB=x\n{FLAT}", False),
        (f"A={ENCRYPTED}\nB_unencrypted=x\n{FLAT}", True),
        (f"B_unencrypted=x\n{FLAT}", False),
        (f"A={ENCRYPTED}\n{FLAT}".replace("sops_mac", "sops_mic"), False),
    ],
)
def test_a_file_is_encrypted_where_sops_left_nothing_plain(text: str, expected: bool) -> None:
    assert sops.is_encrypted_file(text) is expected
