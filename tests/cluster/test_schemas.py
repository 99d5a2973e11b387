"""If the store lacks the sources of the API, schemas are made from what the cluster serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from sopslab.lab.act import served_api
from sopslab.validation.schema_store import make
from tests.cluster.lab import Lab

GOOD = """apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: ada, namespace: flux-system}
spec: {interval: 1m, url: "http://git.example/lab.git"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ada}
data: {greeting: hello}
"""


@pytest.mark.restores
def test_schemas_made_from_the_served_api_accept_good_objects_and_no_others(
    lab: Lab, tmp_path: Path
) -> None:
    served = tmp_path / "api"
    served_api.keep(lab.settings.for_machine, str(served))
    make(served / "openapi", served / "crds", tmp_path / "schemas")
    location = (
        f"{tmp_path}/schemas/{{{{.Group}}}}/{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json"
    )

    def conforms(text: str) -> bool:
        command = ["kubeconform", "-strict", "-schema-location", location, "-"]
        return lab.run(*command, stdin=text, check=False).returncode == 0

    assert conforms(GOOD)
    assert not conforms(GOOD.replace("url:", "uri:"))
    assert not conforms(GOOD.replace("{greeting: hello}", "[hello]"))
