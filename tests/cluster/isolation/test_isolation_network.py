"""What a pod of a seat can connect to, tested with real connections."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typing_extensions import override

from sopslab.layout import RECEIVER_PORT
from tests.cluster.isolation.hostile import FORBIDDEN, Hostile, manifest, pod
from tests.cluster.lab import as_root, run, wait_until
from tests.cluster.neighbour import interface_of
from tests.cluster.traffic import Target, Traffic, on

pytestmark = pytest.mark.every_provider

SERVER = "server"
# The address at which clouds tell a machine about itself, with its credentials.
METADATA = "169.254.169.254"
COREFILE = ".:5353 {\n  health :8080\n  whoami\n}\n"


def _server(image: str) -> list[dict[str, Any]]:
    """Return a pod that answers HTTP on port 8080, its configuration and its Service."""
    volume = {"name": "corefile", "configMap": {"name": "corefile"}}
    container = {
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "corefile", "mountPath": "/etc/coredns"}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
    }
    main = pod(SERVER, image, container, volumes=[volume])
    main["metadata"]["labels"] = {"app": SERVER}
    return [
        manifest("ConfigMap", "corefile", data={"Corefile": COREFILE}),
        main,
        manifest("Service", SERVER, spec={"selector": {"app": SERVER}, "ports": [{"port": 8080}]}),
    ]


class _Answer(socketserver.BaseRequestHandler):
    """Answers every datagram with a byte."""

    @override
    def handle(self) -> None:
        _, answering = self.request
        answering.sendto(b"!", self.client_address)


@contextmanager
def _listener(traffic: Traffic) -> Iterator[int]:
    """Listen on this machine, at the address where a Docker daemon would listen, and answer for
    METADATA, too. Yield the port, at which datagrams are answered as well."""
    address = (traffic.gateway, 0)
    server = http.server.ThreadingHTTPServer(address, http.server.BaseHTTPRequestHandler)
    port = server.server_port
    with _answering(server):
        datagrams = socketserver.UDPServer((traffic.gateway, port), _Answer)
        with _answering(datagrams), _metadata(traffic, port):
            yield port


@contextmanager
def _answering(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _metadata(traffic: Traffic, port: int) -> Iterator[None]:
    """Lead what the nodes send to METADATA to a port of this machine."""
    rule = [
        "PREROUTING", "--in-interface", interface_of(traffic.gateway), "--destination", METADATA,
        "--protocol", "tcp", "--dport", "80",
        "--jump", "DNAT", "--to-destination", f"{traffic.gateway}:{port}",
    ]  # fmt: skip
    table = as_root("iptables", "-w", "10", "--table", "nat")
    run([*table, "--insert", *rule])
    try:
        yield
    finally:
        run([*table, "--delete", *rule])


def _serve(*learners: Hostile) -> None:
    """Start a server in each learner's seat, on any node."""
    image = learners[0].lab.kubectl(
        "-n", "kube-system", "get", "deployment", "coredns",
        "-o", "jsonpath={.spec.template.spec.containers[0].image}",
    )  # fmt: skip
    for learner in learners:
        learner.create(*_server(image))
    for learner in learners:
        _await(learner, SERVER)


def _await(learner: Hostile, *pods: str) -> None:
    names = [f"pod/{name}" for name in pods]
    learner.kubectl("wait", "--for=condition=Ready", *names, "--timeout=60s")


def _platform(traffic: Traffic, port: int) -> dict[str, Target]:
    """Return targets that answer, but that no pod of a seat may reach: Flux, nodes, this machine.

    + port: where this machine listens on the network of the nodes
    """
    source, artifacts = traffic.controller("source-controller")
    notification, receiver = traffic.controller("notification-controller")
    by_service = traffic.service("flux-system", "source-controller")
    name_server, dns = traffic.name_server()
    node = traffic.addresses[traffic.lab.node]
    kubelets = {
        f"kubelet of {name}": Target(f"https://{address}:10250/", traffic.here)
        for name, address in traffic.addresses.items()
    }
    by_port = {
        "Flux's receiver, by NodePort": Target(
            f"http://{traffic.addresses[notification.node]}:{RECEIVER_PORT}/", notification
        )
    }
    return {
        "Flux's artifacts": Target(f"http://{artifacts}:9090/", source),
        "Flux's artifacts, by Service": Target(f"http://{by_service}/", source),
        "Flux's receiver": Target(f"http://{receiver}:9292/", notification),
        # Where the Git server is on the nodes' own network.
        **(by_port if traffic.lab.announces else {}),
        **kubelets,
        "the API server": Target(f"https://{node}:6443/", traffic.here),
        "the API server, by Service": Target("https://10.96.0.1/", traffic.here),
        "etcd": Target(f"https://{node}:2379/", traffic.here),
        "the Git server": Target(traffic.git_url, traffic.here),
        "metrics of cluster DNS": Target(f"http://{dns}:9153/metrics", name_server),
        "this machine, where dockerd may listen": Target(
            f"http://{traffic.gateway}:{port}/", traffic.here
        ),
        "this machine, by datagrams": Target(f"udp://{traffic.gateway}:{port}", traffic.here),
        "node metadata": Target(f"http://{METADATA}/", traffic.here),
    }


def test_a_pod_reaches_its_own_seat_and_nothing_else(ada: Hostile, bob: Hostile) -> None:
    traffic = Traffic(ada.lab)
    _serve(ada, bob)
    names = [f"attacker-{number}" for number in range(len(traffic.workers))]
    ada.create(*(pod(name, **on(node)) for name, node in zip(names, traffic.workers, strict=True)))
    _await(ada, *names)
    server = traffic.pod(bob.namespace, SERVER)

    with _listener(traffic) as port:
        closed = {
            "a pod of another seat": Target(f"http://{_pod_ip(bob)}:8080/health", server),
            "a Service of another seat": Target(f"http://{_service_ip(bob)}:8080/health", server),
            **_platform(traffic, port),
        }
        assert traffic.unseen(closed) == set()

        for name in names:
            attacker = traffic.pod(ada.namespace, name)
            assert traffic.reaches(f"http://{_pod_ip(ada)}:8080/health", attacker)
            assert traffic.reaches(f"http://{_service_ip(ada)}:8080/health", attacker)
            assert traffic.resolves("10.96.0.10", attacker)
            reached = {what for what, one in closed.items() if traffic.reaches(one.url, attacker)}
            assert reached == set(), attacker.node


# Pods whose policies let everybody in. A new pod's packets reach these even before its own policies
# are there: they count as known by the receiver's policies (docs/security.md).
_OPEN = {"Flux's receiver", "Flux's receiver, by NodePort", "metrics of cluster DNS"}


def test_a_new_pod_is_not_heard_before_its_policies_are_there(ada: Hostile) -> None:
    traffic = Traffic(ada.lab)
    _serve(ada)
    own = f"http://{_pod_ip(ada)}:8080/health"
    with _listener(traffic) as port:
        closed = _platform(traffic, port)
        assert traffic.unseen(closed) == set()
        urls = [own, *(one.url for name, one in closed.items() if name not in _OPEN)]
        for number, node in enumerate(traffic.workers):
            wait_until(lambda node=node: traffic.is_strict(node), "new pods are held back", 70)  # type: ignore[misc]
            fresh = pod(f"fresh-{number}", **on(node))
            reached = traffic.first_words(node, urls, lambda fresh=fresh: ada.create(fresh))  # type: ignore[misc]
            assert reached == {own}, node


def test_a_pod_from_elsewhere_does_not_reach_a_seat(ada: Hostile) -> None:
    lab, traffic = ada.lab, Traffic(ada.lab)
    _serve(ada)
    outside = ("kubectl", "-n", "default")
    names = [f"outsider-{number}" for number in range(len(traffic.workers))]
    pods = [pod(name, **on(node)) for name, node in zip(names, traffic.workers, strict=True)]
    listing = {"apiVersion": "v1", "kind": "List", "items": pods}
    lab.run(*outside, "create", "-f", "-", stdin=json.dumps(listing))
    try:
        lab.run(*outside, "wait", "--for=condition=Ready", "pod", *names, "--timeout=60s")
        for name in names:
            outsider = traffic.pod("default", name)
            # This pod may connect to anything; it is the seat that is closed to it.
            assert traffic.reaches("https://10.96.0.1/", outsider)
            assert not traffic.reaches(f"http://{_pod_ip(ada)}:8080/health", outsider)
    finally:
        lab.run(*outside, "delete", "pod", *names, "--wait=false")


def test_the_account_of_a_pod_may_do_nothing(ada: Hostile) -> None:
    token = ada.lab.kubectl("-n", ada.namespace, "create", "token", "default").strip()
    # In a file, because arguments are in the list of processes.
    config = ada.folder / "account"
    server = ada.lab.kubectl(
        "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"
    )
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    config.touch(0o600)
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "clusters": [
                    {"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True}}
                ],
                "contexts": [context],
                "users": [{"name": "u", "user": {"token": token}}],
            }
        )
    )
    kubectl = ["kubectl", "--kubeconfig", str(config), "-n", ada.namespace]

    assert "serviceaccount:ada-develop:default" in ada.lab.run(*kubectl, "auth", "whoami").stdout
    for verb, resource in [("list", "secrets"), ("get", "pods"), ("create", "pods"), ("*", "*")]:
        answer = ada.lab.run(*kubectl, "auth", "can-i", verb, resource, check=False)
        assert answer.stdout.strip() == "no", (verb, resource)
    done = ada.lab.run(*kubectl, "get", "secrets", check=False)
    assert done.returncode != 0 and FORBIDDEN.search(done.stderr)


def _pod_ip(learner: Hostile) -> str:
    return learner.kubectl("get", "pod", SERVER, "-o", "jsonpath={.status.podIP}").stdout


def _service_ip(learner: Hostile) -> str:
    return learner.kubectl("get", "service", SERVER, "-o", "jsonpath={.spec.clusterIP}").stdout
