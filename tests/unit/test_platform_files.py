"""What the platform repository holds: for a class, and on a cluster that others use, too."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.config.environment import at_seat, solo
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree
from sopslab.lab.tools.flux import CONTROLLERS
from sopslab.layout import API_PORT, ENFORCER, FLUX_FINALIZER
from sopslab.model.clusters import ApiServers
from tasks.flux import overlays, platform_files, tenant_base_tag
from tasks.learners import learner_variables
from tests.conftest import find_tool
from tests.repositories import seats

OWN = "flux/clusters/lab/flux-system/"
NETWORK = f"{OWN}network.yaml"
ASKED = f"{OWN}asked.yaml"
KUSTOMIZATION = f"{OWN}kustomization.yaml"
CLASSROOM = "flux/clusters/lab/classroom/kustomization.yaml"
DEVELOP = "flux/clusters/lab/learners/develop.yaml"
ID = "0123456789abcdef"
API = ApiServers(("192.0.2.20", "2001:db8::20"), (443, 6443))
BY_UP = ("flux-system/gotk-sync.yaml", "flux-system/receiver.yaml", "learners/develop.yaml")
ELSEWHERE = {
    "cluster_provider": "existing",
    "kubeconfig": "/home/ada/.kube/config",
    "context": "prod",
}


@pytest.fixture
def settings(lab: Callable[..., Settings]) -> Settings:
    """A class of two on the lab's own cluster."""
    return lab(seats=seats(2))


@pytest.fixture
def elsewhere(lab: Callable[..., Settings]) -> Settings:
    """A class of two on an existing cluster."""
    return lab(**ELSEWHERE, git_bind="192.0.2.10", seats=seats(2))


# A class


def test_who_has_no_access_any_more_is_nobody_in_the_platform_repository(
    settings: Settings,
) -> None:
    users = {"s0": "sops-lab:s0:aa0000000000aa", "s1": "sops-lab:s1:bb0000000000bb"}
    before = overlays(settings, settings.seats, (), users)
    after = overlays(settings, settings.seats, {"s0"}, users)
    path = "flux/clusters/lab/tenants/{}.yaml".format
    assert after[path("s1")] == before[path("s1")]
    changed = after[path("s0")].content.decode()
    assert 'user: "sops-lab:s0:none"' in changed
    assert "/spec/suspend" in changed


def test_only_a_class_is_laid_out_as_one(settings: Settings) -> None:
    alone = platform_files(settings, (), ApiServers(ports=(API_PORT,)))
    assert not any("classroom" in path or "tenants" in path for path in alone)
    together = platform_files(settings, settings.seats, ApiServers(ports=(API_PORT,)))
    assert ENFORCER in alone
    assert alone.items() <= together.items()
    assert set(overlays(settings, settings.seats, (), {})) == {
        "flux/clusters/lab/tenants/s0.yaml",
        "flux/clusters/lab/tenants/s1.yaml",
    }


def test_another_learner_changes_no_file_of_anybody_else(settings: Settings) -> None:
    one, two = settings.seats[:1], settings.seats
    common = platform_files(settings, one, ApiServers(ports=(API_PORT,)))
    assert common == platform_files(settings, two, ApiServers(ports=(API_PORT,)))
    assert overlays(settings, one, (), {}).items() <= overlays(settings, two, (), {}).items()
    source = common["flux/clusters/lab/classroom/tenant-base.yaml"]
    assert tenant_base_tag() in source.content.decode()


def test_access_that_is_issued_anew_is_another_user(settings: Settings) -> None:
    def user(users: dict[str, str]) -> str:
        files = overlays(settings, settings.seats, (), users)
        return files["flux/clusters/lab/tenants/s0.yaml"].content.decode()

    assert 'user: "sops-lab:s0:aa0000000000aa"' in user({"s0": "sops-lab:s0:aa0000000000aa"})
    assert 'user: "sops-lab:s0:none"' in user({}), "nobody's, and never one that was valid once"


def test_a_seat_has_names_of_its_own_and_the_learner_alone_those_of_the_chapter(
    settings: Settings,
) -> None:
    alone = learner_variables(settings, solo(settings))
    assert (alone["namespace"], alone["flux_namespace"]) == ("develop", "flux-system")
    assert not alone["classroom"]
    seat = learner_variables(settings, at_seat(settings.seats[0]))
    assert (seat["namespace"], seat["flux_namespace"]) == ("s0-develop", "lab-s0-sys")
    assert seat["classroom"]
    assert str(seat["repository_url"]).endswith("/s0/lab.git")


@pytest.mark.parametrize("learner", ["007", "true"])
def test_the_learner_alone_is_called_by_text_whatever_yaml_would_read_in_it(
    lab: Callable[..., Settings], learner: str
) -> None:
    settings = lab(learner={"id": learner, "name": "Ada", "email": "ada@example.org"})
    laid_out = platform_files(settings, (), ApiServers(ports=(API_PORT,)))
    objects = {one["kind"]: one for one in yaml.safe_load_all(laid_out[DEVELOP].content)}
    (receiver, *_) = yaml.safe_load_all(laid_out[f"{OWN}receiver.yaml"].content)
    assert objects["Namespace"]["metadata"]["labels"]["toolkit.fluxcd.io/tenant"] == learner
    assert objects["GitRepository"]["metadata"]["name"] == learner
    assert objects["Kustomization"]["spec"]["sourceRef"]["name"] == learner
    assert receiver["spec"]["resources"][1]["name"] == learner


# On an existing cluster


def test_flux_reaches_the_api_server_where_the_cluster_says_that_it_listens(
    elsewhere: Settings,
) -> None:
    laid_out = platform_files(elsewhere, elsewhere.seats, API)
    assert ENFORCER in laid_out, "left out by what knows the network of the node"
    policies = list(yaml.safe_load_all(laid_out[NETWORK].content))
    reached = [rule["ports"] for one in policies for rule in one["spec"]["egress"]]
    assert [{"protocol": "TCP", "port": port} for port in API.ports] in reached
    assert [{"protocol": "TCP", "port": elsewhere.git_port}] in reached


def test_the_api_server_asks_for_artifacts_from_where_it_is(
    elsewhere: Settings, settings: Settings
) -> None:
    policy = yaml.safe_load(platform_files(elsewhere, (), API)[ASKED].content)
    (rule,) = policy["spec"]["ingress"]
    asking = [one["ipBlock"]["cidr"] for one in rule["from"]]
    assert asking == ["192.0.2.20/32", "2001:db8::20/128"]
    kind = platform_files(settings, (), ApiServers(ports=(6443,)))
    assert ASKED not in kind
    assert "asked.yaml" not in yaml.safe_load(kind[KUSTOMIZATION].content)["resources"]


def test_no_port_of_its_nodes_is_taken(elsewhere: Settings) -> None:
    laid_out = platform_files(elsewhere, elsewhere.seats, API)
    objects = yaml.safe_load_all(laid_out[f"{OWN}receiver.yaml"].content)
    kinds = {one["kind"]: one for one in objects}
    assert kinds.keys() == {"Receiver", "Service"}
    assert kinds["Service"]["spec"]["type"] == "ClusterIP"
    assert "nodePort" not in kinds["Service"]["spec"]["ports"][0]


def test_alone_on_such_a_cluster_flux_reaches_what_it_did(lab: Callable[..., Settings]) -> None:
    alone = platform_files(lab(**ELSEWHERE), (), API)
    assert NETWORK not in alone
    patches = yaml.safe_load(alone[KUSTOMIZATION].content)["patches"]
    assert not [one for one in patches if one["target"].get("name") == "allow-egress"]


def test_flux_stays_on_a_lost_node_only_where_there_is_no_other(
    elsewhere: Settings, lab: Callable[..., Settings]
) -> None:
    def tolerated(settings: Settings) -> list[int]:
        files = platform_files(settings, settings.seats, API)
        patches = yaml.safe_load(files[KUSTOMIZATION].content)["patches"]
        wanted = [one["patch"] for one in patches if "tolerations" in one["patch"]]
        values = [change["value"] for patch in wanted for change in yaml.safe_load(patch)]
        return [one["tolerationSeconds"] for value in values for one in value]

    assert tolerated(elsewhere) == [30, 30]
    assert tolerated(lab()) == []


def test_a_push_that_nobody_announces_is_seen_within_a_minute(elsewhere: Settings) -> None:
    (first, _) = overlays(elsewhere, elsewhere.seats, (), {}).values()
    given = yaml.safe_load(first.content)["spec"]["postBuild"]["substitute"]
    assert (given["interval"], given["lab"]) == ("1m0s", elsewhere.lab)


@pytest.mark.parametrize("identity", [ID, None])
def test_all_that_is_made_carries_the_labs_id(elsewhere: Settings, identity: str | None) -> None:
    files = platform_files(elsewhere, elsewhere.seats, API, identity)
    patches = yaml.safe_load(files[KUSTOMIZATION].content)["patches"]
    (of_flux,) = (one["patch"] for one in patches if one["target"]["kind"] == "Namespace")
    patched = {one["path"]: one["value"] for one in yaml.safe_load(of_flux)}
    # A lab's own cluster has nobody else's.
    outside = [one["patch"] for one in patches if "CustomResource" in one["target"]["kind"]]
    assert outside == ([of_flux] if identity else [])
    (of_class,) = yaml.safe_load(files[CLASSROOM].content)["labels"]
    develop = next(yaml.safe_load_all(files[DEVELOP].content))["metadata"]["labels"]
    (first, _) = overlays(elsewhere, elsewhere.seats, (), {}, identity).values()
    of_seat = yaml.safe_load(first.content)["spec"].get("commonMetadata", {}).get("labels", {})
    marked = {"sops-lab/id": identity} if identity else {}
    assert patched == {
        f"/metadata/labels/{key.replace('/', '~1')}": value
        for key, value in {"sops-lab": elsewhere.lab, **marked}.items()
    }
    assert of_class["pairs"] == {"sops-lab": elsewhere.lab, **marked}
    assert {key: develop[key] for key in develop if key.startswith("sops-lab")} == of_class["pairs"]
    assert of_seat == marked


def built(folder: Path, laid_out: Tree) -> list[dict[str, Any]]:
    """Return the objects of Flux's own folder, as kustomize builds them."""
    for path, file in laid_out.items():
        if path.startswith(OWN):
            (folder / path.removeprefix(OWN)).write_bytes(file.content)
    with (folder / "gotk-components.yaml").open("wb") as components:
        export = ("install", "--export", f"--components={','.join(CONTROLLERS)}")
        subprocess.run([find_tool("flux"), *export], check=True, stdout=components)
    done = subprocess.run(
        [find_tool("kubectl"), "kustomize", str(folder)], check=True, capture_output=True
    )
    return list(yaml.safe_load_all(done.stdout))


def aggregated(objects: list[dict[str, Any]]) -> set[str]:
    """Return the ClusterRoles that become part of others, by name."""
    return {
        one["metadata"]["name"]
        for one in objects
        if one["kind"] == "ClusterRole"
        and any("/aggregate-to-" in label for label in one["metadata"].get("labels", {}))
    }


def test_nobody_else_gets_a_right_to_this_flux(
    elsewhere: Settings, lab: Callable[..., Settings], tmp_path: Path
) -> None:
    made = built(tmp_path, platform_files(elsewhere, elsewhere.seats, API, ID))
    assert aggregated(made) == set()
    assert [one["metadata"]["name"] for one in made if one["kind"] == "ClusterRole"] == [
        "crd-controller-flux-system"
    ]
    kind = platform_files(lab(), (), ApiServers(ports=(6443,)))
    assert aggregated(built(tmp_path, kind)) == {"flux-edit-flux-system", "flux-view-flux-system"}


def test_only_in_a_cluster_that_goes_with_the_lab_is_flux_waited_for_before_it_ran(
    elsewhere: Settings, lab: Callable[..., Settings]
) -> None:
    def held(laid_out: Tree) -> dict[str, set[str]]:
        """Return the finalizers of Flux's objects that `up` itself applies."""
        texts = [laid_out[f"flux/clusters/lab/{name}"].content for name in BY_UP]
        return {
            f"{one['kind']} {one['metadata']['name']}": {*one["metadata"].get("finalizers", ())}
            for one in yaml.safe_load_all(b"---\n".join(texts))
            if "toolkit.fluxcd.io/" in one["apiVersion"]
        }

    learner = elsewhere.learner.id
    objects = {
        "GitRepository flux-system",
        "Kustomization flux-system",
        f"GitRepository {learner}",
        "Kustomization secrets-develop",
        "Receiver lab",
    }
    kind = platform_files(lab(), (), ApiServers(ports=(6443,)))
    assert held(kind) == {one: {FLUX_FINALIZER} for one in objects}
    assert held(platform_files(elsewhere, (), API)) == {one: set() for one in objects}
