"""Check built objects against their schemas, with kubeconform.

Before that, the `sops` block is taken off an encrypted object, as Flux does, and null fields are
dropped, as the API server does. Of a Secret, kubeconform gets only keys and the types of values.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sopslab.errors import LabError
from sopslab.policy import findings, sops
from sopslab.validation import schemas

_PATIENCE = 60  # seconds for all objects together
_SECTIONS = ("data", "stringData")
_SAMPLES: dict[str, Any] = {"int": 0, "float": 0.5, "bool": False}
_TYPE = re.compile(r",type:(\w+)\]$")
_PLACE = re.compile(r" +- at '((?:/[^' ]*)?)': ")
_WRAPPERS = re.compile(r"validation failed|(?:allOf|anyOf|oneOf|\$ref) failed.*")
# The messages that repeat a value of the object.
_VALUE = re.compile(r"^'.*' (does not match pattern|is not valid)", re.DOTALL)
_KEYS = re.compile(r"'([^']*)'")
_UNKNOWN = "additional propert"
_SUBSTITUTED = re.compile(r"\$\{[^}]*\}")
# The characters that kubeconform's YAML reader accepts only as escapes. Others are not escaped: it
# does not understand the escapes of characters beyond U+FFFF.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


@dataclass(frozen=True)
class Problem:
    """What is wrong with an object: its index, the keys that lead there, and a sentence."""

    index: int
    keys: tuple[str, ...]
    message: str
    unknown: str = ""
    """The first key that is not allowed there, if that is what is wrong."""

    @property
    def place(self) -> tuple[str, ...]:
        """The keys that lead to the line to change."""
        return (*self.keys, self.unknown) if self.unknown else self.keys


def prepared(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object as Flux would apply it, without the values of a Secret."""
    result = {key: value for key, value in manifest.items() if not _is_sops(key, value)}
    if result.get("kind") == "Secret" and result.get("apiVersion") == "v1":
        for section in _SECTIONS:
            if section in result:
                result[section] = _blank(result[section])
    return {key: _without_nulls(value) for key, value in result.items() if value is not None}


def _is_sops(key: str, value: Any) -> bool:
    return key == "sops" and isinstance(value, dict) and "mac" in value


def _blank(value: Any) -> Any:
    """Return an empty value of the same type; for ciphertext, of the type that it decrypts to."""
    if isinstance(value, dict):
        return {key: _blank(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_blank(inner) for inner in value]
    if isinstance(value, str):
        match = _TYPE.search(value) if sops.is_encrypted(value) else None
        return _SAMPLES.get(match[1], "") if match else ""
    if isinstance(value, bool):
        return False
    return value if value is None else 0


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def check(
    objects: Sequence[Mapping[str, Any]], folders: Sequence[Path], kubeconform: str
) -> list[Problem]:
    """Return what is wrong with some objects that all have a schema.

    + folders: where schemas lie; the first folder that has a schema for an object decides

    Raises LabError if kubeconform cannot be run.
    """
    if not objects:
        return []
    with tempfile.TemporaryDirectory(prefix="sopslab-validate-") as folder:
        for index, manifest in enumerate(objects):
            (Path(folder) / f"{index}.json").write_bytes(_json(manifest))
        answer = _ask(Path(folder), folders, kubeconform)
    return sorted(_problems(answer, objects), key=lambda problem: (problem.index, problem.keys))


def _json(manifest: Mapping[str, Any]) -> bytes:
    text = json.dumps(manifest, ensure_ascii=False)
    return _ESCAPED.sub(_escape, text).encode("utf-8")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def _ask(folder: Path, folders: Sequence[Path], kubeconform: str) -> list[dict[str, Any]]:
    command = [kubeconform, "-output", "json"]
    for place in folders:
        name = "{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"
        command += ["-schema-location", f"{place}/{name}"]
    try:
        done = subprocess.run(
            [*command, str(folder)],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        resources: list[dict[str, Any]] = json.loads(done.stdout)["resources"] or []
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"kubeconform cannot be run: {error}") from None
    except (ValueError, KeyError):
        raise LabError(
            f"kubeconform gave no answer and ended with exit code {done.returncode}"
        ) from None
    return resources


def _problems(
    answer: Sequence[Mapping[str, Any]], objects: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    for resource in answer:
        index = int(Path(resource["filename"]).stem)
        manifest = objects[index]
        if resource["status"] != "statusInvalid":
            raise LabError(f"kubeconform could not judge a {manifest['kind']}")
        # The answer's list of errors has only the first level; its message has all levels.
        parts = _PLACE.split(" " + resource["msg"])
        for pointer, said in zip(parts[1::2], parts[2::2], strict=True):
            message = said.strip()
            keys = tuple(_unescaped(part) for part in pointer.split("/")[1:])
            if _WRAPPERS.fullmatch(message) or _is_open(manifest, keys):
                continue
            unknown = _KEYS.search(message) if message.startswith(_UNKNOWN) else None
            yield Problem(index, keys, _shown(message), unknown[1] if unknown else "")


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _is_open(manifest: Any, keys: Sequence[str]) -> bool:
    """True for a text that Flux replaces: ciphertext, or one with `${variable}` in it."""
    for key in keys:
        if isinstance(manifest, list):
            manifest = manifest[int(key)]
        else:
            manifest = manifest.get(key) if isinstance(manifest, dict) else None
    if not isinstance(manifest, str):
        return False
    return sops.is_encrypted(manifest) or bool(_SUBSTITUTED.search(manifest))


def _shown(message: str) -> str:
    """Return a message without the value it is about, and without keys that may be values."""
    message = _VALUE.sub(r"the value \1", message)
    if message.startswith((_UNKNOWN, "missing propert")):
        message = _KEYS.sub(lambda match: f"'{findings.key_path(match[1])}'", message)
    return message


def has_schema(manifest: Mapping[str, Any], folders: Sequence[Path]) -> bool:
    """True if one of the folders has a schema for an object."""
    name = schemas.schema_file(str(manifest.get("apiVersion")), str(manifest.get("kind")))
    return any((folder / name).is_file() for folder in folders)


def has_group(api_version: str, folder: Path) -> bool:
    """True if a folder has schemas of an object's group, or if the group is Kubernetes' own."""
    group = api_version.rpartition("/")[0]
    return "." not in group or (folder / group).is_dir()


def versions_of(kind: str, folders: Sequence[Path]) -> list[str]:
    """Return the apiVersions under which a kind has a schema."""
    found = set()
    for folder in folders:
        for path in folder.glob(f"*/{kind.lower()}_*.json"):
            version = path.stem.rpartition("_")[2]
            group = path.parent.name
            found.add(version if group == version else f"{group}/{version}")
    return sorted(found)
