"""No egress: connections from the lab's network stay on this machine, and are rejected at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sopslab.artifacts.catalog import load_catalog
from sopslab.layout import PROJECT
from tests.cluster.lab import Lab, as_root, run, wait_until
from tests.cluster.links import link

# A network of our own stands for the world outside. The same server has the address of a Service.
SPACE, OUTER, INNER, HERE, THERE, SERVICE = link("outside")
PORT = 8080
URL, SERVICE_URL = f"http://{THERE}:{PORT}/", f"http://{SERVICE}:{PORT}/"


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server in a network namespace of its own, to which this machine has a route."""

    def ip(*arguments: str, check: bool = True) -> None:
        run(as_root("ip", *arguments), check=check)

    ip("link", "delete", OUTER, check=False)
    ip("netns", "delete", SPACE, check=False)
    ip("netns", "add", SPACE)
    server = None
    try:
        ip("link", "add", OUTER, "type", "veth", "peer", "name", INNER, "netns", SPACE)
        ip("address", "add", f"{HERE}/30", "dev", OUTER)
        ip("link", "set", OUTER, "up")
        ip("-n", SPACE, "address", "add", f"{THERE}/30", "dev", INNER)
        ip("-n", SPACE, "address", "add", SERVICE, "dev", INNER)
        ip("-n", SPACE, "link", "set", "lo", "up")
        ip("-n", SPACE, "link", "set", INNER, "up")
        ip("-n", SPACE, "route", "add", "default", "via", HERE)
        ip("route", "add", SERVICE, "via", THERE)
        folder = tmp_path_factory.mktemp("outside")
        (folder / "index.html").write_text("outside\n")
        server = subprocess.Popen(
            as_root(
                "ip", "netns", "exec", SPACE, sys.executable, "-m", "http.server",
                "--directory", str(folder), str(PORT),
            ),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(
            lambda: ask().returncode == 0, "the server outside answers this machine", seconds=20
        )
        yield URL
    finally:
        if server is not None:
            server.terminate()
            server.wait(timeout=10)
        ip("link", "delete", OUTER, check=False)
        ip("netns", "delete", SPACE, check=False)


@contextmanager
def answering(port: int) -> Iterator[None]:
    """Answer, outside, every datagram and every connection on a port."""
    command = [sys.executable, "-m", "tests.cluster.answering", THERE, str(port)]
    server = subprocess.Popen(
        as_root("ip", "netns", "exec", SPACE, "env", f"PYTHONPATH={PROJECT}", *command),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        yield
    finally:
        server.terminate()
        server.wait(timeout=10)


def ask(*prefix: str, url: str = URL) -> subprocess.CompletedProcess[str]:
    """Ask the server outside, through `prefix`."""
    return run(
        [*prefix, "curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "8", url],
        check=False,
    )


def assert_rejected(*prefix: str, url: str = URL) -> None:
    """Assert that a request through `prefix` to the server outside is rejected, and at once."""
    started = time.monotonic()
    done = ask(*prefix, url=url)
    # curl's 7: the connection failed; 28 would be a time-out.
    assert done.returncode == 7, done.stderr
    assert time.monotonic() - started < 3


def pod_prefix(lab: Lab) -> list[str]:
    """Return the words that run a command in the network namespace of a pod."""
    pods = json.loads(
        run(
            ["docker", "exec", lab.node, "crictl", "pods", "--label", "app=source-controller",
             "--state", "Ready", "--output", "json"]
        ).stdout
    )  # fmt: skip
    details = json.loads(
        run(["docker", "exec", lab.node, "crictl", "inspectp", pods["items"][0]["id"]]).stdout
    )
    pid = str(details["info"]["pid"])
    return ["docker", "exec", lab.node, "nsenter", "--target", pid, "--net"]


@pytest.mark.restores
def test_a_container_on_another_network_reaches_the_world_outside(lab: Lab, outside: str) -> None:
    image = load_catalog(lab.settings.catalog).git_tag
    code = f"import urllib.request; print(urllib.request.urlopen('{URL}', timeout=8).read())"
    done = run(["docker", "run", "--rm", "--entrypoint", "python3", image, "-c", code])
    assert "outside" in done.stdout


@pytest.mark.restores
def test_the_node_does_not(lab: Lab, outside: str) -> None:
    assert_rejected("docker", "exec", lab.node)


@pytest.mark.restores
def test_a_pod_does_not(lab: Lab, outside: str) -> None:
    prefix = pod_prefix(lab)
    # The pod reaches a service of the cluster, so its network works.
    address = lab.kubectl(
        "-n", "flux-system", "get", "service", "source-controller", "-o",
        "jsonpath={.spec.clusterIP}",
    )  # fmt: skip
    inside = run(
        [*prefix, "curl", "--silent", "--max-time", "8", "--output", "/dev/null",
         "--write-out", "%{http_code}", f"http://{address}/"],
        check=False,
    )  # fmt: skip
    assert inside.stdout != "000"
    assert_rejected(*prefix)


@pytest.mark.soak
@pytest.mark.restores
def test_without_the_rule_the_node_would_reach_it(lab: Lab, outside: str) -> None:
    (reject,) = [rule for rule in lab.rules() if "! -o" in rule]
    run(as_root("iptables", "-w", "10", "-D", *reject.split()[1:]))
    try:
        assert "outside" in ask("docker", "exec", lab.node).stdout
    finally:
        lab.up()
    assert_rejected("docker", "exec", lab.node)


@pytest.mark.restores
def test_a_service_address_without_endpoints_does_not_leave_the_machine(
    lab: Lab, outside: str
) -> None:
    assert "outside" in ask(url=SERVICE_URL).stdout, "this machine has a route to it"
    assert_rejected("docker", "exec", lab.node, url=SERVICE_URL)


@pytest.mark.restores
def test_port_53_is_open_to_name_servers_alone(lab: Lab, outside: str) -> None:
    """Without the rule, a server outside that is no name server would answer, over TCP and UDP."""
    node = ["docker", "exec", lab.node, "bash", "-c"]
    udp = f"exec 3<>/dev/udp/{THERE}/53 && echo 1 >&3 && timeout 2 head --bytes=1 <&3"
    tcp = f"timeout 2 head --bytes=1 </dev/tcp/{THERE}/53"
    with answering(53):
        (reject,) = [rule for rule in lab.rules() if "! -o" in rule]
        refused = [run([*node, text], check=False).stdout for text in (udp, tcp)]
        run(as_root("iptables", "-w", "10", "-D", *reject.split()[1:]))
        try:
            answered = [run([*node, text], check=False).stdout for text in (udp, tcp)]
        finally:
            lab.up()
    assert (refused, answered) == (["", ""], ["!", "!"])


@pytest.mark.restores
def test_the_name_of_an_outside_host_is_answered_quickly(lab: Lab) -> None:
    for container, words in (
        (lab.node, ["getent", "hosts", "outside.example.org"]),
        (lab.git_server, ["getent", "hosts", "outside.example.org"]),
    ):
        # First check that `getent` is there: a missing command would be quick, too.
        run(["docker", "exec", container, "getent", "hosts", "localhost"])
        started = time.monotonic()
        run(["docker", "exec", container, *words], check=False)
        assert time.monotonic() - started < 5
