"""Keep the schemas of the cluster's API on this machine, in files named as in Kubernetes'
sources."""

from __future__ import annotations

import json
import re

from sopslab.config.places import Lab
from sopslab.lab.tools import flux
from sopslab.lab.tools.files import new_folder
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.manifests import documents, joined

_VERSION = re.compile(r"/v[0-9][a-z0-9]*$")


def keep(lab: Lab, folder: str) -> None:
    """Write the schemas that the cluster serves, and those of Flux, to a folder. Raises Failed."""
    kubectl = Kubectl(lab)
    with new_folder(folder) as new:
        openapi, crds = new / "openapi", new / "crds"
        openapi.mkdir()
        crds.mkdir()
        served = json.loads(kubectl.run("get", "--raw", "/openapi/v3", patience=20))
        for path in sorted(served["paths"]):
            if _VERSION.search(path):
                schema = kubectl.run("get", "--raw", f"/openapi/v3/{path}", patience=20)
                # Kubernetes' sources have apis/apps/v1 as apis__apps__v1_openapi.json.
                (openapi / f"{path.replace('/', '__')}_openapi.json").write_bytes(schema)
        installed = documents(flux.manifests(lab))
        kinds = [one for one in installed if b"kind: CustomResourceDefinition" in one]
        (crds / "flux.yaml").write_bytes(joined(kinds))
        new.chmod(0o755)
        new.rename(folder)
