"""What a pushed tree asks of whoever builds it: places elsewhere, and more than anybody needs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sopslab.policy import kustomizations
from sopslab.policy.kustomizations import MAX_BYTES

ROOT = "flux/secrets/develop"
FILE = f"{ROOT}/kustomization.yaml"
URL = "http://localhost:8080/debug/pprof/trace?seconds=300"


def rules(tree: Mapping[str, str | bytes]) -> list[tuple[str, str]]:
    """Return what is found: paths and rules."""
    content = {
        path: text.encode() if isinstance(text, str) else text for path, text in tree.items()
    }
    return [(found.path, found.rule) for found in kustomizations.check(content, ROOT, "c0ffee")]


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


@pytest.mark.parametrize("name", kustomizations.NAMES)
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


def test_nothing_is_hidden_from_flux() -> None:
    path = "flux/apps/.sourceignore"
    assert rules({path: "kustomization.yaml", FILE: ""}) == [(path, "source-ignore")]


def overlays(depth: int) -> dict[str, str | bytes]:
    """Return kustomizations of which each names two of the next, with a Secret at the end."""
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


def test_what_leads_nowhere_or_out_is_left_to_the_build() -> None:
    assert rules({FILE: "resources: [nowhere.yaml, ../../../../etc, /etc/hostname]"}) == []
