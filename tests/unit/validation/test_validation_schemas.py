"""The schemas: made from the pinned sources, strict, complete, and used by the real kubeconform."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.config.inputs import local_settings
from sopslab.errors import LabError
from sopslab.validation import schema_store
from sopslab.validation.conformance import check, has_schema, prepared, versions_of
from sopslab.validation.schemas import from_crds, from_openapi, schema_file
from tests.unit.validation.validation_material import cipher, encrypted

Manifest = dict[str, Any]

DEPLOYMENT: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "web:1",
                        "ports": [{"containerPort": 80}],
                        "resources": {"limits": {"cpu": 0.5, "memory": "64Mi"}},
                        "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
                    }
                ]
            },
        },
    },
}
REPOSITORY: Manifest = {
    "apiVersion": "source.toolkit.fluxcd.io/v1",
    "kind": "GitRepository",
    "metadata": {"name": "ada", "namespace": "flux-system"},
    "spec": {"interval": "1m0s", "url": "https://example.org/ada/lab.git"},
}
KUSTOMIZATION: Manifest = {
    "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
    "kind": "Kustomization",
    "metadata": {"name": "secrets-develop", "namespace": "flux-system"},
    "spec": {
        "interval": "1m",
        "path": "./flux/secrets/develop",
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": "ada"},
    },
}
SECRET: Manifest = yaml.safe_load(encrypted())
ROLE: Manifest = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "reader"},
    "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
}
GOOD = (DEPLOYMENT, REPOSITORY, KUSTOMIZATION, SECRET, ROLE)


def changed(manifest: Manifest, pointer: str, value: object) -> Manifest:
    """Return a copy with another value at a place; None removes what is there."""
    copy: Manifest = json.loads(json.dumps(manifest))
    *path, last = pointer.split(".")
    inner: Any = copy
    for key in path:
        inner = inner[int(key)] if isinstance(inner, list) else inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return copy


CONTAINER = "spec.template.spec.containers.0"
BAD = {
    "text instead of a number": (
        changed(DEPLOYMENT, "spec.replicas", "two"),
        "spec.replicas", "got string, want integer",
    ),
    "unknown field deep inside": (
        changed(DEPLOYMENT, f"{CONTAINER}.imagee", "x"),
        CONTAINER, "additional properties 'imagee' not allowed",
    ),
    "unknown field of the metadata": (
        changed(DEPLOYMENT, "metadata.lables", {}),
        "metadata", "additional properties 'lables' not allowed",
    ),
    "missing field": (
        changed(DEPLOYMENT, "spec.selector", None), "spec", "missing property 'selector'",
    ),
    "quantity of the wrong type": (
        changed(DEPLOYMENT, f"{CONTAINER}.resources.limits.cpu", True),
        f"{CONTAINER}.resources.limits.cpu", "got boolean, want number or string",
    ),
    "port of the wrong type": (
        changed(DEPLOYMENT, f"{CONTAINER}.livenessProbe.httpGet.port", [80]),
        f"{CONTAINER}.livenessProbe.httpGet.port", "got array, want integer or string",
    ),
    "unknown field of a custom resource": (
        changed(REPOSITORY, "spec.branch", "main"),
        "spec", "additional properties 'branch' not allowed",
    ),
    "unknown metadata of a custom resource": (
        changed(REPOSITORY, "metadata.nmespace", "x"),
        "metadata", "additional properties 'nmespace' not allowed",
    ),
    "Flux Kustomization without a source": (
        changed(KUSTOMIZATION, "spec.sourceRef", None), "spec", "missing property 'sourceRef'",
    ),
    "interval that is none": (
        changed(KUSTOMIZATION, "spec.interval", "soon"),
        "spec.interval", "the value does not match pattern",
    ),
    "encrypted number in a Secret": (
        changed(SECRET, "stringData.PASSWORD", cipher("int")),
        "stringData.PASSWORD", "got number, want string",
    ),
    "list in a Secret": (
        changed(SECRET, "stringData", [cipher()]), "stringData", "got array, want object",
    ),
    "unknown field of a Secret": (
        changed(SECRET, "strngData", {}), "", "additional properties 'strngData' not allowed",
    ),
}  # fmt: skip


def kubeconform() -> str:
    found = shutil.which("kubeconform")
    assert found, "kubeconform is not on PATH; SOPSLAB_TOOLS should name its directory"
    return found


def test_good_objects_pass(schema_dir: Path) -> None:
    assert check([prepared(one) for one in GOOD], [schema_dir], kubeconform()) == []


@pytest.mark.parametrize("case", BAD)
def test_bad_object_is_found(case: str, schema_dir: Path) -> None:
    manifest, place, message = BAD[case]
    (problem,) = check([prepared(manifest)], [schema_dir], kubeconform())
    assert ".".join(problem.keys) == place
    assert problem.message.startswith(message)


def test_every_problem_of_every_object_is_found(schema_dir: Path) -> None:
    problems = check([prepared(one) for one, _, _ in BAD.values()], [schema_dir], kubeconform())
    assert [problem.index for problem in problems] == list(range(len(BAD)))


@pytest.mark.parametrize("text", ["${INTERVAL}", cipher()])
def test_text_that_flux_replaces_is_not_judged(text: str, schema_dir: Path) -> None:
    manifest = changed(KUSTOMIZATION, "spec.interval", text)
    assert check([prepared(manifest)], [schema_dir], kubeconform()) == []


def test_no_value_of_a_secret_is_handed_over() -> None:
    plain = {**SECRET, "stringData": {"a": "hunter2", "b": 4711, "c": True, "d": ["hunter2"]}}
    blank = prepared(plain)
    assert blank["stringData"] == {"a": "", "b": 0, "c": False, "d": [""]}
    assert "sops" not in blank


def test_value_as_a_key_is_not_shown(schema_dir: Path) -> None:
    manifest = {**SECRET, "password: hunter2 and more of it, which is no key": {}}
    (problem,) = check([prepared(manifest)], [schema_dir], kubeconform())
    assert "hunter2" not in problem.message


def test_every_kind_of_the_lab_has_a_schema(schema_dir: Path) -> None:
    assert all(has_schema(one, [schema_dir]) for one in GOOD)
    assert versions_of("Kustomization", [schema_dir]) == ["kustomize.toolkit.fluxcd.io/v1"]
    assert versions_of("Secret", [schema_dir]) == ["v1"]
    assert not has_schema({"apiVersion": "v1", "kind": "Kustomization"}, [schema_dir])


def test_schemas_stand_alone(schema_dir: Path) -> None:
    texts = {path: path.read_text() for path in schema_dir.rglob("*.json")}
    assert len(texts) > 150
    for path, text in texts.items():
        definitions = json.loads(text).get("definitions", {})
        for reference in text.split('"$ref":"')[1:]:
            target = reference.partition('"')[0]
            assert target.removeprefix("#/definitions/") in definitions, path


def test_file_names_are_those_that_kubeconform_asks_for() -> None:
    assert schema_file("v1", "Secret") == "v1/secret_v1.json"
    assert schema_file("apps/v1", "Deployment") == "apps/deployment_v1.json"


def test_conversion_of_openapi() -> None:
    kinds = [{"group": "", "version": "v1", "kind": "Cup"}]
    metadata = {"allOf": [{"$ref": "#/components/schemas/Meta"}], "description": "x", "default": {}}
    components = {
        "Cup": {
            "type": "object",
            "properties": {
                "metadata": metadata,
                "size": {"oneOf": [{"type": "string"}, {"type": "number"}]},
                "any": {"type": "object"},
                "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Cup"}},
            },
            "x-kubernetes-group-version-kind": kinds,
        },
        "Meta": {"type": "object", "properties": {"name": {"type": "string", "format": "byte"}}},
        "Options": {
            "properties": {"metadata": metadata},
            "x-kubernetes-group-version-kind": [*kinds, {**kinds[0], "version": "v2"}],
        },
    }
    (schema,) = from_openapi([{"components": {"schemas": components}}]).values()
    meta = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "additionalProperties": False,
    }
    parts = {"type": "array", "items": {"$ref": "#/definitions/Cup"}}
    assert schema["properties"] == {
        "metadata": {"$ref": "#/definitions/Meta"},
        "size": {"type": ["string", "number"]},
        "any": {"type": "object"},
        "parts": parts,
        "apiVersion": {"enum": ["v1"]},
        "kind": {"enum": ["Cup"]},
    }
    assert schema["required"] == ["apiVersion", "kind", "metadata"]
    assert schema["additionalProperties"] is False
    assert schema["definitions"].keys() == {"Cup", "Meta"}
    assert schema["definitions"]["Meta"] == meta


def test_conversion_of_a_definition() -> None:
    inner = {
        "type": "object",
        "properties": {
            "size": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}]},
            "note": {"type": "string", "nullable": True},
            "free": {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "x-kubernetes-preserve-unknown-fields": True,
            },
        },
        "oneOf": [{"required": ["size"]}, {"properties": {"free": {"type": "object"}}}],
    }
    versions = [
        {"name": "v1", "served": True, "schema": {"openAPIV3Schema": {"properties": {"s": inner}}}},
        {"name": "v0", "served": False, "schema": {"openAPIV3Schema": {}}},
    ]
    crd = {"spec": {"group": "example.org", "names": {"kind": "Cup"}, "versions": versions}}
    ((name, schema),) = from_crds([crd]).items()
    assert name == "example.org/cup_v1.json"
    assert schema["properties"]["metadata"] == {"type": "object"}
    converted = schema["properties"]["s"]
    assert converted["additionalProperties"] is False
    assert converted["properties"]["size"] == {"type": ["integer", "string"]}
    assert converted["properties"]["note"] == {"type": ["string", "null"]}
    assert "additionalProperties" not in converted["properties"]["free"]
    assert converted["oneOf"][1] == {"properties": {"free": {"type": "object"}}}


def test_schemas_are_made_once(
    tmp_path: Path, store: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").mkdir()
    for source in store:
        (tmp_path / "store" / source.parent.name).symlink_to(source.parent)
    settings = local_settings({"root": str(tmp_path)})
    made = schema_store.schema_dir(settings)
    assert made.parent == tmp_path / "schemas"
    assert [path.name for path in made.parent.iterdir()] == [made.name]
    shutil.rmtree(tmp_path / "store")
    assert schema_store.schema_dir(settings) == made


def test_store_without_the_sources_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is not in the store, which sopslab up fills"):
        schema_store.schema_dir(local_settings({"root": str(tmp_path)}))
    assert list(tmp_path.iterdir()) == []


def test_faster_run_wins(tmp_path: Path, store: tuple[Path, Path]) -> None:
    target = tmp_path / "schemas"
    (target / "v1").mkdir(parents=True)
    (target / "v1" / "kept.json").write_text("{}")
    schema_store.make(*store, target)
    assert [path.name for path in target.rglob("*.json")] == ["kept.json"]
    assert list(tmp_path.iterdir()) == [target]


def test_folder_that_cannot_be_made_is_said_in_a_sentence(
    tmp_path: Path, store: tuple[Path, Path]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot be kept in"):
        schema_store.make(*store, tmp_path / "file" / "schemas")
