"""What the Git server in the cluster is made of, as the API server would judge it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sopslab.checks.git_pod import objects
from sopslab.validation.conformance import check
from tests.conftest import find_tool
from tests.unit.test_git_pod import GIVEN, OURS, shape


@pytest.mark.parametrize("service", ["ClusterIP", "LoadBalancer", "NodePort"])
def test_every_object_is_of_its_schema(service: str, schema_dir: Path) -> None:
    made = objects("lab", OURS, shape(service=service, storage_class="fast"), **GIVEN)
    assert check(made, [schema_dir], find_tool("kubeconform")) == []
