"""Where a pod of a seat can connect to, with real connections."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sopslab.layout import ARTIFACT_ADDRESS, RECEIVER_PORT
from tests.cluster.classroom import Classroom
from tests.cluster.isolation.hostile import FORBIDDEN, Hostile, Traffic, manifest, pod
from tests.cluster.neighbour import address_of, gateway_of

SERVER = "server"
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


@contextmanager
def _listener(address: str) -> Iterator[int]:
    """Listen on this machine, where a Docker daemon would."""
    server = http.server.ThreadingHTTPServer((address, 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_pod_reaches_its_own_seat_and_nothing_else(ada: Hostile, bob: Hostile) -> None:
    lab, traffic = ada.lab, Traffic(ada.lab)
    image = lab.kubectl(
        "-n", "kube-system", "get", "deployment", "coredns",
        "-o", "jsonpath={.spec.template.spec.containers[0].image}",
    )  # fmt: skip
    for learner in (ada, bob):
        learner.create(*_server(image))
    ada.create(pod("attacker"))
    for learner, name in ((ada, SERVER), (bob, SERVER), (ada, "attacker")):
        learner.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    attacker = traffic.process(ada.namespace, "attacker")
    node = address_of(lab.node, lab.network)
    git = address_of(lab.git_server, lab.network)
    gateway = gateway_of(lab.network)

    with _listener(gateway) as port:
        refused = {
            "a pod of another seat": f"http://{_pod_ip(bob)}:8080/health",
            "a Service of another seat": f"http://{_service_ip(bob)}:8080/health",
            "Flux's artifacts": f"http://{_controller_ip(ada, 'source-controller')}:9090/",
            "Flux's artifacts, by Service": f"http://{ARTIFACT_ADDRESS}/",
            "Flux's receiver": f"http://{_controller_ip(ada, 'notification-controller')}:9292/",
            "Flux's receiver, by NodePort": f"http://{node}:{RECEIVER_PORT}/",
            "kubelet": f"https://{node}:10250/",
            "the API server": f"https://{node}:6443/",
            "the API server, by Service": "https://10.96.0.1/",
            "etcd": f"https://{node}:2379/",
            "the Git server": f"http://{git}:8080/",
            "metrics of cluster DNS": f"http://{_dns_ip(ada)}:9153/metrics",
            "this machine, where dockerd may listen": f"http://{gateway}:{port}/",
        }
        # All of them are there, or nothing would be proven.
        assert {name: traffic.reaches(url) for name, url in refused.items()} == dict.fromkeys(
            refused, True
        )

        assert traffic.reaches(f"http://{_pod_ip(ada)}:8080/health", attacker)
        assert traffic.reaches(f"http://{_service_ip(ada)}:8080/health", attacker)
        assert traffic.resolves("10.96.0.10", attacker)
        reached = {name for name, url in refused.items() if traffic.reaches(url, attacker)}
        assert reached == set()
        assert not traffic.reaches("http://169.254.169.254/", attacker), "node metadata"


def test_a_new_pod_is_not_heard_before_its_policies_are_there(ada: Hostile) -> None:
    lab, traffic = ada.lab, Traffic(ada.lab)
    image = lab.kubectl(
        "-n", "kube-system", "get", "deployment", "coredns",
        "-o", "jsonpath={.spec.template.spec.containers[0].image}",
    )  # fmt: skip
    ada.create(*_server(image))
    ada.kubectl("wait", "--for=condition=Ready", f"pod/{SERVER}", "--timeout=60s")
    node = address_of(lab.node, lab.network)
    own = f"http://{_pod_ip(ada)}:8080/health"
    gateway = gateway_of(lab.network)
    with _listener(gateway) as port:
        closed = [
            f"http://{_controller_ip(ada, 'source-controller')}:9090/",
            f"https://{node}:10250/",
            f"https://{node}:6443/",
            f"http://{address_of(lab.git_server, lab.network)}:8080/",
            f"http://{gateway}:{port}/",
        ]
        # All of them are there, or nothing would be proven.
        assert [url for url in closed if not traffic.reaches(url)] == []
        reached = traffic.first_words([own, *closed], lambda: ada.create(pod("fresh")))

    assert reached == {own}


def test_a_pod_from_elsewhere_does_not_reach_a_seat(ada: Hostile, classroom: Classroom) -> None:
    lab, traffic = ada.lab, Traffic(ada.lab)
    image = lab.kubectl(
        "-n", "kube-system", "get", "deployment", "coredns",
        "-o", "jsonpath={.spec.template.spec.containers[0].image}",
    )  # fmt: skip
    ada.create(*_server(image))
    outside = ("kubectl", "-n", "default")
    lab.run(*outside, "create", "-f", "-", stdin=json.dumps(pod("outsider")))
    try:
        ada.kubectl("wait", "--for=condition=Ready", f"pod/{SERVER}", "--timeout=60s")
        lab.kubectl(
            "-n", "default", "wait", "--for=condition=Ready", "pod/outsider", "--timeout=60s"
        )
        outsider = traffic.process("default", "outsider")

        # Nothing keeps this pod from talking; what is closed is the seat.
        assert traffic.reaches("https://10.96.0.1/", outsider)
        assert not traffic.reaches(f"http://{_pod_ip(ada)}:8080/health", outsider)
    finally:
        lab.kubectl("-n", "default", "delete", "pod/outsider", "--wait=false")


def test_the_account_of_a_pod_may_do_nothing(ada: Hostile) -> None:
    token = ada.lab.kubectl("-n", ada.namespace, "create", "token", "default").strip()
    # On standard input, where no list of processes shows it.
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


def _controller_ip(learner: Hostile, name: str) -> str:
    return learner.lab.kubectl(
        "-n", "flux-system", "get", "pods", "-l", f"app={name}",
        "-o", "jsonpath={.items[0].status.podIP}",
    )  # fmt: skip


def _dns_ip(learner: Hostile) -> str:
    return learner.lab.kubectl(
        "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns",
        "-o", "jsonpath={.items[0].status.podIP}",
    )  # fmt: skip
