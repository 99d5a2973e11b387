"""JSON schemas for kubeconform, made from what Kubernetes and Flux publish: pure.

Kubernetes publishes OpenAPI v3 documents, Flux its CustomResourceDefinitions. Each kind gets one
schema that stands alone: what it refers to comes along as its definitions. The schemas are strict,
as the API server is with `--validate=strict`: a field that is not listed is not allowed, unless
the object may hold anything. Descriptions and defaults are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Schema = Any
Schemas = dict[str, Schema]

_COMPONENTS = "#/components/schemas/"
_DEFINITIONS = "#/definitions/"
_METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_KINDS = "x-kubernetes-group-version-kind"
_INT_OR_STRING = {"type": ["integer", "string"]}
_KEPT = (
    *("enum", "pattern", "required", "uniqueItems", "multipleOf"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
)
# The others, such as int32 and byte, are unknown to a validator of JSON schemas.
_FORMATS = ("date-time", "ipv4", "ipv6", "uri")


def schema_file(api_version: str, kind: str) -> str:
    """Return where the schema of a kind lies: the group's folder (`v1` for the core group)."""
    group, _, version = api_version.rpartition("/")
    return f"{group or version}/{kind.lower()}_{version}.json"


def from_openapi(specifications: Iterable[Mapping[str, Any]]) -> Schemas:
    """Return file name to schema for every kind of some OpenAPI v3 documents."""
    components: dict[str, Any] = {}
    for specification in specifications:
        components.update(specification.get("components", {}).get("schemas", {}))
    converted = {name: _convert(component) for name, component in components.items()}
    schemas: Schemas = {}
    for name, component in components.items():
        kinds = component.get(_KINDS, ())
        # What belongs to several groups, such as DeleteOptions, is never a manifest.
        if len(kinds) == 1 and "metadata" in component.get("properties", {}):
            group, version, kind = (kinds[0][part] for part in ("group", "version", "kind"))
            api_version = f"{group}/{version}" if group else version
            schema = _root(converted[name], api_version, kind)
            schemas[schema_file(api_version, kind)] = _standalone(schema, converted)
    return schemas


def from_crds(
    crds: Iterable[Mapping[str, Any]], specifications: Iterable[Mapping[str, Any]] = ()
) -> Schemas:
    """Return file name to schema for every served version of some CustomResourceDefinitions.

    + specifications: OpenAPI v3 documents that define ObjectMeta; without them any metadata passes
    """
    definitions: dict[str, Schema] = {}
    for specification in specifications:
        for name, component in specification.get("components", {}).get("schemas", {}).items():
            if name.startswith("io.k8s.apimachinery.pkg.apis.meta.v1."):
                definitions[name] = _convert(component)
    schemas: Schemas = {}
    for crd in crds:
        spec = crd["spec"]
        for version in spec["versions"]:
            if not version.get("served", True):
                continue
            api_version = f"{spec['group']}/{version['name']}"
            kind = spec["names"]["kind"]
            schema = _root(_convert(version["schema"]["openAPIV3Schema"]), api_version, kind)
            if _METADATA in definitions:
                schema["properties"]["metadata"] = {"$ref": _DEFINITIONS + _METADATA}
            schemas[schema_file(api_version, kind)] = _standalone(schema, definitions)
    return schemas


def _root(schema: Schema, api_version: str, kind: str) -> Schema:
    """Return the schema of an object: the fields every object has, and has to have."""
    properties = {
        "metadata": {"type": "object"},
        **schema.get("properties", {}),
        "apiVersion": {"enum": [api_version]},
        "kind": {"enum": [kind]},
    }
    required = sorted({"apiVersion", "kind", "metadata", *schema.get("required", ())})
    return {**schema, "properties": properties, "required": required}


def _convert(node: Mapping[str, Any]) -> Schema:
    """Return the strict JSON schema (draft 4) of a schema object of OpenAPI."""
    if "$ref" in node:
        return {"$ref": _DEFINITIONS + node["$ref"].removeprefix(_COMPONENTS)}
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        return dict(_INT_OR_STRING)
    merged = node.get("allOf", ())
    # This is how a field refers to a component and still has a description of its own.
    if len(merged) == 1 and "$ref" in merged[0]:
        return _convert(merged[0])
    schema: Schema = {key: node[key] for key in _KEPT if key in node}
    if "type" in node:
        schema["type"] = [node["type"], "null"] if node.get("nullable") else node["type"]
    if node.get("format") in _FORMATS:
        schema["format"] = node["format"]
    if "properties" in node:
        schema["properties"] = {
            name: _convert(property_) for name, property_ in node["properties"].items()
        }
    if "items" in node:
        schema["items"] = _convert(node["items"])
    choices = node.get("oneOf", ())
    is_union = bool(choices) and all(part.keys() == {"type"} for part in choices)
    if is_union:
        schema["type"] = [part["type"] for part in choices]
    for key in ("allOf", "anyOf", *(() if is_union else ("oneOf",))):
        if key in node:
            schema[key] = [_constraint(part) for part in node[key]]
    if "not" in node:
        schema["not"] = _constraint(node["not"])
    additional = node.get("additionalProperties")
    if isinstance(additional, Mapping):
        schema["additionalProperties"] = _convert(additional)
    elif additional is not None:
        schema["additionalProperties"] = additional
    elif "properties" in node and not node.get("x-kubernetes-preserve-unknown-fields"):
        schema["additionalProperties"] = False
    return schema


def _constraint(node: Mapping[str, Any]) -> Schema:
    """Return a part of allOf, anyOf, oneOf or not, which names some fields and forbids none."""
    return _open(_convert(node))


def _open(schema: Schema) -> Schema:
    opened = dict(schema)
    if opened.get("additionalProperties") is False:
        del opened["additionalProperties"]
    if "properties" in opened:
        opened["properties"] = {name: _open(part) for name, part in opened["properties"].items()}
    if "items" in opened:
        opened["items"] = _open(opened["items"])
    return opened


def _standalone(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return `schema` together with every definition that it leads to."""
    needed: dict[str, Schema] = {}
    waiting = [*_references(schema)]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = definitions[name]
            waiting.extend(_references(needed[name]))
    return {**schema, "definitions": needed} if needed else schema


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(_DEFINITIONS)
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
