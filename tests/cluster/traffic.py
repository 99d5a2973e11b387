"""Real connections from the pods and nodes of a lab, whose nodes are containers of this machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.cluster.lab import Lab, run
from tests.cluster.neighbour import address_of, gateway_of

# Send a datagram to the URL $1, such as udp://10.0.0.1:53, and end with 0 if anything is answered
# within $2 seconds, otherwise with 1.
_DATAGRAM = """
there=${1#udp://}
exec 3<>"/dev/udp/${there%:*}/${there##*:}"
printf x >&3
timeout "$2" head --bytes=1 <&3 | grep --quiet .
"""

# Every URL is requested again and again for some seconds; $0 is _DATAGRAM. Exit codes of curl: 7
# for refused or unreachable, 28 for no answer in time; of nsenter: 1 for no such network.
_FIRST_WORDS = """
known=$(ls /run/netns); echo ready
until new=$(ls /run/netns | grep -vxF "$known"); do sleep 0.01; done
once() {
    case $1 in
    udp://*) set -- bash -c "$0" bash "$1" 0.3 ;;
    *) set -- curl -sk -o /dev/null --connect-timeout 0.3 -m 1 "$1" ;;
    esac
    nsenter --net="/run/netns/$new" "$@"
}
ask() {
    for _ in {1..16}; do
        once "$1"
        case $? in 1 | 7 | 28) sleep 0.05 ;; *) echo "$1"; return ;; esac
    done
}
for url; do ask "$url" & done; wait
"""


class Place(NamedTuple):
    """Where connections come from: a node, or the pod of one of the node's processes."""

    node: str
    process: str | None = None

    @property
    def beside(self) -> Place:
        """The node itself: it reaches its own pods whatever policies say."""
        return Place(self.node)


class Target(NamedTuple):
    """A URL at which something answers, and the place from which that can be seen."""

    url: str
    seen_from: Place


@dataclass(frozen=True)
class Traffic:
    """Finds out what can be reached from where."""

    lab: Lab

    @property
    def here(self) -> Place:
        """The node of the API server."""
        return Place(self.lab.node)

    @cached_property
    def addresses(self) -> dict[str, str]:
        """The nodes with the address of each."""
        return {
            node["metadata"]["name"]: address["address"]
            for node in self._nodes
            for address in node["status"]["addresses"]
            if address["type"] == "InternalIP"
        }

    @property
    def workers(self) -> list[str]:
        """The nodes on which a learner's pods run."""
        return [
            node["metadata"]["name"]
            for node in self._nodes
            if not any(taint["effect"] == "NoSchedule" for taint in node["spec"].get("taints", []))
        ]

    @property
    def git_url(self) -> str:
        """The URL at which Flux reaches the Git server, with an address instead of the container's
        name."""
        settings = self.lab.settings
        url = urlsplit(settings.git_base_cluster_url)
        if url.hostname != self.lab.git_server:
            return url.geturl()
        address = address_of(self.lab.git_server, self.lab.network)
        return url._replace(netloc=f"{address}:{url.port}").geturl()

    def service(self, namespace: str, name: str) -> str:
        """Return the address of a Service."""
        return self.lab.kubectl(
            "-n", namespace, "get", "service", name, "-o", "jsonpath={.spec.clusterIP}"
        )

    @property
    def gateway(self) -> str:
        """This machine's address on the network of the nodes."""
        return gateway_of(self.lab.node_network)

    def pod(self, namespace: str, name: str) -> Place:
        """Return where a pod runs."""
        node = self.lab.kubectl(
            "-n", namespace, "get", "pod", name, "-o", "jsonpath={.spec.nodeName}"
        )
        container = _on(
            node, "crictl", "ps", "--quiet", "--state", "Running",
            "--label", f"io.kubernetes.pod.namespace={namespace}",
            "--label", f"io.kubernetes.pod.name={name}",
        ).stdout.split()[0]  # fmt: skip
        process = _on(
            node, "crictl", "inspect", "--output", "go-template", "--template", "{{.info.pid}}",
            container,
        ).stdout.strip()  # fmt: skip
        return Place(node, process)

    def controller(self, name: str) -> tuple[Place, str]:
        """Return where a controller of Flux runs, and the address of its pod."""
        return self._first("flux-system", f"app={name}")

    def name_server(self) -> tuple[Place, str]:
        """Return where a pod of cluster DNS runs, and its address."""
        return self._first("kube-system", "k8s-app=kube-dns")

    def reaches(self, url: str, place: Place | None = None) -> bool:
        """Return whether anything answers at a URL, in whatever way, if it is asked from a place,
        by default from the node of the API server. A URL such as udp://10.0.0.1:53 is sent a
        datagram."""
        if url.startswith("udp:"):
            sent = _inside(place or self.here, "bash", "-c", _DATAGRAM, "bash", url, "3")
            return sent.returncode == 0
        done = _inside(
            place or self.here, "curl", "--insecure", "--silent", "--output", "/dev/null",
            "--max-time", "3", url,
        )  # fmt: skip
        # 7: refused or unreachable, 28: no answer in time. With any other code, something answered.
        return done.returncode not in (7, 28)

    def unseen(self, targets: Mapping[str, Target]) -> set[str]:
        """Return the targets that do not even answer a node, which no policy stops: they would
        prove nothing."""
        return {
            name for name, one in targets.items() if not self.reaches(one.url, one.seen_from.beside)
        }

    def resolves(self, server: str, place: Place) -> bool:
        """Return whether a name server resolves its own name, if it is asked from a place."""
        # No label has ten letters: that length would be a line feed, at which bash sends what it
        # has so far.
        labels = ("kube-dns", "kube-system", "svc", "cluster", "local")
        name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
        query = b"\x13\x37\x01\x00\x00\x01" + b"\0" * 6 + name + b"\x00\x01\x00\x01"
        escaped = "".join(f"\\x{byte:02x}" for byte in query)
        script = (
            f"exec 3<>/dev/udp/{server}/53; printf '{escaped}' >&3; "
            "timeout 3 dd bs=512 count=1 status=none <&3 | wc --bytes"
        )
        done = _inside(place, "bash", "-c", script)
        return int(done.stdout.strip() or 0) > len(query)

    def is_strict(self, node: str) -> bool:
        """Return whether a node already holds back new pods: what enforces policies there lets
        everything pass for a minute after its start."""
        done = _on(node, "nft", "list", "set", "ip", "sops-lab", "starting", check=False)
        return "elements" not in done.stdout

    def first_words(self, node: str, urls: Sequence[str], start: Callable[[], object]) -> set[str]:
        """Return which URLs are reached from the network of a node's next pod, if they are
        requested as soon as that network exists. `start` makes the pod."""
        probe = subprocess.Popen(
            ["docker", "exec", node, "bash", "-c", _FIRST_WORDS, _DATAGRAM, *urls],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert probe.stdout is not None and probe.stdout.readline() == "ready\n"
        start()
        said, _ = probe.communicate(timeout=90)
        assert probe.returncode == 0
        return set(said.splitlines())

    @cached_property
    def _nodes(self) -> list[dict[str, Any]]:
        return list(json.loads(self.lab.kubectl("get", "nodes", "-o", "json"))["items"])

    def _first(self, namespace: str, label: str) -> tuple[Place, str]:
        text = self.lab.kubectl(
            "-n", namespace, "get", "pods", "-l", label, "--field-selector",
            "status.phase=Running", "-o",
            "jsonpath={.items[0].metadata.name} {.items[0].status.podIP}",
        )  # fmt: skip
        name, address = text.split()
        return self.pod(namespace, name), address


def on(node: str) -> dict[str, Any]:
    """Return the part of a pod's `spec` that makes it run on a node."""
    return {"nodeSelector": {"kubernetes.io/hostname": node}}


def _inside(place: Place, *argv: str) -> subprocess.CompletedProcess[str]:
    enter = [] if place.process is None else ["nsenter", "--target", place.process, "--net"]
    return _on(place.node, *enter, *argv, check=False)


def _on(node: str, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run(["docker", "exec", node, *argv], check=check)
