"""The provider `existing`: a cluster that somebody made by hand, through the same steps."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.errors import Exit
from tests.cluster.hand_made import (
    CLUSTER,
    CONTEXT,
    CONTROL_PLANE,
    WORKER,
    as_instructor,
    hand_made_cluster,
    identities,
    users_kubectl,
)
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.rights import roles

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of provider `existing`, and the cluster that it names, made with stock kind. The lab's
    account has only the rights that docs/clusters.md asks for."""
    folder = tmp_path_factory.mktemp("existing")
    with hand_made_cluster(lab_name("existing"), folder, {}, workers=1) as lab:
        yield as_instructor(lab, roles()[:1])


def test_a_foreign_flux_is_refused(cluster: Lab) -> None:
    kubectl = users_kubectl(cluster)
    run([*kubectl, "create", "namespace", "flux-system"], env=cluster.environment)
    before = identities(kubectl, cluster)
    try:
        answer = cluster.up(check=False)
        assert answer["code"] == Exit.CLUSTER
        assert "a Flux that this lab did not install" in answer["problems"][-1]
        assert identities(kubectl, cluster) == before
        # Nor does `down` remove that Flux.
        cluster.sopslab("down")
        assert identities(kubectl, cluster) == before
    finally:
        run([*kubectl, "delete", "namespace", "flux-system"], env=cluster.environment)


def test_a_context_that_is_not_there_is_refused(cluster: Lab, tmp_path: Path) -> None:
    wrong = Lab(lab_name("existing"), tmp_path, {**cluster.data, "context": "kind-nowhere"})
    answer = wrong.up(check=False)
    assert answer["code"] == Exit.CLUSTER
    assert "there is no context kind-nowhere" in answer["problems"][-1]
    wrong.sopslab("down")


def test_a_real_cluster_of_the_labs_name_is_refused_by_the_provider_kind(
    cluster: Lab, tmp_path: Path
) -> None:
    namesake = Lab(CLUSTER, tmp_path, {})
    kubectl = users_kubectl(cluster)
    before = identities(kubectl, cluster)
    text = "{{.Id}} {{.State.StartedAt}} {{json .NetworkSettings.Networks}}"
    container = run(["docker", "inspect", "--format", text, namesake.node]).stdout
    try:
        answer = namesake.up(check=False)
        assert answer["code"] == Exit.CLUSTER
        assert "this lab did not make" in answer["problems"][0]
        namesake.sopslab("down")
        assert identities(kubectl, cluster) == before
        assert run(["docker", "inspect", "--format", text, namesake.node]).stdout == container
    finally:
        namesake.remove()


def test_a_node_whose_pods_do_not_reach_the_git_server_is_named_before_there_is_a_flux(
    cluster: Lab,
) -> None:
    kubectl = users_kubectl(cluster)
    before = identities(kubectl, cluster)
    answer = cluster.up(check=False)
    assert answer["code"] == Exit.CLUSTER
    # The other node is not named: it has a taint.
    assert f"on {WORKER}, pods do not reach the Git server" in answer["problems"][-1]
    assert "its name is not found" in answer["problems"][-1]

    def pods_are_gone() -> bool:
        return identities(kubectl, cluster) == before

    wait_until(pods_are_gone, "the namespace of the probe is gone")
    cluster.sopslab("down")
    assert identities(kubectl, cluster) == before


def test_it_comes_up_is_content_and_goes_leaving_the_cluster(cluster: Lab, tmp_path: Path) -> None:
    kubectl = users_kubectl(cluster)
    kubeconfig = Path(str(cluster.data["kubeconfig"]))
    before, content = identities(kubectl, cluster), kubeconfig.read_bytes()

    def network_is_there() -> bool:
        return run(["docker", "network", "inspect", cluster.network], check=False).returncode == 0

    def connect() -> None:
        # As the owner of such a cluster does, so that it reaches the lab's Git server.
        wait_until(network_is_there, "the lab's network is there")
        for node in (CONTROL_PLANE, WORKER):
            run(["docker", "network", "connect", cluster.network, node])

    thread = threading.Thread(target=connect)
    thread.start()
    answer = cluster.up()
    thread.join(timeout=60)
    assert answer["changed"] > 0
    expected, live = cluster.canary_digests(tmp_path)
    assert live == expected
    answer = cluster.up()
    assert (answer["changed"], cluster.changes(answer)) == (0, [])
    # A lost kubeconfig of the lab is written again, since this Flux is the lab's own.
    Path(cluster.settings.lab_kubeconfig).unlink()
    answer = cluster.up()
    assert [change.split(": ")[1] for change in cluster.changes(answer)] == [
        f"Take the context {CONTEXT}"
    ]
    for node in (CONTROL_PLANE, WORKER):
        run(["docker", "network", "disconnect", cluster.network, node])
    assert json.loads(cluster.sopslab("down", "--json").stdout)["ok"]
    assert identities(kubectl, cluster) == before
    left = run(
        [*kubectl, "get", "crd,clusterrole,clusterrolebinding", "--output=name"],
        env=cluster.environment,
    ).stdout
    assert "fluxcd" not in left and "flux" not in left
    assert kubeconfig.read_bytes() == content
    assert not Path(cluster.settings.lab_kubeconfig).exists()
