"""A class on one and on three nodes, and classes in a cluster with dozens of fake nodes and
hundreds of fake pods, of which kwok says that they run. This part takes so long that it is measured
only if it is named."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sopslab.config.job import free_port
from sopslab.config.naming import seat_namespace
from sopslab.layout import PROJECT
from tests.bench.classroom import begun, up_with
from tests.bench.processor import GIT_SERVER, NODE, of_lab
from tests.bench.products import Product
from tests.bench.up import timed
from tests.cluster.classroom import Classroom
from tests.cluster.hand_made import NODES, hand_made_lab
from tests.cluster.isolation.hostile import pod
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.conftest import find_tool

SMALL, LARGE = 100, 300
ON_NODES = 30
FAKE_NODES, FAKE_PODS = 30, 3
_MODULE = PROJECT / "tests" / "modules" / "kwok"
_MARK = "sops-lab-bench"
# The folders in kwok's module with what it says of nodes and pods.
_STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
# The processes that work for a class, by the beginning of their names.
_CONTROLLERS = ("etcd", "kube-apiserver", "kube-controller", "kustomize-contr", "source-control")
# Without this taint, real pods would be placed on fake nodes, which run nothing.
_TAINT = {"key": _MARK, "value": "fake", "effect": "NoSchedule"}


def measure_clusters(folder: Path, products: Sequence[Product]) -> Iterator[dict[str, Any]]:
    """Yield, as parts of the report, the ratio of a class on three nodes to the same class on one,
    and what classes of two sizes take among fake nodes, where each learner has fake pods: seconds,
    and the MiB of the processes that work for a class.

    An earlier product is not measured, because this part takes an hour already.
    """
    one, three = (_on_nodes(folder / str(workers), workers) for workers in (0, 2))
    yield {
        "clusters": {
            "learners_on_nodes": ON_NODES,
            "one_node": one,
            "three_nodes": three,
            "ratio_three_to_one": round(three / one, 2),
        }
    }
    small, large = (_among_fakes(folder / str(size), size) for size in (SMALL, LARGE))
    yield {
        "clusters": {
            "small": small,
            "large": large,
            "fake_nodes": FAKE_NODES,
            "fake_pods": LARGE * FAKE_PODS,
            "ratio_large_to_small": round(large["up"] / small["up"], 2),
        }
    }


def _on_nodes(folder: Path, workers: int) -> float:
    """Return the seconds that a class takes on a lab that is up, on a cluster with this number of
    workers."""
    with hand_made_lab(lab_name("bench-nodes"), folder, workers=workers) as lab:
        lab.up()
        containers = dict.fromkeys(NODES[: 1 + workers], NODE) | {lab.git_server: GIT_SERVER}
        spent, _ = up_with(Classroom(lab), ON_NODES, containers)
    return round(spent.seconds, 1)


def _among_fakes(folder: Path, learners: int) -> dict[str, Any]:
    """Return what this number of learners takes in a lab with fake nodes."""
    with begun(Lab(lab_name("bench-fakes"), folder, {})) as classroom:
        lab, containers = classroom.lab, of_lab(classroom.lab)
        with fake_nodes(lab):
            first, _ = up_with(classroom, learners, containers)
            _make_pods(lab, learners)
            second, changed = up_with(classroom, learners, containers)
            status = timed(lambda: lab.sopslab("status", "--json", check=False))
    return {
        "learners": learners,
        "up": round(first.seconds, 1),
        "up_processor": round(first.processor, 1),
        "second_up": round(second.seconds, 1),
        "second_changes": changed,
        "status": round(status, 1),
        "mib": {
            name: round(mib)
            for (group, name), mib in second.profile.peaks.items()
            if group == NODE and name.startswith(_CONTROLLERS)
        },
    }


@contextmanager
def fake_nodes(lab: Lab) -> Iterator[None]:
    """Make nodes for the block that claim to be ready, and to run the pods that select them."""
    program = PROJECT / "build" / "tools" / "kwok"
    build = [find_tool("go"), "build", "-o", str(program), "sigs.k8s.io/kwok/cmd/kwok"]
    run(build, env=dict(os.environ), cwd=_MODULE)
    where = [find_tool("go"), "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"]
    stages = Path(run(where, env=dict(os.environ), cwd=_MODULE).stdout.strip(), "kustomize/stage")
    files = [
        file
        for name in _STAGES
        for file in sorted((stages / name).glob("*.yaml"))
        if file.name != "kustomization.yaml"
    ]
    log = lab.folder / "kwok.log"
    with log.open("w") as output:
        process = subprocess.Popen(_command(program, lab, files), stdout=output, stderr=output)
    try:
        _create(lab, [_node(f"fake-{number:02d}") for number in range(FAKE_NODES)])
        lab.kubectl("wait", "nodes", "-l", _MARK, "--for=condition=Ready", "--timeout=60s")
        yield
        assert process.poll() is None, f"kwok has ended: {log.read_text()[-2000:]}"
    finally:
        process.terminate()
        process.wait(30)


def _command(program: Path, lab: Lab, files: Sequence[Path]) -> list[str]:
    """Return the command that plays the kubelets of the fake nodes."""
    return [
        str(program), "--kubeconfig", lab.settings.lab_kubeconfig,
        "--manage-nodes-with-label-selector", _MARK,
        "--server-address", f"127.0.0.1:{free_port()}",
        *(f"--config={file}" for file in files),
    ]  # fmt: skip


def _node(name: str) -> dict[str, Any]:
    labels = {_MARK: "fake", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [_TAINT]},
    }  # fmt: skip


def _make_pods(lab: Lab, learners: int) -> None:
    """Give each learner as many fake pods as on a busy day, and wait until they run."""
    pods = []
    for learner in range(learners):
        for number in range(FAKE_PODS):
            one = pod(
                f"fake-{number}",
                nodeSelector={_MARK: "fake"},
                tolerations=[{"key": _MARK, "operator": "Exists"}],
            )
            namespace = seat_namespace(f"seat-{learner:03d}")
            one["metadata"] |= {"namespace": namespace, "labels": {_MARK: "fake"}}
            pods.append(one)
    _create(lab, pods)

    def all_run() -> bool:
        running = ("--field-selector", "status.phase=Running", "-o", "name")
        found = lab.kubectl("get", "pods", "-A", "-l", _MARK, *running)
        return len(found.splitlines()) == len(pods)

    wait_until(all_run, "the fake pods run", 300)


def _create(lab: Lab, objects: list[dict[str, Any]]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    lab.run("kubectl", "create", "-f", "-", "-o", "name", stdin=text)
