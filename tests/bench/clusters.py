"""A class on one and on three nodes, and classes in a cluster with dozens of nodes and hundreds of
pods, which are fake: kwok says of them that they run. It takes too long for `make bench`.

    python -m tests.bench.clusters           # into build/bench.json, beside what is there
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sopslab.config.naming import seat_namespace
from sopslab.layout import PROJECT
from tests.bench import figures
from tests.bench.classroom import up_with
from tests.cluster.classroom import Classroom
from tests.cluster.hand_made import NODES, hand_made_lab
from tests.cluster.isolation.hostile import pod
from tests.cluster.lab import Lab, free_port, lab_name, run, wait_until
from tests.conftest import find_tool

SMALL, LARGE = 100, 300
ON_NODES = 30
FAKE_NODES, FAKE_PODS = 30, 3
_MODULE = PROJECT / "tests" / "modules" / "kwok"
_MARK = "sops-lab-bench"
# What kwok says of nodes and pods, in its module.
_STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
# What works for a class, by the beginning of its name as the kernel has it.
_CONTROLLERS = ("etcd", "kube-apiserver", "kube-controller", "kustomize-contr", "source-control")


def main() -> int:
    """Measure, add that to the report of the bench, and return 0."""
    report = json.loads(figures.REPORT.read_text()) if figures.REPORT.is_file() else {}
    with tempfile.TemporaryDirectory(prefix="sops-lab-bench-") as folder:
        report["clusters"] = measure_clusters(Path(folder))
    figures.REPORT.parent.mkdir(exist_ok=True)
    figures.REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print("\n".join(figures.lines({"clusters": report["clusters"]})))
    return 0


def measure_clusters(folder: Path) -> dict[str, Any]:
    """Return the ratio of a class on three nodes to the same on one, and what classes of two sizes
    take among fake nodes, each learner with fake pods: seconds, and MiB of the controllers."""
    one, three = (_on_nodes(folder / str(workers), workers) for workers in (0, 2))
    small, large = (_among_fakes(folder / str(size), size) for size in (SMALL, LARGE))
    return {
        "learners_on_nodes": ON_NODES,
        "one_node": one,
        "three_nodes": three,
        "ratio_three_to_one": round(three / one, 2),
        "small": small,
        "large": large,
        "fake_nodes": FAKE_NODES,
        "fake_pods": LARGE * FAKE_PODS,
        "ratio_large_to_small": round(large["up"] / small["up"], 2),
    }


def _on_nodes(folder: Path, workers: int) -> float:
    """Return the seconds from a lab that is up to a class, on a cluster with so many workers."""
    with hand_made_lab(lab_name("bench-nodes"), folder, workers=workers) as lab:
        lab.up()
        spent, _ = up_with(Classroom(lab), ON_NODES, NODES[: 1 + workers])
    return round(spent.seconds, 1)


def _among_fakes(folder: Path, learners: int) -> dict[str, Any]:
    lab = Lab(lab_name("bench-fakes"), folder, {})
    classroom = Classroom(lab)
    lab.remove()
    try:
        lab.up()
        with fake_nodes(lab):
            first, _ = up_with(classroom, learners)
            _make_pods(lab, learners)
            second, changed = up_with(classroom, learners)
            started = time.monotonic()
            lab.sopslab("status", "--json", check=False)
            status = time.monotonic() - started
            return {
                "learners": learners,
                "up": round(first.seconds, 1),
                "up_processor": round(first.processor, 1),
                "second_up": round(second.seconds, 1),
                "second_changes": changed,
                "status": round(status, 1),
                "mib": _memory(lab),
            }
    finally:
        lab.remove()


@contextmanager
def fake_nodes(lab: Lab) -> Iterator[None]:
    """Have nodes in the block that are ready and run whatever names them."""
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
    process = subprocess.Popen(
        [
            str(program), "--kubeconfig", lab.settings.lab_kubeconfig,
            "--manage-nodes-with-label-selector", _MARK,
            "--server-address", f"127.0.0.1:{free_port()}",
            *(f"--config={file}" for file in files),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _create(lab, [_node(f"fake-{number:02d}") for number in range(FAKE_NODES)])
        lab.kubectl("wait", "nodes", "-l", _MARK, "--for=condition=Ready", "--timeout=60s")
        yield
    finally:
        process.terminate()
        process.wait(30)


def _node(name: str) -> dict[str, Any]:
    labels = {_MARK: "fake", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def _make_pods(lab: Lab, learners: int) -> None:
    """Give each learner fake pods, as many as are on a busy day, and wait until they run."""
    pods = []
    for learner in range(learners):
        for number in range(FAKE_PODS):
            one = pod(f"fake-{number}", nodeSelector={_MARK: "fake"})
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


def _memory(lab: Lab) -> dict[str, int]:
    """Return the resident memory of what works for a class, in MiB."""
    told = run(["docker", "top", lab.node, "-eo", "rss,comm"]).stdout.splitlines()[1:]
    found: dict[str, int] = {}
    for line in told:
        kib, name = line.split(maxsplit=1)
        if name.startswith(_CONTROLLERS):
            found[name] = found.get(name, 0) + int(kib) // 1024
    return found


if __name__ == "__main__":
    sys.exit(main())
