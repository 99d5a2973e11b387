"""What software is made of, in CycloneDX 1.6: pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class Part:
    """A package that something is made of. Its ecosystem is `golang`, `deb` or `pypi`."""

    ecosystem: str
    name: str
    version: str

    @property
    def purl(self) -> str:
        """Its package URL."""
        name = f"debian/{self.name}" if self.ecosystem == "deb" else self.name
        return f"pkg:{self.ecosystem}/{quote(name, safe='/')}@{quote(self.version, safe='')}"


@dataclass(frozen=True)
class Made:
    """A program, a root file system or the product: its name and version, its digest, its type in
    CycloneDX (`kind`), and its parts."""

    name: str
    version: str
    sha256: str
    kind: str
    parts: Sequence[Part]


def sbom(version: str, made: Sequence[Made]) -> dict[str, Any]:
    """Return the document. It has no time, so it is the same for the same things.

    + version: the version of the product
    + made: the things that the document describes
    """
    parts = sorted({part for each in made for part in each.parts}, key=lambda part: part.purl)
    own = f"pkg:pypi/sops-lab@{quote(version, safe='')}"
    things = [_thing(each) for each in made]
    named = "".join(each.sha256 for each in made)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, named)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": own, "name": "sops-lab", "version": version,
                "purl": own,
            }
        },
        "components": [*things, *map(_component, parts)],
        "dependencies": [
            {"ref": own, "dependsOn": sorted(thing["bom-ref"] for thing in things)},
            *(
                {"ref": _ref(each), "dependsOn": sorted({part.purl for part in each.parts})}
                for each in made
            ),
        ],
    }  # fmt: skip


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return one document that describes all that two documents of the same product describe."""
    components = {part["bom-ref"]: part for part in (*other["components"], *one["components"])}
    edges: dict[str, set[str]] = {}
    for edge in (*one["dependencies"], *other["dependencies"]):
        edges.setdefault(edge["ref"], set()).update(edge["dependsOn"])
    named = "".join(sorted(components))
    return {
        **one,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, named)}",
        "components": [components[ref] for ref in sorted(components)],
        "dependencies": [{"ref": ref, "dependsOn": sorted(edges[ref])} for ref in sorted(edges)],
    }


def debian_packages(status: str) -> list[Part]:
    """Return the packages that a dpkg status file lists as installed."""
    found = []
    for paragraph in status.split("\n\n"):
        fields = _fields(paragraph)
        # A package that was removed stays in the file while its configuration is there.
        state = fields.get("Status", "install ok installed")
        if {"Package", "Version"} <= fields.keys() and state.endswith(" installed"):
            found.append(Part("deb", fields["Package"], fields["Version"]))
    return found


def python_packages(wheels: Sequence[str]) -> list[Part]:
    """Return the packages that the file names of wheels tell, each version once."""
    named = {tuple(wheel.split("-")[:2]) for wheel in wheels}
    return [
        Part("pypi", name.replace("_", "-").lower(), version) for name, version in sorted(named)
    ]


def _fields(paragraph: str) -> Mapping[str, str]:
    lines = (line.partition(": ") for line in paragraph.splitlines() if not line.startswith(" "))
    return {name: value for name, _, value in lines}


def _ref(made: Made) -> str:
    return f"sops-lab:{made.name}:{made.sha256[:16]}"


def _thing(made: Made) -> dict[str, Any]:
    return {
        "type": made.kind,
        "bom-ref": _ref(made),
        "name": made.name,
        "version": made.version,
        "hashes": [{"alg": "SHA-256", "content": made.sha256}],
    }


def _component(part: Part) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        "purl": part.purl,
    }
