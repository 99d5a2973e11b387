"""A learner of a class who tries what is not allowed, with a learner's own means only."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from sopslab.config.naming import seat_namespace, seat_system_namespace
from tests.cluster.classroom import NOW, Classroom
from tests.cluster.lab import Lab, run, wait_until

PAUSE = "registry.k8s.io/pause:3.10"
APPS = "flux/apps"
SECRETS = "flux/secrets/develop"

FORBIDDEN = re.compile("forbidden", re.IGNORECASE)
# Seconds within which another learner's push has to arrive while a hostile one is at work.
IN_TIME = 15.0

Manifest = dict[str, Any]


def manifest(kind: str, name: str, api: str = "v1", **fields: Any) -> Manifest:
    """Return an object of Kubernetes."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **fields}


def pod(name: str, image: str = PAUSE, container: Mapping[str, Any] | None = None,
        **spec: Any) -> Manifest:  # fmt: skip
    """Return a pod that Pod Security accepts; `container` and `spec` override fields of it."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    main = {"name": "main", "image": image, "imagePullPolicy": "Never", "securityContext": security}
    restricted = {
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return manifest(
        "Pod",
        name,
        spec={
            "terminationGracePeriodSeconds": 1,
            "securityContext": restricted,
            "containers": [{**main, **(container or {})}],
            **spec,
        },
    )


def deployment(name: str, replicas: int = 1, container: Mapping[str, Any] | None = None,
               **spec: Any) -> Manifest:  # fmt: skip
    """Return a Deployment of such pods."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(name, PAUSE, container, **spec)["spec"]}
    selector = {"matchLabels": labels}
    body = {"replicas": replicas, "selector": selector, "template": template}
    return manifest("Deployment", name, "apps/v1", spec=body)


@dataclass
class Hostile:
    """A learner with a clone, the stock kubectl and the rights of one seat."""

    classroom: Classroom
    seat: str
    folder: Path

    def __post_init__(self) -> None:
        self.namespace = seat_namespace(self.seat)
        self.system = seat_system_namespace(self.seat)

    @property
    def lab(self) -> Lab:
        """The lab, as the instructor sees it."""
        return self.classroom.lab

    @cached_property
    def work(self) -> Path:
        """A clone of the seat's repository."""
        return self.classroom.clone(self.seat, self.folder)

    def kubectl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl as this learner, in the learner's namespace unless another is named."""
        return self.classroom.kubectl_as(self.seat, "-n", self.namespace, *arguments, check=check)

    def create(
        self, *objects: Manifest, check: bool = True, output: str = "name"
    ) -> subprocess.CompletedProcess[str]:
        """Create objects in one call, as this learner."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self.classroom.kubectl_as(
            self.seat, "-n", self.namespace, "create", "-f", "-", "-o", output,
            check=check, stdin=text,
        )  # fmt: skip

    def not_created(self, *objects: Manifest) -> str:
        """Create objects, which must fail; return what the API server says."""
        done = self.create(*objects, check=False)
        assert done.returncode != 0, f"this was allowed: {done.stdout}"
        return done.stderr

    def refused(self, *arguments: str) -> str:
        """Run kubectl, which must fail; return what it says."""
        done = self.kubectl(*arguments, check=False)
        assert done.returncode != 0, f"{arguments} was allowed: {done.stdout}"
        return done.stderr

    def owns(self, kind: str) -> list[Manifest]:
        """Return the objects of a kind in the learner's namespace."""
        found = json.loads(self.lab.kubectl("-n", self.namespace, "get", kind, "-o", "json"))
        return list(found["items"])

    def bring(self, *objects: Manifest) -> None:
        """Put objects beside the secrets of the repository, where Flux finds them."""
        apps = self.work / APPS
        apps.mkdir(parents=True, exist_ok=True)
        (apps / "objects.yaml").write_text(yaml.safe_dump_all(objects))
        (apps / "kustomization.yaml").write_text(_kustomization(["objects.yaml"]))
        self.refer_to("../../apps")

    def refer_to(self, *resources: str) -> None:
        """Name these resources, besides the canary, in the environment's kustomization."""
        text = _kustomization(["lab-canary.yaml", *resources])
        (self.work / SECRETS / "kustomization.yaml").write_text(text)

    @property
    def head(self) -> str:
        """The last commit of the clone."""
        return run(["git", "rev-parse", "HEAD"], cwd=self.work).stdout.strip()

    def push(self, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Commit everything, past the commit hook, and push it."""
        return self.classroom.push(self.work, check=check)

    def publish(self, *objects: Manifest) -> None:
        """Bring objects and push them."""
        self.bring(*objects)
        self.push()

    def smuggle(self) -> None:
        """Put the clone's commit past the Git server's checks, as only the instructor can."""
        bare = str(self.classroom.bare(self.seat))
        run(["git", "push", "--quiet", "--force", bare, "HEAD:main"], cwd=self.work)
        self.reconcile()

    def reconcile(self) -> None:
        """Ask Flux to look now, as the instructor."""
        self.lab.kubectl(
            "-n", self.system, "annotate", "--overwrite", "gitrepository/lab",
            "kustomization/secrets-develop", f"{NOW}={time.time_ns()}",
        )  # fmt: skip

    def delivery(self) -> Manifest:
        """Return the seat's Kustomization."""
        text = self.lab.kubectl(
            "-n", self.system, "get", "kustomization", "secrets-develop", "-o", "json"
        )
        found: Manifest = json.loads(text)
        return found

    def outcome(self, seconds: float = 60) -> Manifest:
        """Return the condition Ready once Flux has come to a result with the clone's commit."""
        ready: Manifest = {}
        head = self.head

        def settled() -> bool:
            status = self.delivery()["status"]
            ready.update(_ready(status))
            return head in status.get("lastAttemptedRevision", "") and ready["status"] != "Unknown"

        wait_until(settled, f"Flux has no result for {self.seat}'s commit", seconds)
        return ready

    def failure(self, seconds: float = 60) -> str:
        """Return why Flux failed with the clone's commit."""
        ready = self.outcome(seconds)
        assert ready["status"] == "False", ready
        return str(ready["message"])

    def delivers(self, within: float, *beside: Manifest) -> float:
        """Push a new value, and other objects beside it, and return the seconds until the value is
        in the cluster; fail after `within` seconds."""
        value = str(time.time_ns())
        self.bring(manifest("ConfigMap", "probe", data={"value": value}), *beside)
        started = time.monotonic()
        self.push()

        def arrived() -> bool:
            live = self.lab.kubectl(
                "-n", self.namespace, "get", "configmap", "probe", "-o", "jsonpath={.data.value}",
                check=False,
            )  # fmt: skip
            return live == value

        wait_until(arrived, f"{self.seat}'s push was not applied", within)
        return time.monotonic() - started


def live_canary(learner: Hostile) -> str:
    """Return the value of the learner's canary as the cluster has it, encoded."""
    return learner.lab.kubectl(
        "-n", learner.namespace, "get", "secret", "lab-canary", "-o", "jsonpath={.data.value}"
    )


def restarts(lab: Lab) -> dict[str, list[tuple[int, str]]]:
    """Return how often each controller was restarted, and why it was the last time."""
    pods = json.loads(lab.kubectl("-n", "flux-system", "get", "pods", "-o", "json"))["items"]
    return {
        pod["metadata"]["name"]: [
            (container["restartCount"], json.dumps(container["lastState"]))
            for container in pod["status"]["containerStatuses"]
        ]
        for pod in pods
    }


def _kustomization(resources: Sequence[str]) -> str:
    text: str = yaml.safe_dump(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": list(resources),
        }
    )
    return text


def _ready(status: Manifest) -> Manifest:
    conditions = [item for item in status.get("conditions", []) if item["type"] == "Ready"]
    return conditions[0] if conditions else {"status": "Unknown", "message": ""}


@contextmanager
def as_before(*learners: Hostile) -> Iterator[None]:
    """Put repositories and namespaces back to what they were, as the instructor."""
    heads = {learner.seat: learner.classroom.head(learner.seat) for learner in learners}
    try:
        yield
    finally:
        for learner in learners:
            clear(learner, heads[learner.seat])
        for learner in learners:
            head = heads[learner.seat]
            wait_until(
                lambda learner=learner, head=head: _applied(learner, head),  # type: ignore[misc]
                f"{learner.seat} was not put back",
                120,
            )


def clear(learner: Hostile, head: str) -> None:
    """Delete what a learner made, and put the repository back to a commit; wait for neither."""
    learner.lab.kubectl(
        "-n", learner.namespace, "delete", "--all", "--wait=false", "--grace-period=1",
        "deployments,statefulsets,jobs,cronjobs,replicasets,pods,services,configmaps",
    )  # fmt: skip
    bare = learner.classroom.bare(learner.seat)
    listed = run(["git", "for-each-ref", "--format=delete %(refname)", "refs/heads"], cwd=bare)
    others = [line for line in listed.stdout.splitlines() if line != "delete refs/heads/main"]
    run(["git", "update-ref", "--stdin"], cwd=bare, stdin="".join(f"{line}\n" for line in others))
    if learner.classroom.head(learner.seat) != head:
        run(["git", "update-ref", "refs/heads/main", head], cwd=bare)
        learner.reconcile()


def _applied(learner: Hostile, head: str) -> bool:
    status = learner.delivery()["status"]
    return (
        head in status.get("lastAppliedRevision", "")
        and _ready(status)["status"] == "True"
        and not learner.owns("pods")
    )
