"""The schemas of a lab: made once, from what its store has pinned."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sopslab.artifacts.versions import read_versions
from sopslab.errors import Exit, LabError
from sopslab.model.yaml_loader import LOADER
from sopslab.validation import schemas

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


OPENAPI = "openapi"
FLUX = "flux-manifests"


def schema_dir(settings: Settings) -> Path:
    """Return the folder with the schemas of the versions in use, made if it is not there yet.

    They are made from what the store has pinned or, where tools came as release files, from what
    the lab's cluster said of its API. Raises LabError if there is neither.
    """
    pinned = read_versions(settings.catalog)
    versions = {name: pinned.version(name, "modules") for name in (OPENAPI, FLUX)}
    # Another version of the converter makes other schemas from the same sources.
    made_by = hashlib.sha256(Path(schemas.__file__).read_bytes()).hexdigest()[:8]
    store, served = Path(settings.store), Path(settings.served_api)
    openapi = store / f"{OPENAPI}-{versions[OPENAPI]}" / "files"
    crds = store / f"{FLUX}-{versions[FLUX]}" / "crds"
    name = f"kubernetes-{versions[OPENAPI]}-flux-{versions[FLUX]}-{made_by}"
    target = Path(settings.root) / "schemas" / name
    if not openapi.is_dir() and served.is_dir():
        openapi, crds = served / "openapi", served / "crds"
        target = Path(settings.lab_dir) / f"schemas-{made_by}"
    if not target.is_dir():
        make(openapi, crds, target)
    return target


def make(openapi: Path, crds: Path, target: Path) -> None:
    """Write the schemas for all kinds into a folder, which appears complete or not at all.

    + openapi: a folder of OpenAPI v3 documents, as the sources of Kubernetes have it
    + crds: a folder of CustomResourceDefinitions
    """
    specifications = [_read_json(path) for path in _sources(openapi, "api*__v*_openapi.json")]
    definitions = [crd for path in _sources(crds, "*.yaml") for crd in _read_yaml(path)]
    found = schemas.from_openapi(specifications)
    found.update(schemas.from_crds(definitions, specifications))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    except OSError as error:
        raise LabError(
            f"the schemas cannot be kept in {target.parent}: {error.strerror}", Exit.ARTIFACTS
        ) from None
    try:
        write(found, new)
        new.chmod(0o755)
        new.rename(target)
    except OSError as error:
        # Another run may have been faster, and then its schemas are the same.
        if not target.is_dir():
            raise LabError(
                f"the schemas cannot be written to {target}: {error.strerror}", Exit.ARTIFACTS
            ) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def write(found: Mapping[str, Any], folder: Path) -> None:
    """Write schemas into a folder."""
    for name, schema in found.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(schema, separators=(",", ":")))


def _sources(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        raise LabError(
            f"the schemas cannot be made: {folder} is not in the store, which sopslab up fills",
            Exit.ARTIFACTS,
        )
    return found


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _read_yaml(path: Path) -> Iterator[dict[str, Any]]:
    for document in yaml.load_all(path.read_text(encoding="utf-8"), Loader=LOADER):
        if document:
            yield document
