"""A client without credentials of the cluster, at every address at which the cluster listens."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sopslab.layout import POD_PIDS_LIMIT, SYSTEM_SHARE
from tests.cluster.classroom import Classroom
from tests.cluster.isolation.hostile import IN_TIME, Hostile, Manifest, manifest, pod
from tests.cluster.lab import Lab, run, wait_until
from tests.cluster.traffic import Traffic

# The token of every cluster that kind makes (sigs.k8s.io/kind, pkg/cluster/internal/kubeadm).
KIND = "abcdef.0123456789abcdef"
# Another token, which somebody makes by hand.
PLANTED = "sopsla.0123456789abcdef"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
RBAC = "rbac.authorization.k8s.io"
NODE_TOKENS = "system:bootstrappers:kubeadm:default-node-token"
# What a Kubernetes API server tells everybody: its health and its version.
PUBLIC = {"/healthz", "/livez", "/readyz", "/version"}
CLOSED = (
    "/api", "/apis", "/api/v1/nodes", "/api/v1/secrets", "/openapi/v2", "/openapi/v3", "/metrics",
    "/debug/pprof/", "/logs/", "/configz", "/flagz", "/statusz", REQUESTS,
    "/.well-known/openid-configuration", "/openid/v1/jwks",
    "/api/v1/namespaces/kube-public/configmaps/cluster-info",
    "/api/v1/namespaces/kube-system/configmaps/kubeadm-config",
)  # fmt: skip


@dataclass(frozen=True)
class Stranger:
    """A client that trusts every certificate, and has at most a token."""

    host: str
    port: int
    token: str = ""

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> int:
        """Return the status of the answer to a request; a body is posted."""
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=5, context=context)
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        text = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, text, headers)
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    def listens(self) -> bool:
        """Return whether the port accepts a connection."""
        try:
            socket.create_connection((self.host, self.port), timeout=3).close()
        except OSError:
            return False
        return True


def addresses(lab: Lab) -> list[tuple[str, int]]:
    """Return where the API server can be reached: as published, and at the node itself."""
    server = urlsplit(lab.kubectl("config", "view", "--minify", "--raw", "-o",
                                  "jsonpath={.clusters[0].cluster.server}"))  # fmt: skip
    assert server.hostname and server.port
    return [(server.hostname, server.port), (node_address(lab), 6443)]


def node_address(lab: Lab) -> str:
    form = f'{{{{(index .NetworkSettings.Networks "{lab.network}").IPAddress}}}}'
    return run(["docker", "inspect", "--format", form, lab.node]).stdout.strip()


def request(lab: Lab, folder: Path, name: str, node: str) -> Manifest:
    """Return a request for the certificate of a node."""
    done = run(
        ["openssl", "req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-keyout", str(folder / f"{name}.key"),
         "-subj", f"/O=system:nodes/CN=system:node:{node}"]
    )  # fmt: skip
    spec = {
        "request": base64.b64encode(done.stdout.encode()).decode(),
        "signerName": CLIENT_SIGNER,
        "usages": ["digital signature", "client auth"],
    }
    return manifest("CertificateSigningRequest", name, "certificates.k8s.io/v1", spec=spec)


def test_kinds_public_token_makes_nobody_a_node(classroom: Classroom, tmp_path: Path) -> None:
    lab = classroom.lab
    wanted = request(lab, tmp_path, "stranger", lab.node)
    for host, port in addresses(lab):
        stranger = Stranger(host, port, KIND)
        assert stranger.ask("/api") == 401
        assert stranger.ask(REQUESTS, wanted) == 401, "the first step of the way to every key"
        # Without a token, the request is forbidden, too.
        assert Stranger(host, port).ask(REQUESTS, wanted) == 403
    left = lab.kubectl("get", "certificatesigningrequests", "-o", "name")
    assert "stranger" not in left


def test_without_credentials_there_is_health_and_a_version(classroom: Classroom) -> None:
    for host, port in addresses(classroom.lab):
        stranger = Stranger(host, port)
        assert {path: stranger.ask(path) for path in PUBLIC} == dict.fromkeys(PUBLIC, 200)
        assert {path: stranger.ask(path) for path in CLOSED} == dict.fromkeys(CLOSED, 403)
        assert {Stranger(host, port, token).ask("/api") for token in ("x", "a.b", PLANTED)} == {401}


def test_no_other_port_of_the_node_does_anything_for_a_stranger(classroom: Classroom) -> None:
    address = node_address(classroom.lab)
    kubelet = Stranger(address, 10250)
    for path in ("/pods", "/metrics", "/configz", "/exec/a/b/c", "/run/a/b/c", "/logs/"):
        assert kubelet.ask(path) == 401, path
    for port in (2379, 2380):
        # etcd requires a client's certificate. With TLS 1.3 a client may begin without one, and is
        # refused then.
        stranger = Stranger(address, port)
        assert stranger.listens()
        # An etcd without TLS breaks off a client that begins with it, too.
        assert ssl.get_server_certificate((address, port), timeout=5), port
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.BadStatusLine)):
            stranger.ask("/version")
    # The kubelet's read-only and health ports, metrics of kube-proxy and of etcd, the controller
    # manager and the scheduler.
    closed = (10255, 10248, 10249, 2381, 10257, 10259)
    assert [port for port in closed if Stranger(address, port).listens()] == []


def assert_closed(lab: Lab) -> None:
    """Fail if the cluster has anything for strangers or for nodes that join."""
    tokens = ("-n", "kube-system", "get", "secrets", "-o", "name", "--field-selector")
    assert lab.kubectl(*tokens, "type=bootstrap.kubernetes.io/token") == ""
    assert "kubeadm-certs" not in lab.kubectl("-n", "kube-system", "get", "secrets", "-o", "name")
    bindings = json.loads(
        lab.kubectl("get", "clusterrolebindings,rolebindings", "-A", "-o", "json")
    )
    subjects = {
        (item["metadata"]["name"], subject["name"])
        for item in bindings["items"]
        for subject in item.get("subjects", [])
    }
    strange = ("system:anonymous", "system:unauthenticated", "system:bootstrap")
    assert {pair for pair in subjects if pair[1].startswith(strange)} == {
        ("system:public-info-viewer", "system:unauthenticated")
    }
    approving = ":certificates.k8s.io:certificatesigningrequests:"
    approved = {
        item["roleRef"]["name"]: [subject["name"] for subject in item["subjects"]]
        for item in bindings["items"]
        if item["roleRef"]["name"].startswith(f"system{approving}")
    }
    assert approved == {f"system{approving}selfnodeclient": ["system:nodes"]}


def test_nothing_that_kubeadm_leaves_for_other_nodes_is_there(classroom: Classroom) -> None:
    assert_closed(classroom.lab)


def test_the_kubelet_rotates_its_certificate_and_gets_no_other_nodes(
    classroom: Classroom, tmp_path: Path
) -> None:
    lab = classroom.lab
    wanted = request(lab, tmp_path, "rotated", lab.node)
    another = request(lab, tmp_path, "another", "another-node")
    create = ["docker", "exec", "-i", lab.node, "kubectl", "--kubeconfig",
              "/etc/kubernetes/kubelet.conf", "create", "-f", "-"]  # fmt: skip
    refused = run(create, stdin=json.dumps(another), check=False)
    assert "can only create a node CSR with CN=system:node" in refused.stderr
    try:
        run(create, stdin=json.dumps(wanted))
        signed = ("get", "csr", "rotated", "-o", "jsonpath={.status.certificate}")
        wait_until(lambda: bool(lab.kubectl(*signed)), "the kubelet has a new certificate", 20)
        (tmp_path / "rotated.crt").write_bytes(base64.b64decode(lab.kubectl(*signed)))
        host, port = addresses(lab)[0]
        who = lab.run(
            "kubectl", "--kubeconfig", "/dev/null", "--server", f"https://{host}:{port}",
            "--insecure-skip-tls-verify", "--client-certificate", str(tmp_path / "rotated.crt"),
            "--client-key", str(tmp_path / "rotated.key"), "auth", "whoami", "-o",
            "jsonpath={.status.userInfo.username}",
        )  # fmt: skip
        assert who.stdout == f"system:node:{lab.node}"
    finally:
        lab.kubectl("delete", "csr", "rotated", "--ignore-not-found")


def _planted() -> list[Manifest]:
    """Return what older versions of kubeadm leave in a cluster, and a binding for anybody."""
    name, _, secret = PLANTED.partition(".")
    token = manifest(
        "Secret", f"bootstrap-token-{name}", type="bootstrap.kubernetes.io/token",
        stringData={"token-id": name, "token-secret": secret, "auth-extra-groups": NODE_TOKENS,
                    "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true"},
    )  # fmt: skip
    token["metadata"]["namespace"] = "kube-system"
    role = "system:certificates.k8s.io:certificatesigningrequests:nodeclient"
    return [
        token,
        _binding("kubeadm:node-autoapprove-bootstrap", role, "Group", NODE_TOKENS),
        _binding("anybody", "view", "User", "system:anonymous"),
    ]


def _binding(name: str, role: str, kind: str, subject: str) -> Manifest:
    return manifest(
        "ClusterRoleBinding", name, f"{RBAC}/v1",
        roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        subjects=[{"apiGroup": RBAC, "kind": kind, "name": subject}],
    )  # fmt: skip


def test_an_up_takes_out_what_lets_strangers_in(classroom: Classroom) -> None:
    lab = classroom.lab
    listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": _planted()})
    host, port = addresses(lab)[0]
    try:
        lab.run("kubectl", "create", "-f", "-", stdin=listing)
        run(["docker", "exec", lab.node, "sed", "-i", "/^podPidsLimit/d",
             "/var/lib/kubelet/config.yaml"])  # fmt: skip
        run(["docker", "exec", lab.node, "systemctl", "set-property", "system.slice", "CPUQuota="])
        wait_until(lambda: Stranger(host, port).ask("/api/v1/pods") == 200, "anybody is let in", 10)
        assert Stranger(host, port, PLANTED).ask("/api") == 401, "no token of this kind is taken"
    finally:
        # Whatever happened, no other test works on a lab that lets anybody in.
        changes = "\n".join(lab.changes(classroom.up()))
    for part in ("bootstrap-token-sopsla", "kubeadm:node-autoapprove-bootstrap", "anybody",
                 "up --recreate", "Limit what pods take from the node"):  # fmt: skip
        assert part in changes
    assert Stranger(host, port).ask("/api/v1/pods") == 403
    assert_closed(lab)
    assert lab.system_share == SYSTEM_SHARE


def _cgroup(lab: Lab, name: str, uid: str) -> int:
    """Return a number from the cgroup of a pod; 0 if there is no such pod."""
    found = run(
        ["docker", "exec", lab.node, "sh", "-c",
         'find /sys/fs/cgroup/ -type d \\( -name "pod$1" -o -name "*-pod$2.slice" \\)'
         ' -exec cat "{}/$3" \\; 2>/dev/null | head -n 1',
         "sh", uid, uid.replace("-", "_"), name], check=False,
    ).stdout.strip()  # fmt: skip
    return int(found) if found.isdecimal() else 0


@pytest.mark.soak
def test_a_fork_bomb_ends_at_its_own_pod(ada: Hostile, bob: Hostile) -> None:
    lab = ada.lab
    uid = ada.create(pod("bomb"), output="jsonpath={.metadata.uid}").stdout
    ada.kubectl("wait", "--for=condition=Ready", "pod/bomb", "--timeout=60s")
    # No image in the cluster has a shell, so a shell of the node joins the cgroup of the pod.
    process = Traffic(lab).pod(ada.namespace, "bomb").process
    assert process
    run(["docker", "exec", "--detach", lab.node, "bash", "-c",
         'group=$(sed -n "s/^[0-9]*:pids://p; s/^0:://p" "/proc/$0/cgroup" | head -n 1);'
         ' for root in /sys/fs/cgroup/pids /sys/fs/cgroup; do'
         ' echo $$ 2>/dev/null >"$root$group/cgroup.procs" && break; done;'
         ' (while :; do sleep 60 & done) 2>/dev/null; sleep 60', process])  # fmt: skip
    wait_until(
        lambda: _cgroup(lab, "pids.current", uid) > POD_PIDS_LIMIT - 60, "the bomb goes off", 60
    )
    assert bob.delivers(IN_TIME) < IN_TIME
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert _cgroup(lab, "pids.current", uid) <= POD_PIDS_LIMIT
        time.sleep(0.2)
    assert _cgroup(lab, "pids.max", uid) == POD_PIDS_LIMIT
