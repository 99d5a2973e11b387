"""What a pushed tree asks of its builder: places elsewhere, and more work than anybody needs."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

import pytest

from sopslab.policy import kustomizations
from sopslab.policy.kustomizations import MAX_BYTES, MAX_VISITS
from sopslab.policy.sources import KUSTOMIZATION_NAMES
from tests.unit.policy.policy_material import encrypted_value

ROOT = "flux/secrets/develop"
FILE = f"{ROOT}/kustomization.yaml"
URL = "http://localhost:8080/debug/pprof/trace?seconds=300"


Tree = Mapping[str, str | bytes]


def content(tree: Tree) -> dict[str, bytes]:
    return {path: text.encode() if isinstance(text, str) else text for path, text in tree.items()}


def rules(tree: Tree) -> list[tuple[str, str]]:
    """Return path and rule of each finding."""
    return [(path, rule) for path, _, rule, _ in told(tree)]


def told(tree: Tree) -> list[tuple[str, int, str, str]]:
    """Return path, line, rule and message of each finding."""
    found = kustomizations.check(content(tree), ROOT, "c0ffee")
    assert all(one.commit == "c0ffee" for one in found)
    return [(one.path, one.line, one.rule, one.message) for one in found]


FIELDS = {
    "resources": "resources: [{}]",
    "bases": "bases: [{}]",
    "components": "components:\n- {}",
    "crds": "crds: [{}]",
    "configurations": "configurations: [{}]",
    "openapi": "openapi: {{path: {}}}",
    "patches": "patches: [{{path: {}}}]",
    "patchesStrategicMerge": "patchesStrategicMerge: [{}]",
    "patchesJson6902": "patchesJson6902: [{{target: {{kind: Secret, name: a}}, path: {}}}]",
    "replacements": "replacements: [{{path: {}}}]",
    "files": "configMapGenerator: [{{name: a, files: [{}]}}]",
    "files-with-a-key": "configMapGenerator: [{{name: a, files: ['k={}']}}]",
    "envs": "secretGenerator: [{{name: a, envs: [{}]}}]",
    "env": "secretGenerator: [{{name: a, env: {}}}]",
    "helm": "helmCharts: [{{name: a, repo: {}}}]",
    "capitals": "Resources: [{}]",
    "alias": "x: &a [{}]\nresources: *a",
    "merge": "x: &a {{resources: [{}]}}\n<<: *a",
    "unknown": "whatever: {{a: [{{b: {}}}]}}",
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_url_is_found_in_every_field(field: str) -> None:
    assert rules({FILE: FIELDS[field].format(URL)}) == [(FILE, "kustomize-remote")]


@pytest.mark.parametrize(
    "text",
    [
        "HTTPS://example.org/a.yaml",
        "https:example.org",
        "git::https://example.org/a",
        "git@example.org:a/b",
        "somebody@example.org:a/b.git",
        "ssh://git@example.org/a",
        "file:///srv/git/repositories/bob/lab.git",
        "github.com/fluxcd/flux2//manifests",
        "GitHub.com:fluxcd/flux2",
        "gh:fluxcd/flux2",
        "../../apps?ref=main",
    ],
)
def test_every_form_of_a_remote_base_is_found(text: str) -> None:
    assert rules({FILE: f"resources: ['{text}']"}) == [(FILE, "kustomize-remote")]


@pytest.mark.parametrize("name", KUSTOMIZATION_NAMES)
@pytest.mark.parametrize("folder", [ROOT, "flux/apps", "flux", "flux/a.txt"])
def test_every_name_and_folder_counts(name: str, folder: str) -> None:
    assert rules({f"{folder}/{name}": f"resources: [{URL}]"}) == [
        (f"{folder}/{name}", "kustomize-remote")
    ]


def test_a_value_may_look_like_anything() -> None:
    tree = {
        FILE: "resources: [a.yaml, ../../apps]\n"
        "configMapGenerator: [{name: a, literals: ['URL=https://example.org']}]\n"
        'patches:\n- {patch: \'[{"op": "add", "path": "/data/u", "value": "https://a"}]\'}\n'
        "- target: {kind: ConfigMap}\n  patch: |\n    - op: add\n      value: https://example.org\n"
        "commonAnnotations: {about: https://example.org}\n"
        "images: [{name: a, newName: registry.example.org:5000/team/a}]\n",
        f"{ROOT}/a.yaml": f"kind: ConfigMap\ndata: {{url: '{URL}'}}\n",
        "flux/apps/kustomization.yaml": "resources: [b.yaml]\n",
        "flux/apps/b.yaml": "",
    }
    assert rules(tree) == []


@pytest.mark.parametrize("field", ["generators", "transformers", "validators", "Transformers"])
def test_plugins_are_not_taken(field: str) -> None:
    assert rules({FILE: f"{field}: [a.yaml]"}) == [(FILE, "kustomize-plugin")]


@pytest.mark.parametrize(
    "data",
    [
        b"resources: [!!binary aHR0cDovL2E=]",
        "resources: [http://a]".encode("utf-16"),
        b"resources: [",
        b"resources: [\xff]",
        b"a: &a [*a]",
    ],
    ids=["tag", "utf-16", "not-yaml", "not-utf-8", "endless"],
)
def test_what_kustomize_may_read_in_another_way_is_not_taken(data: bytes) -> None:
    assert rules({FILE: data}) == [(FILE, "unreadable")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a: b\nresources:\n- !!binary aHR0cDovL2E=", "has a tag at line 3"),
        (b"a: b\nresources: {\n", "is not valid YAML at line 3"),
        (b"resources: [\xff]", "is not UTF-8"),
    ],
)
def test_what_is_not_taken_is_told_with_its_reason(data: bytes, reason: str) -> None:
    message = f"{reason}, so no build of it can be judged"
    assert told({FILE: data}) == [(FILE, 1, "unreadable", message)]


def test_a_mark_before_the_text_is_none_of_it() -> None:
    assert rules({FILE: f"resources: [{URL}]".encode("utf-8-sig")}) == [(FILE, "kustomize-remote")]


def test_every_finding_has_its_line_and_is_told_once() -> None:
    tree = {
        FILE: f"resources:\n- {URL}\n- a\n- {URL}\n- a={URL}\ngenerators: [a]\nvalidators: []\n",
        "flux/.sourceignore": "a",
        "flux/apps/kustomization.yaml": f"a: 1\n---\nresources: [{URL}]\n",
    }
    remote = "names a file or a base that is not in the repository"
    assert told(tree) == [
        ("flux/.sourceignore", 1, "source-ignore", "hides files from Flux"),
        ("flux/apps/kustomization.yaml", 3, "kustomize-remote", remote),
        (FILE, 2, "kustomize-remote", remote),
        (FILE, 4, "kustomize-remote", remote),
        (FILE, 5, "kustomize-remote", remote),
        (FILE, 6, "kustomize-plugin", "runs plugins"),
    ]


def test_nothing_is_hidden_from_flux() -> None:
    path = "flux/apps/.sourceignore"
    assert rules({path: "kustomization.yaml", FILE: ""}) == [(path, "source-ignore")]


def overlays(depth: int) -> dict[str, str | bytes]:
    """Return levels of kustomizations that each name two of the next level, with ConfigMaps at the
    end."""
    tree: dict[str, str | bytes] = {FILE: "resources: [../../0a, ../../0b]"}
    for level in range(depth):
        names = f"resources: [../{level + 1}a, ../{level + 1}b]"
        tree |= {f"flux/{level}{side}/kustomization.yaml": names for side in "ab"}
    tree |= {f"flux/{depth}{side}/kustomization.yaml": "resources: [a.yaml]" for side in "ab"}
    return {**tree, **{f"flux/{depth}{side}/a.yaml": "kind: ConfigMap" for side in "ab"}}


def test_overlays_that_double_at_every_level_are_counted_and_not_built() -> None:
    assert rules(overlays(4)) == []
    assert rules(overlays(15)) == [(ROOT, "kustomize-too-much")]
    assert rules(overlays(2000)) == [(ROOT, "kustomize-too-much")]


def test_without_a_kustomization_everything_is_counted() -> None:
    tree = {path.replace(ROOT, "flux/other"): text for path, text in overlays(15).items()}
    assert rules(tree) == [(ROOT, "kustomize-too-much")]


def test_a_file_counts_as_often_as_it_is_named() -> None:
    large = "#" * (MAX_BYTES // 3)
    tree: dict[str, str | bytes] = {FILE: "resources: [a.yaml]", f"{ROOT}/a.yaml": large}
    assert rules(tree) == []
    tree[FILE] = "configMapGenerator: [{name: a, files: [a=a.yaml, b=a.yaml, c=a.yaml, a.yaml]}]"
    assert rules(tree) == [(ROOT, "kustomize-too-much")]


def test_what_is_there_is_bounded_whether_it_is_named_or_not() -> None:
    assert rules({FILE: "", "flux/x": "#" * MAX_BYTES}) == []
    assert rules({FILE: "#", "flux/x": "#" * MAX_BYTES}) == [("flux", "kustomize-too-much")]


@pytest.mark.parametrize("others", ["[.]", "[../../apps]", "[../develop]"])
def test_a_circle_ends(others: str) -> None:
    tree: dict[str, str | bytes] = {
        FILE: f"resources: {others}",
        "flux/apps/kustomization.yaml": "resources: [../secrets/develop]",
    }
    assert rules(tree) == [(ROOT, "kustomize-too-much")]


def steps(count: int) -> dict[str, str | bytes]:
    """Return a tree whose build visits this many files and folders."""
    names = ", ".join(["a.yaml"] * (count - 3))
    return {
        FILE: "resources: [../../apps]",
        "flux/apps/kustomization.yaml": f"resources: [b.yaml, {names}]",
        "flux/apps/a.yaml": "a",
        "flux/apps/b.yaml": "a",
    }


def test_a_build_may_come_to_a_thousand_files_and_folders() -> None:
    assert rules(steps(MAX_VISITS)) == []
    assert told(steps(MAX_VISITS + 1)) == [
        (ROOT, 1, "kustomize-too-much", "a build of more than 1000 steps")
    ]


def test_a_build_may_read_a_mebibyte() -> None:
    half = "#" * (MAX_BYTES // 2)
    tree: dict[str, str | bytes] = {FILE: "resources: [a.yaml, a.yaml]", f"{ROOT}/a.yaml": half}
    assert rules(tree) == []
    message = "a build that reads more than 1024 KiB"
    assert told({**tree, f"{ROOT}/a.yaml": half + "#"}) == [
        (ROOT, 1, "kustomize-too-much", message)
    ]
    tree = {f"flux/{path}": text for path, text in (("a", half), ("b", half))}
    assert rules(tree) == []
    assert told({**tree, "flux/b": half + "#"}) == [
        ("flux", 1, "kustomize-too-much", "more than 1024 KiB below flux/")
    ]


def test_only_a_kustomization_leads_on() -> None:
    tree: dict[str, str | bytes] = {
        # A folder without a kustomization is no base, and a missing folder is not read.
        FILE: "resources: [../../apps, ../../none, a.yaml]",
        "flux/apps/a.yaml": "resources: [../secrets/develop]",
        f"{ROOT}/a.yaml": "resources: [.]",
    }
    assert rules(tree) == []


def test_a_base_may_be_named_twice() -> None:
    tree: dict[str, str | bytes] = {
        FILE: "resources: [../../a, ../../b]",
        "flux/a/kustomization.yaml": "resources: [../c]",
        "flux/b/kustomization.yaml": "resources: [../c]",
        "flux/c/kustomization.yaml": "resources: [a.yaml]",
        "flux/c/a.yaml": "a",
    }
    assert rules(tree) == []


def test_a_circle_is_told_of() -> None:
    message = "kustomizations name one another in a circle"
    assert told({FILE: "resources: [.]"}) == [(ROOT, 1, "kustomize-too-much", message)]
    # A finding from before the circle is enough.
    assert rules({FILE: f"resources: [., '{URL}']"}) == [(FILE, "kustomize-remote")]


def test_two_kustomizations_of_a_folder_count_both() -> None:
    tree: dict[str, str | bytes] = {
        FILE: "resources: []",
        f"{ROOT}/Kustomization": "resources: [.]",
    }
    assert rules(tree) == [(ROOT, "kustomize-too-much")]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("resources: [URL]", True),
        ("patches: [{patch: URL}]", False),
        ("patches: [{Patch: URL}]", False),
        ("patches: [{patch: {path: URL}}]", True),
        ("patches: [{patch: [URL]}]", True),
        ("patch: {path: URL}", False),
        ("labels: [{pairs: {a: URL}}]", False),
        ("Labels: [{pairs: {a: URL}}]", False),
        ("a: [{labels: {b: URL}}]", False),
        ("a: [{Literals: [URL]}]", False),
        ("a: {URL: b}", False),
        ("resources: ['URL\\n']", True),
        ('resources: ["URL\\na"]', False),
        ('resources: ["a=URL"]', True),
        ('resources: ["a/b=URL"]', True),
    ],
)
def test_a_string_counts_but_for_values(value: str, named: bool) -> None:
    text = value.replace("URL", URL.replace("?", "/"))
    assert rules({FILE: text}) == ([(FILE, "kustomize-remote")] if named else [])


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        (" https://a ", True),
        ("a\nhttps://a", False),
        ("www.github.com/a", True),
        ("mygithub.com/a", False),
        ("a?version=1", True),
        ("a&submodules=0", True),
        ("a?b=1", False),
        ("a.yaml", False),
        ("../a", False),
        ("k=a", False),
    ],
)
def test_a_place_is_elsewhere_by_its_form(text: str, remote: bool) -> None:
    assert kustomizations.is_remote(text) is remote


ENCRYPTED = encrypted_value()


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("configMapGenerator: [{name: a, files: [b.env]}]", ["b.env"]),
        ("configMapGenerator: [{name: a, files: [k=b.env, ./x/../c.env]}]", ["b.env", "c.env"]),
        ("patches: [{path: b.env}]", ["b.env"]),
        ("patches: [{path: plain.env}]", []),
        ("patches: [{path: none.env}]", []),
        ("patches: [{path: ../../b.env}]", ["../../b.env"]),
        ("resources: [b.env]", []),
        ("Bases: [b.env]", []),
        ("components: [b.env]", []),
        ("commonLabels: {a: b.env}", []),
    ],
)
def test_encrypted_files_that_a_build_reads_are_told(field: str, expected: list[str]) -> None:
    tree: dict[str, str | bytes] = {
        FILE: field,
        # No kustomization.
        f"{ROOT}/a.yaml": "configMapGenerator: [{name: a, files: [d.env]}]",
        **{f"{ROOT}/{name}.env": f"A={ENCRYPTED}" for name in "bcd"},
        f"{ROOT}/plain.env": "A=b",
        "flux/b.env": f"A={ENCRYPTED}",
    }
    assert rules(tree) == []
    paths = [posixpath.normpath(posixpath.join(ROOT, path)) for path in expected]
    assert kustomizations.encrypted_sources(content(tree)) == paths


def test_what_leads_nowhere_or_out_is_left_to_the_build() -> None:
    assert rules({FILE: "resources: [nowhere.yaml, ../../../../etc, /etc/hostname]"}) == []
