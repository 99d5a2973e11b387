"""What kustomize would write into a Secret is told apart from what it writes elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sopslab.policy import documents, patches
from sopslab.policy.documents import Node
from sopslab.policy.findings import Hit, Undecidable
from sopslab.policy.recipients import Expected
from sopslab.policy.secrets import Place
from tests.unit.policy.policy_material import encrypted_value

INTO = "kustomize is told to write into the values of a Secret"
COPIED = "a patch copies something into the values of a Secret"
ENC = encrypted_value()


def fields(text: str) -> dict[str, Node]:
    (document,) = documents.parse(text).documents
    return documents.fields(document)


def place(files: dict[str, bytes] | None = None, *, for_flux: bool = False) -> Place:
    return Place(
        "flux/app/kustomization.yaml",
        False,
        lambda: Expected(frozenset(), None),
        lambda path: (files or {}).get(path),
        for_flux=for_flux,
    )


def check(text: str, *, for_flux: bool = False) -> list[tuple[int, str, str]]:
    return told(patches.check(fields(text), place(for_flux=for_flux)))


def told(hits: Iterable[Hit]) -> list[tuple[int, str, str]]:
    return [(hit.line, hit.rule, hit.message) for hit in hits]


def plain(line: int, name: str) -> tuple[int, str, str]:
    return (line, "secret-plaintext", f"{name} is in plain text, in a patch of a Secret")


def patched(text: str, target: str = "kind: Secret", name: str = "patches") -> str:
    body = "".join(f"      {line}\n" for line in text.splitlines())
    return f"{name}:\n  - target: {{{target}}}\n    patch: |\n{body}"


ADD = "- op: add\n  path: /data/a\n  value: x"


@pytest.mark.parametrize("name", ["patches", "Patches", "patchesJson6902", "patchesjson6902"])
def test_a_patch_is_looked_into_under_either_name(name: str) -> None:
    assert check(patched(ADD, name=name)) == [plain(3, "data.a")]


@pytest.mark.parametrize("name", ["patchesStrategicMerge", "replacement", "patch"])
def test_what_has_another_name_is_no_list_of_patches(name: str) -> None:
    assert check(patched(ADD, name=name)) == []


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("kind: Secret", True),
        ("Kind: Secret", True),
        ("kind: Sec.*", True),
        ("kind: Secret|ConfigMap", True),
        ("kind: ConfigMap", False),
        ("kind: ecre", False),
        ("name: a", True),
        ("kind: ''", True),
        # A target that cannot be judged may select a Secret.
        ("kind: '(?!x)'", True),
        ("Name: a, kind: Deployment", False),
    ],
)
def test_a_target_selects_secrets_by_an_expression(target: str, expected: bool) -> None:
    assert bool(check(patched(ADD, target))) is expected
    replaced = f"replacements:\n- targets:\n  - select: {{{target}}}\n    fieldPaths: [data.a]\n"
    assert bool(check(replaced)) is expected


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("{op: add, path: /data/a, value: x}", [plain(3, "data.a")]),
        ("{Op: add, Path: /stringData/a, Value: x}", [plain(3, "stringData.a")]),
        ("{op: add, path: /stringdata, value: {a: x, b: y}}",
         [plain(3, "stringdata.a"), plain(3, "stringdata.b")]),
        ("{op: replace, path: /data/a/, value: x}", [plain(3, "data.a")]),
        (f"{{op: add, path: /data/a, value: '{ENC}'}}", []),
        ("{op: add, path: /data/a, value: ''}", []),
        ("{op: add, path: /data/a, value: null}", []),
        ("{op: add, path: /metadata/labels, value: x}", []),
        ("{op: add, path: /dat/a, value: x}", []),
        ("{op: test, path: /data/a}", []),
        ("{path: /data/a, value: x}", []),
        ("{op: copy, from: /metadata/name, path: /data/a}", [(3, "secret-copied", COPIED)]),
        ("{op: move, from: /data/b, path: /data/a}", []),
        ("{op: copy, from: /metadata/name, path: /metadata/labels/a}", []),
        # Of a whole object, only the values count.
        ("{op: add, path: '', value: {kind: b, data: {a: x}, type: c}}", [plain(3, "data.a")]),
        ("{op: add, path: '', value: x}", []),
        ("{op: add, path: '/data/a b', value: x}", [plain(3, "data.…")]),
    ],
)  # fmt: skip
def test_an_operation_is_judged_by_where_it_writes(
    operation: str, expected: list[tuple[int, str, str]]
) -> None:
    assert check(patched(f"- {operation}")) == expected


def test_every_operation_of_every_patch_is_judged() -> None:
    text = patched(f"{ADD}\n{ADD}".replace("/a\n  value: x\n", "/b\n  value: x\n", 1))
    assert check(text) == [plain(3, "data.b"), plain(3, "data.a")]
    one = "  - target: {kind: ConfigMap}\n    patch: '[{op: add, path: /data/a, value: x}]'\n"
    assert check(f"patches:\n{one}{one.replace('ConfigMap', 'Secret')}") == [plain(5, "data.a")]
    both = patched(ADD) + patched(ADD, name="patchesJson6902")
    assert check(both) == [plain(3, "data.a"), plain(9, "data.a")]


def test_a_merge_with_a_target_is_applied_to_a_secret_whatever_its_kind() -> None:
    merge = "kind: ConfigMap\ndata:\n  a: x\n  b: ''\nStringData:\n  c:\n    d: y\nspec:\n  e: z"
    assert check(patched(merge)) == [plain(3, "data.a"), plain(3, "StringData.c.d")]
    assert check(patched(f"{merge}\n---\ndata: {{f: x}}"))[2:] == [plain(3, "data.f")]


def test_a_merge_without_a_target_names_its_kind_and_is_judged_as_a_document() -> None:
    assert check("patches:\n- patch: |\n    kind: ConfigMap\n    data: {a: x}\n") == []
    assert check("patches:\n- patch: '[{op: add, path: /data/a, value: x}]'\n") == [
        plain(2, "data.a")
    ]


def test_a_patch_in_a_file_is_read_beside_the_kustomization() -> None:
    text = "patches:\n- path: ../patches/./a.yaml\n  target: {kind: Secret}\n"
    found = fields(text)
    file = {"flux/patches/a.yaml": f"\ufeff{ADD}".encode()}
    assert told(patches.check(found, place(file))) == [plain(2, "data.a")]
    assert told(patches.check(found, place())) == []
    broken = {"flux/patches/a.yaml": b"- {op: add, path: /data/a, value: \xff}"}
    assert told(patches.check(found, place(broken))) == [plain(2, "data.a")]


def test_what_stands_in_the_kustomization_goes_before_a_file() -> None:
    text = "patches:\n- path: a.yaml\n  target: {kind: Secret}\n  patch: '[]'\n"
    assert told(patches.check(fields(text), place({"flux/app/a.yaml": ADD.encode()}))) == []


def test_a_patch_without_text_and_file_is_none() -> None:
    assert check("patches:\n- target: {kind: Secret}\n- a\n- {patch: [x]}\n") == []
    assert check("patches: a\n") == []


def test_a_patch_beyond_bounds_counts_for_flux_alone() -> None:
    deep = patched("[" * 2000)
    assert check(deep) == []
    with pytest.raises(Undecidable, match="nested"):
        check(deep, for_flux=True)


def test_after_a_patch_beyond_bounds_others_are_judged() -> None:
    more = patched(ADD).partition("\n")[2]
    assert len(check(patched("[" * 2000) + more)) == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data.a", True),
        ("stringData", True),
        ("DATA.a", True),
        ("/data/a", True),
        ("[data].a", True),
        ("'data'.a", True),
        ("'*'", True),
        ("metadata.name", False),
        ("spec.data", False),
        ("Xdata.a", False),
        ("", False),
    ],
)
def test_a_replacement_is_judged_by_where_it_writes(path: str, expected: bool) -> None:
    quoted = path if path == "'*'" else f'"{path}"'
    text = f"replacements:\n- source: {{kind: A}}\n  targets:\n  - fieldPaths:\n    - {quoted}\n"
    assert check(text) == ([(5, "secret-copied", INTO)] if expected else [])


def test_every_target_and_every_path_of_a_replacement_is_judged() -> None:
    text = (
        "Replacements:\n- Targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.a]\n"
        "  - Select: {Kind: Secret}\n    FieldPaths:\n    - metadata.name\n    - data.a\n"
        "    - data.b\n- path: a.yaml\n- targets:\n  - fieldPaths:\n    - data.c\n"
    )
    into = ("secret-copied", INTO)
    assert check(text) == [(8, *into), (9, *into), (13, *into)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("source: {kind: A}\ntargets:\n- fieldPaths: [data.a]\n", True),
        ("sourceValue: a\nTargets:\n- fieldPaths: [data.a]\n", True),
        ("targets:\n- fieldPaths: [data.a]\n", False),
        ("source: a\ntargets: {fieldPaths: [data.a]}\n", False),
        ("source: a\n", False),
    ],
)
def test_a_replacement_may_have_a_file_of_its_own(text: str, expected: bool) -> None:
    assert check(text) == ([(3, "secret-copied", INTO)] if expected else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path: data/a\nkind: Secret\n", True),
        ("Path: data/a\nCreate: true\n", True),
        ("path: data/a\ngroup: apps\n", True),
        ("path: data/a\nversion: v1\n", True),
        ("path: data/a\nkind: ConfigMap\n", False),
        ("path: spec/a\nkind: Secret\n", False),
        ("path: data/a\n", False),
        ("path: data/a\nkind: Secret\nop: add\n", False),
        ("path: data/a\nkind: Secret\nOp: add\n", False),
        ("kind: Secret\n", False),
    ],
)
def test_a_list_of_fields_counts_for_flux_alone(text: str, expected: bool) -> None:
    assert check(text, for_flux=True) == ([(1, "secret-copied", INTO)] if expected else [])
    assert check(text) == []
