"""Which folders below `flux/secrets` are environments, and which are groups of secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from sopslab.policy.findings import Report
from tests.unit.validation.validation_material import encrypted, flux, listing

Judge = Callable[[Mapping[str, str]], Report]


def tree(folder: str, *namespaces: str, more: str | None = None) -> dict[str, str]:
    names = [f"s{number}" for number in range(len(namespaces))]
    where = f"flux/secrets/{folder}"
    files = {f"{where}/kustomization.yaml": listing(*(f"{name}.yaml" for name in names))}
    for name, namespace in zip(names, namespaces, strict=True):
        files[f"{where}/{name}.yaml"] = encrypted(name, namespace)
    if more is not None:
        files["flux/app.yaml"] = flux(where, more, decryption=True)
    return files


@pytest.mark.parametrize(
    "files",
    [
        tree("cloudflare", "cert-manager"),
        tree("cloudflare", "cert-manager", more=""),
        tree("platform", "cert-manager", "monitoring", more=""),
        tree("observability", "monitoring"),
        tree("registry", "develop"),
        tree("team-a", "shop", more="  targetNamespace: shop\n"),
        tree("staging", "staging", more=""),
        tree("production", "shop", more="  targetNamespace: shop\n"),
        tree("develop", "develop"),
    ],
)
def test_secrets_in_the_right_namespace(files: dict[str, str], judge: Judge) -> None:
    assert judge(files).findings == []


@pytest.mark.parametrize(
    "files",
    [
        tree("develop", "cert-manager"),
        tree("develop", "cert-manager", more=""),
        tree("staging", "develop"),
        tree("staging", "develop", more=""),
        tree("eu-production", "develop"),
        tree("shop", "shop", "develop"),
        tree("team-a", "develop", more="  targetNamespace: shop\n"),
    ],
)
def test_secret_in_another_namespace(files: dict[str, str], judge: Judge) -> None:
    assert "namespace-mismatch" in {one.rule for one in judge(files).findings}
