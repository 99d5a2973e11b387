"""The lab's kind cluster is made, started and removed, with stand-ins for Docker, kind and kubectl;
and Docker's answers are understood."""

from __future__ import annotations

import fcntl
import json
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.checks.recreation import cluster_plan
from sopslab.config.settings import Settings
from sopslab.lab.observe.applied import record_file
from sopslab.lab.observe.kind import cluster_state, standing
from sopslab.layout import PROJECT
from sopslab.model.kind import ClusterState, Owner
from sopslab.provision.operations import kind
from tasks.cluster import node_configuration
from tests.fake import Applied, order_of, would_run
from tests.machines import MACHINE
from tests.texts import write_program

# Each container is a file in the folder `containers`, with Docker's description of it.
_DOCKER = """#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "docker $*" >>calls
case "$*" in
ps*) ls containers ;;
*"--format {{.Id}}"*) ls containers ;;
*"--format {{.State.Status}}"*) cat status ;;
"container inspect"*) [ -n "$(ls containers)" ] || { echo '[]'; exit 1; }; cat containers/* ;;
rm*) rm -f containers/* ;;
start* | unpause*) echo running >status ;;
image*) echo '[]' ;;
esac
"""
_KIND = """#!/bin/sh
here=$(dirname "$0")
echo "kind $*" >>"$here/calls"
[ "$1" = create ] || { echo 'clusters: kind'; exit 0; }
echo "network $KIND_EXPERIMENTAL_DOCKER_NETWORK" >>"$here/calls"
while [ -e "$here/slow" ]; do sleep 0.05; done
[ ! -e "$here/failing" ] || { cat "$here/failing" >&2; exit 1; }
echo "$NODE" >"$here/containers/n1"
while [ "$1" != --kubeconfig ]; do shift; done
echo '    server: https://127.0.0.1:6443' >"$2"
"""
_KUBECTL = """#!/bin/sh
here=$(dirname "$0")
echo "kubectl $KUBECONFIG $*" >>"$here/calls"
[ ! -e "$here/silent" ] || exit 1
case "$*" in
*bindings*) echo '{"items": []}' ;;
*" apply "*) cat >"$here/applied" ;;
esac
"""
NETWORK = "sops-lab-lab"
PUBLISHED = {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "6443"}]}


ours = partial(ClusterState, Owner.LAB, "running", image="sops-lab/node:1")


def container(node: str = "n1", network: str = NETWORK, ports: Any = PUBLISHED) -> dict[str, Any]:
    return {
        "Id": node,
        "State": {"Status": "running"},
        "NetworkSettings": {"Networks": {network: {}}},
        "HostConfig": {"PortBindings": ports},
        "Config": {"Image": "sops-lab/node:1"},
    }


@pytest.fixture
def settings(lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lab on a machine with stand-ins, which record their calls."""
    found = lab()
    folder = Path(found.bin_dir)
    (folder / "containers").mkdir(parents=True)
    for name, text in (("docker", _DOCKER), ("kind", _KIND), ("kubectl", _KUBECTL)):
        write_program(folder / name, text)
    Path(found.lab_dir).mkdir(parents=True)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("NODE", json.dumps([container()]))
    return found


def make(settings: Settings, operation: Any = kind.cluster) -> Applied:
    template = str(Path(__file__).parents[2] / "templates" / "kind")
    return Applied(operation, settings=settings, image="sops-lab/node:1", template=template)


def calls(settings: Settings) -> list[str]:
    return Path(settings.bin_dir, "calls").read_text().splitlines()


def test_a_cluster_is_made_to_its_end_before_it_counts(settings: Settings) -> None:
    left = Path(settings.lab_dir, ".kind.killed")
    left.mkdir()
    done = make(settings)
    assert (done.changed, done.failed) == (True, False), done.stderr
    assert cluster_state(settings.for_machine) == ours(complete=True, address="127.0.0.1")
    assert f"network {NETWORK}" in calls(settings)
    for name in ("kubeconfig", "node-id"):
        assert Path(settings.lab_dir, name).stat().st_mode & 0o077 == 0
    assert not list(Path(settings.lab_dir).glob(".kind.*"))
    # The cluster was closed with a kubeconfig that nobody else had yet.
    asked = [call.split()[1] for call in calls(settings) if call.startswith("kubectl ")]
    assert asked and settings.lab_kubeconfig not in asked
    # Without these rights there would be no logs of pods, and no node after a year.
    applied = json.loads(Path(settings.bin_dir, "applied").read_text())
    assert {one["roleRef"]["name"] for one in applied["items"]} == {
        "system:kubelet-api-admin",
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    }
    assert not make(settings).changed


def test_the_node_is_given_the_files_of_its_lab_whatever_the_root_is_called(
    settings: Settings, lab: Callable[..., Settings]
) -> None:
    other = lab(root=f"{settings.root}/class #2")
    (command,) = would_run(
        kind.cluster, settings=other, image="sops-lab/node:1",
        template=str(PROJECT / "templates" / "kind"),
    )  # fmt: skip
    _, order = order_of(command)
    (node,) = yaml.safe_load(order["config"])["nodes"]
    assert [mount["hostPath"] for mount in node["extraMounts"]] == [
        f"{other.node_dir}/{name}" for name in ("kubeadm", "system.slice.conf", "containerd.conf")
    ]


def test_a_cluster_is_made_in_the_background_and_waited_for(settings: Settings) -> None:
    slow = Path(settings.bin_dir, "slow")
    slow.touch()
    done = make(settings, kind.head_start)
    assert (done.changed, done.failed) == (True, False), done.stderr
    assert not Path(settings.lab_dir, "node-id").exists()
    with Path(settings.lab_dir, ".cluster.lock").open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    slow.unlink()
    assert not make(settings).changed
    assert [call for call in calls(settings) if call.startswith("kind create")] != []


def test_what_kind_left_half_made_is_not_there_and_the_reason_is_told(settings: Settings) -> None:
    failing = Path(settings.bin_dir, "failing")
    failing.write_text("Cannot connect to the Docker daemon\n")
    done = make(settings)
    assert done.failed
    assert done.stderr.strip() == ("kind could not create the cluster lab: Docker does not answer")
    failing.unlink()
    assert not make(settings).failed


def test_a_cluster_that_is_not_closed_to_strangers_does_not_count(settings: Settings) -> None:
    Path(settings.bin_dir, "silent").touch()
    done = make(settings)
    assert done.failed and "could not be closed to strangers" in done.stderr
    assert not cluster_state(settings.for_machine).complete
    assert not Path(settings.lab_kubeconfig).exists()


def test_a_half_made_cluster_is_removed_before_another_is_made(settings: Settings) -> None:
    Path(settings.bin_dir, "containers", "n0").write_text(json.dumps([container("n0")]))
    Path(settings.lab_dir, "node-id").write_text("another\n")
    record = Path(record_file(settings, "sync.yaml"))
    record.parent.mkdir()
    record.write_text("{}")
    assert not make(settings).failed
    assert "docker rm -fv n0" in calls(settings)
    # The record was about the other cluster.
    assert not record.exists()


def test_a_cluster_stays_until_it_is_said_that_it_is_replaced(settings: Settings) -> None:
    make(settings)
    assert not make(settings, kind.head_start).changed
    new = settings.model_copy(update={"recreate": True})
    before = len(calls(settings))
    assert make(new, kind.head_start).changed
    # The old node is gone when the operation ends, even if work goes on in the background.
    removed = [call for call in calls(settings)[before:] if call.startswith("docker rm ")]
    assert removed and not make(settings).changed
    made = [call for call in calls(settings)[before:] if call.startswith("kind create ")]
    assert len(made) == 1


def test_a_removed_cluster_leaves_nothing(settings: Settings) -> None:
    make(settings)
    done = Applied(kind.removal, settings=settings)
    assert (done.changed, done.failed) == (True, False), done.stderr
    assert [path.name for path in Path(settings.lab_dir).iterdir()] == [".cluster.lock"]
    assert not Applied(kind.removal, settings=settings).changed


@pytest.mark.parametrize(("status", "verb"), [("exited", "start"), ("paused", "unpause")])
def test_a_node_that_does_not_run_is_started(settings: Settings, status: str, verb: str) -> None:
    make(settings)
    stopped = container() | {"State": {"Status": status}}
    Path(settings.bin_dir, "containers", "n1").write_text(json.dumps([stopped]))
    Path(settings.bin_dir, "status").write_text(status)
    done = Applied(kind.node, settings=settings)
    assert (done.changed, done.failed) == (True, False), done.stderr
    assert f"docker {verb} lab-control-plane" in calls(settings)


def test_a_lost_kubeconfig_is_asked_for_again(settings: Settings) -> None:
    make(settings)
    Path(settings.lab_kubeconfig).unlink()
    done = Applied(kind.node, settings=settings)
    assert (done.changed, done.failed) == (True, False), done.stderr
    assert Path(settings.lab_kubeconfig).read_text() == "clusters: kind\n"
    assert Path(settings.lab_kubeconfig).stat().st_mode & 0o777 == 0o600


SERVER = "https://127.0.0.1:6443"
STANDINGS: dict[str, tuple[list[Any], str, list[str], ClusterState]] = {
    "nothing": ([], "", [], ClusterState(Owner.NOBODY)),
    "a record": ([], "n1", [], ClusterState(Owner.NOBODY, stray="was left behind")),
    "complete": (
        [container()], "n1", [SERVER],
        ours(complete=True, address="127.0.0.1"),
    ),
    "half-made": (
        [container()], "", [SERVER],
        ours(address="127.0.0.1"),
    ),
    "half-made beside an old record": (
        [container("n2")], "n1", [SERVER],
        ours(address="127.0.0.1"),
    ),
    "another node beside it": (
        [container(), container("n2")], "n1", [SERVER],
        ours(address="127.0.0.1"),
    ),
    "foreign": (
        [container(network="kind")], "", [], ClusterState(Owner.FOREIGN, "running"),
    ),
    "foreign with our record": (
        [container(network="kind")], "n1", [SERVER], ClusterState(Owner.FOREIGN, "running"),
    ),
    "partly foreign": (
        [container(), container("n2", "kind")], "n1", [SERVER],
        ClusterState(Owner.FOREIGN, "running"),
    ),
    "no kubeconfig": (
        [container()], "n1", [],
        ours(True, "was missing", "127.0.0.1"),
    ),
    "a kubeconfig of others": (
        [container()], "n1", ["https://127.0.0.1:7443"],
        ours(True, "led elsewhere", "127.0.0.1"),
    ),
    "nothing published": (
        [container(ports=None)], "n1", [], ours(complete=True),
    ),
}  # fmt: skip


def test_a_node_of_another_machine_is_reached_there() -> None:
    nodes = [container(ports={"6443/tcp": [{"HostIp": "0.0.0.0", "HostPort": "6443"}]})]

    def stray(server: str) -> str:
        return standing(nodes, "n1", [server], NETWORK, "docker").stray

    assert stray("https://docker:6443") == ""
    assert stray("https://0.0.0.0:6443") == "led elsewhere"


@pytest.mark.parametrize("case", STANDINGS)
def test_how_a_cluster_stands_is_read_off_its_containers(case: str) -> None:
    nodes, recorded, servers, expected = STANDINGS[case]
    assert standing(nodes, recorded, servers, NETWORK, None) == expected


def test_a_cluster_of_another_version_is_said_to_stay_or_to_be_replaced() -> None:
    made = ClusterState(Owner.LAB, "running", complete=True, image="sops-lab/node:1")
    assert cluster_plan(made, "sops-lab/node:1", recreate=False) == []
    assert cluster_plan(ClusterState(), "sops-lab/node:1", recreate=True) == []
    (stays,) = cluster_plan(made, "sops-lab/node:2", recreate=False)
    (replaced,) = cluster_plan(made, "sops-lab/node:2", recreate=True)
    assert "stays" in stays and "--recreate" in stays
    assert "replaced" in replaced


@pytest.mark.parametrize("cgroup", [1, 2])
@pytest.mark.parametrize("restricted", [False, True])
def test_a_node_starts_containerd_as_its_machine_has_it(
    tmp_path: Path, cgroup: int, restricted: bool
) -> None:
    machine = replace(MACHINE, cgroup=cgroup, bounding=0xA80425FB if restricted else -1)
    unit = node_configuration(machine, None)["containerd.conf"].content.decode()
    configuration = tmp_path / "config.toml"
    configuration.write_text("SystemdCgroup = true\nrestrict_oom_score_adj = false\n")
    for line in unit.splitlines():
        name, _, command = line.partition("=")
        if name == "ExecStartPre":
            *program, path = shlex.split(command)
            assert path == "/etc/containerd/config.toml"
            subprocess.run([*program, configuration], check=True)
    assert tomllib.loads(configuration.read_text()) == {
        "SystemdCgroup": cgroup == 2,
        "restrict_oom_score_adj": restricted,
    }
