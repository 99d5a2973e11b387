"""What a learner's kustomization may make its builder do: reach other hosts, or never end.

Flux builds for everybody in one process. The Git server's hook is the first line of defence. What
is pushed past it, as only the instructor can, meets the second one.
"""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from typing_extensions import override

from sopslab.layout import ARTIFACT_ADDRESS
from tests.cluster.isolation.hostile import IN_TIME, SECRETS, Hostile, manifest
from tests.cluster.lab import Lab, run, wait_until
from tests.cluster.traffic import Target, Traffic

pytestmark = pytest.mark.every_provider

CONFIG_MAP = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fetched}\ndata: {a: b}\n"
FILE = "kustomization.yaml"


@dataclass
class Server:
    """A server on this machine for the lab's network, and what it was asked for."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def listening(lab: Lab) -> Iterator[Server]:
    gateway = Traffic(lab).gateway
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONFIG_MAP)))
            self.end_headers()
            self.wfile.write(CONFIG_MAP)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer((gateway, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Server(f"http://{gateway}:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write(learner: Hostile, path: str, text: str) -> None:
    file = learner.work / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def refused(learner: Hostile) -> str:
    """Push, which must be refused; return what the Git server says. The clone is put back."""
    head = learner.head
    done = learner.push(check=False)
    assert done.returncode != 0, "this was taken"
    run(["git", "reset", "--quiet", "--hard", head], cwd=learner.work)
    return done.stderr


def test_what_names_a_place_elsewhere_is_not_taken(ada: Hostile, bob: Hostile) -> None:
    with listening(ada.lab) as server:
        fields = (
            f"resources: [{server.url}/resource]",
            f"components: [{server.url}/component]",
            f"patches: [{{path: {server.url}/patch}}]",
            f"configMapGenerator: [{{name: a, files: ['a={server.url}/file']}}]",
            f"secretGenerator: [{{name: a, envs: [{server.url}/env]}}]",
            f"openapi: {{path: {server.url}/openapi}}",
            f"crds: [{server.url}/crd]",
            f"configurations: [{server.url}/configuration]",
            f"replacements: [{{path: {server.url}/replacement}}]",
            "resources: ['https://github.com/fluxcd/flux2//manifests/rbac?ref=main']",
            f"resources: ['http://{ARTIFACT_ADDRESS}/gitrepository/lab-bob-sys/lab/latest.tar.gz']",
            "resources: ['http://localhost:8080/debug/pprof/trace?seconds=300']",
        )
        paths = [f"flux/{number}/{FILE}" for number in range(len(fields))]
        for path, text in zip(paths, fields, strict=True):
            write(ada, path, f"{text}\n")
        write(ada, f"flux/plugin/{FILE}", "transformers: [a.yaml]\n")

        said = refused(ada)

        assert [path for path in paths if f"{path}:" not in said] == []
        assert said.count("[kustomize-remote]") == len(fields), said
        assert "runs plugins [kustomize-plugin]" in said and f"flux/plugin/{FILE}:1 " in said
        assert bob.delivers(IN_TIME) < IN_TIME
        assert server.asked == []


@contextmanager
def let_out(lab: Lab, controller: str) -> Iterator[None]:
    """Let one of Flux's controllers reach everything while the block runs."""
    within = ("kubectl", "--namespace", "flux-system")
    chosen = {"matchLabels": {"app": controller}}
    spec = {"podSelector": chosen, "policyTypes": ["Egress"], "egress": [{}]}
    policy = manifest("NetworkPolicy", "let-out", "networking.k8s.io/v1", spec=spec)
    lab.run(*within, "apply", "--filename", "-", stdin=json.dumps(policy))
    try:
        yield
    finally:
        lab.run(*within, "delete", "networkpolicy", "let-out")


def test_past_the_hook_nothing_is_fetched_even_if_the_network_is_open(ada: Hostile) -> None:
    name = "kustomize-controller"
    traffic = Traffic(ada.lab)
    with listening(ada.lab) as server, let_out(ada.lab, name):
        place, _ = traffic.controller(name)
        wait_until(lambda: traffic.reaches(f"{server.url}/there", place), "it is let out")
        server.asked.clear()
        write(ada, f"{SECRETS}/{FILE}", f"resources: [lab-canary.yaml, {server.url}/a]\n")
        run(["git", "commit", "--quiet", "--no-verify", "-am", "Try"], cwd=ada.work)

        ada.smuggle()

        said = ada.failure()
        assert f"{server.url}/a" in said, said
        assert server.asked == []
    assert not ada.lab.kubectl(
        "-n", ada.namespace, "get", "configmap", "fetched", "--ignore-not-found"
    )


def test_the_controllers_reach_what_they_need_and_nothing_else(ada: Hostile) -> None:
    lab, traffic = ada.lab, Traffic(ada.lab)
    names = ("kustomize-controller", "source-controller", "notification-controller")
    controllers = {name: traffic.controller(name)[0] for name in names}
    kubelets = {
        f"kubelet of {node}": Target(f"https://{address}:10250/", traffic.here)
        for node, address in traffic.addresses.items()
    }
    artifacts = traffic.service("flux-system", "source-controller")
    with listening(lab) as server:
        targets = {
            "API server": Target("https://10.96.0.1/", traffic.here),
            "artifacts": Target(f"http://{artifacts}/", controllers["source-controller"]),
            "Git": Target(traffic.git_url, traffic.here),
            **kubelets,
            "etcd": Target(f"https://{traffic.addresses[lab.node]}:2379/", traffic.here),
            "this machine": Target(server.url, traffic.here),
        }
        assert traffic.unseen(targets) == set()
        reached = {
            name: {target for target, one in targets.items() if traffic.reaches(one.url, place)}
            for name, place in controllers.items()
        }
        metrics = [
            name
            for name, place in controllers.items()
            if traffic.reaches("http://127.0.0.1:8080/debug/pprof/", place)
        ]
    assert reached == {
        "kustomize-controller": {"API server", "artifacts"},
        # source-controller itself serves the artifacts.
        "source-controller": {"API server", "artifacts", "Git"},
        "notification-controller": {"API server"},
    }
    assert metrics == []


def overlays(learner: Hostile, depth: int) -> None:
    """Write levels of kustomizations that each name two of the next level."""
    for level in range(depth):
        names = f"resources: [../{level + 1}a, ../{level + 1}b]\nnamePrefix: "
        for side in "ab":
            write(learner, f"flux/{level}{side}/{FILE}", f"{names}{side}\n")
    for side in "ab":
        text = json.dumps(manifest("ConfigMap", side, data={"a": "b"}))
        write(learner, f"flux/{depth}{side}/{FILE}", "resources: [a.yaml]\n")
        write(learner, f"flux/{depth}{side}/a.yaml", text)
    write(learner, f"{SECRETS}/{FILE}", "resources: [lab-canary.yaml, ../../0a, ../../0b]\n")


def test_what_would_be_built_for_long_is_not_taken(
    ada: Hostile, eve: Hostile, bob: Hostile
) -> None:
    overlays(ada, 15)
    large = json.dumps(manifest("ConfigMap", "a", data={"a": "x" * 64}))
    write(eve, f"{SECRETS}/large.yaml", "\n---\n".join([large] * 9000))
    write(eve, f"{SECRETS}/{FILE}", "resources: [lab-canary.yaml, large.yaml]\n")
    said: dict[str, str] = {}
    pushes = [
        threading.Thread(target=lambda who=who: said.update({who.seat: refused(who)}))
        for who in (ada, eve)
    ]
    started = time.monotonic()
    for push in pushes:
        push.start()

    # How much slower that is than without an attack is for the campaign to say.
    assert bob.delivers(IN_TIME) < IN_TIME

    for push in pushes:
        push.join()
    assert time.monotonic() - started < 30
    for who in ("ada", "eve"):
        assert "[kustomize-too-much]" in said[who], said


@pytest.mark.soak
def test_a_build_that_does_not_end_is_named_and_a_reset_gets_out_of_it(
    ada: Hostile, bob: Hostile
) -> None:
    overlays(ada, 17)
    run(["git", "add", "--all"], cwd=ada.work)
    run(["git", "commit", "--quiet", "--no-verify", "--message", "Try"], cwd=ada.work)
    ada.smuggle()

    def named() -> bool:
        rows = json.loads(ada.lab.sopslab("status", "--json", check=False).stdout)["class"]
        return "everybody waits for it" in json.dumps(next(r for r in rows if r["seat"] == "ada"))

    wait_until(named, "status does not name the build", 40)

    started = time.monotonic()
    done = ada.lab.sopslab("reset", "ada", "--json", check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - started < 90
    assert bob.delivers(IN_TIME) < IN_TIME
