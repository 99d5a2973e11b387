"""What a hostile learner does to hold up the others, and how long the others wait.

An attack is a function that takes the learner and is over within seconds, whether or not the lab
lets it through. It returns how many of its requests a server has answered, or begun to take;
`ATTACKS` names them all.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from tests.cluster.isolation.hostile import APPS, PAUSE, SECRETS, Hostile, deployment, manifest
from tests.cluster.lab import run, wait_until

# Seconds: for an attack that could go on for ever, and for a client at most.
LONG, MOST = 4.0, 30.0
MIB, LAYERS = 1024 * 1024, 15
# How long a delivery may take while others attack: in seconds, or as a multiple of its usual time.
PROMISED, SLOWER = 3.0, 3.0
# Seconds after which a test no longer waits for a delivery.
PATIENCE = 20.0
NAME = "probe"
# Real attackers have machines of their own: their clients must not take the lab's processors here.
# Where the kernel groups processes by session (autogroup), `nice` counts within a session only.
ELSEWHERE = (
    "setsid", "sh", "-c",
    '{ echo 19 >/proc/self/autogroup; } 2>/dev/null; exec nice -n 19 "$@"', "sh",
)  # fmt: skip
_ONE_WRITES = threading.Lock()
# What git says if the Git server refused the request, or hung up on it.
_REFUSED = re.compile(r"^remote: |\[remote rejected\]|returned error: [45]|RPC failed", re.M)
# What kubectl says of an object that the API server refused.
_NOT_MADE = re.compile(r"^(Error from server|The .+ is invalid)", re.M)
FIELDS = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"


def allowed(usual: float) -> float:
    """Return the seconds that a delivery may take, given what it takes without an attack."""
    return max(PROMISED, SLOWER * usual)


def wire(learner: Hostile) -> None:
    """Name the Secret in the kustomization."""
    learner.refer_to(f"{NAME}.yaml")


class Delivery(NamedTuple):
    """The seconds until a push was in the live Secret, and until the Git server had it."""

    seconds: float
    taken: float


def delivery(learner: Hostile) -> Delivery:
    """Push a new value, encrypted, and return how long it took until the live Secret had it."""
    value = str(time.time_ns())
    file = f"{SECRETS}/{NAME}.yaml"
    plain = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME},
             "stringData": {"value": value}}  # fmt: skip
    encrypted = learner.lab.run(
        "sops", "encrypt", "--filename-override", file, "--input-type", "json",
        "--output-type", "yaml", "/dev/stdin", cwd=learner.work, stdin=json.dumps(plain),
    ).stdout  # fmt: skip
    (learner.work / file).write_text(encrypted)
    expected = base64.b64encode(value.encode()).decode()
    started = time.monotonic()
    learner.push()
    taken = time.monotonic() - started

    def arrived() -> bool:
        live = learner.lab.kubectl(
            "-n", learner.namespace, "get", "secret", NAME, "-o", "jsonpath={.data.value}",
            check=False,
        )  # fmt: skip
        return live == expected

    wait_until(arrived, f"{learner.seat}'s push was not applied", PATIENCE)
    return Delivery(time.monotonic() - started, taken)


def push(learner: Hostile, files: Mapping[str, str], *resources: str) -> int:
    """Push files, and name resources in the environment's kustomization. The Git server may refuse
    the push. Return 1 if it was asked, else 0."""
    for path, text in files.items():
        file = learner.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    if resources:
        learner.refer_to(*resources)
    run([*ELSEWHERE, "git", "add", "--all"], cwd=learner.work)
    commit = ("commit", "--quiet", "--no-verify", "--allow-empty", "-m", "x")
    run([*ELSEWHERE, "git", *commit], cwd=learner.work)
    asked = _git(learner, "push", "--quiet", "--force")
    learner.classroom.announce(learner.seat)
    return asked


def _git(learner: Hostile, *arguments: str) -> int:
    """Run git, and return 1 if the Git server was asked, else 0."""
    try:
        done = subprocess.run(
            [*ELSEWHERE, "git", *arguments], cwd=learner.work, capture_output=True, text=True,
            errors="replace", timeout=MOST, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        # An impatient client: it ends, even if the server goes on with its request.
        return 1
    return int(done.returncode == 0 or _REFUSED.search(done.stderr) is not None)


def _many_pushes(learner: Hostile) -> int:
    return sum(push(learner, {"notes.md": str(time.time_ns())}) for _ in range(8))


def _many_resets(learner: Hostile) -> int:
    asked = 0
    for _ in range(4):
        asked += push(learner, {"notes.md": str(time.time_ns())})
        asked += _git(learner, "push", "--quiet", "--force", "origin", "HEAD:reset")
    return asked


def _many_clones(learner: Hostile) -> int:
    with ThreadPoolExecutor(10) as pool:
        return sum(pool.map(lambda _: _git(learner, "ls-remote", "origin"), range(30)))


def _many_branches(learner: Hostile) -> int:
    names = [f"HEAD:refs/heads/b{number}" for number in range(1000)]
    return _git(learner, "push", "--quiet", "origin", *names)


def _remote_resource(learner: Hostile) -> int:
    """Name a URL as a file: that of the fetching controller's own profiler, for five minutes."""
    return push(learner, {}, "http://localhost:8080/debug/pprof/trace?seconds=300")


def _remote_elsewhere(learner: Hostile) -> int:
    """Name a URL that never answers, and do so in `components` instead of `resources`."""
    text = FIELDS.replace("resources:", "components:") + "- http://10.255.255.1/x?seconds=300\n"
    return push(learner, {f"{APPS}/kustomization.yaml": text}, "../../apps")


def _doubling_overlays(learner: Hostile) -> int:
    """Push layers of overlays that each name two of the next layer: 65,000 builds of 30 files."""
    files = {}
    for layer in range(LAYERS):
        below = "".join(f"- ../l{layer + 1}{half}\n" for half in "ab" if layer + 1 < LAYERS)
        for half in "ab":
            text = FIELDS + below if below else FIELDS.replace("resources:", "resources: []")
            files[f"flux/l{layer}{half}/kustomization.yaml"] = f"{text}namePrefix: {half}\n"
    return push(learner, files, "../../l0a", "../../l0b")


def _circle(learner: Hostile) -> int:
    files = {f"{APPS}/kustomization.yaml": FIELDS + "- ../secrets/develop\n"}
    return push(learner, files, "../../apps")


def _aliases(learner: Hostile) -> int:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n"
    return push(learner, {f"{SECRETS}/bomb.yaml": head + "\n".join(lines) + "\n"}, "bomb.yaml")


def _large_manifest(learner: Hostile) -> int:
    """Push 19 MB of YAML, for which kustomize-controller was once killed because of its memory."""
    with _ONE_WRITES:
        text = _large_text()
    return push(learner, {f"{SECRETS}/large.yaml": text}, "large.yaml")


@cache
def _large_text() -> str:
    lines = "".join(f"  k{number:07}: {'v' * 40}\n" for number in range(350_000))
    return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: large\ndata:\n" + lines


def _many_manifests(learner: Hostile) -> int:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%s}\n"
    files = {f"{SECRETS}/c{number}.yaml": text % number for number in range(2000)}
    return push(learner, files, *(Path(path).name for path in files))


def _slow_expression(learner: Hostile) -> int:
    """Push regular expressions on which a backtracking engine never comes to an end."""
    rules = learner.work / ".sops.yaml"
    slow = "(.*a)*(.*a)*(a+)+!$"
    text, found = re.subn(r"(path|encrypted)_regex: .*", rf"\1_regex: '{slow}'", rules.read_text())
    assert found >= 2, "no expression to replace"
    secret = manifest("Secret", "x", stringData={"a" * 40: "x"})
    return push(learner, {".sops.yaml": text, f"{SECRETS}/{'a' * 60}.yaml": json.dumps(secret)})


def _never_ready(learner: Hostile) -> int:
    never = {"readinessProbe": {"httpGet": {"port": 1}, "periodSeconds": 1}}
    learner.bring(deployment("never", 1, never))
    return push(learner, {})


def _many_uploads(learner: Hostile) -> int:
    """Send ten bodies without a declared length at once: a server spools these before reading."""
    with ThreadPoolExecutor(10) as pool:
        return sum(pool.map(lambda _: _upload(learner, 60), range(10)))


def _upload(learner: Hostile, size: int) -> int:
    """Send a body of `size` MiB; return 1 if the server took one of them, or answered, else 0."""
    taken = 0

    def body() -> Iterator[bytes]:
        nonlocal taken
        until = time.monotonic() + 2 * LONG
        for _ in range(size):
            if time.monotonic() > until:
                return
            yield bytes(MIB)
            taken = 1

    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = _connection(learner)
        connection.request(
            "POST", f"/{learner.seat}/lab.git/git-receive-pack", body(),
            {
                **_authorization(learner),
                "Content-Type": "application/x-git-receive-pack-request",
                "Transfer-Encoding": "chunked",
            },
            encode_chunked=True,
        )  # fmt: skip
        connection.getresponse().read()
        taken = 1
    return taken


def _idle_connections(learner: Hostile) -> int:
    """Open two hundred connections, and begin a request on each that does not end."""
    opened = []
    with contextlib.suppress(OSError):
        for _ in range(200):
            connection = _connection(learner)
            connection.connect()
            connection.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
            opened.append(connection)
    time.sleep(LONG)
    for connection in opened:
        connection.close()
    return len(opened)


def _connection(learner: Hostile) -> http.client.HTTPConnection:
    url = urlsplit(learner.lab.settings.git_base_url)
    ca = learner.lab.settings.git_ca
    if ca is None:
        return http.client.HTTPConnection(str(url.hostname), url.port, timeout=2 * LONG)
    context = ssl.create_default_context(cafile=ca)
    return http.client.HTTPSConnection(
        str(url.hostname), url.port, timeout=2 * LONG, context=context
    )


def _authorization(learner: Hostile) -> dict[str, str]:
    account = Path(learner.lab.settings.account_dir(learner.seat))
    login = f"{learner.seat}:{(account / 'password').read_text()}"
    return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def _api_requests(learner: Hostile) -> int:
    """Ask for lists as fast as eight clients can, and do not read the answers.

    kubectl would burden this machine's processors, and not the API server.
    """
    kubeconfig = str(learner.classroom.kubeconfig(learner.seat))
    api = client.CoreV1Api(config.new_client_from_config(kubeconfig))
    lists: tuple[Callable[..., Any], ...] = (
        api.list_namespaced_secret,
        api.list_namespaced_pod,
        api.list_namespaced_config_map,
    )

    def ask(_: int) -> int:
        answered = 0
        until = time.monotonic() + LONG
        while time.monotonic() < until:
            for one in lists:
                # A connection with an answer that was not read may fail when it is used again.
                with contextlib.suppress(client.ApiException, HTTPError):
                    one(learner.namespace, _preload_content=False).release_conn()
                    answered += 1
        return answered

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(ask, range(8)))


def _api_objects(learner: Hostile) -> int:
    """Make, delete and make again as many large objects as the quota has room for."""
    large = {"x": "x" * 900_000}
    judged = 0
    for _ in range(2):
        objects = [manifest("ConfigMap", f"large{number}", data=large) for number in range(10)]
        judged += _judged(learner.create(*objects, check=False))
        learner.kubectl("delete", "configmaps", "--all", "--wait=false", check=False)
    return judged


def _pods(learner: Hostile) -> int:
    """Run pods that end at once and are started again, as many as the quota has room for."""
    main = {"command": ["/nothing"], "image": PAUSE}
    made = learner.create(*(deployment(f"d{number}", 10, main) for number in range(4)), check=False)
    time.sleep(LONG)
    learner.kubectl("delete", "deployments", "--all", "--wait=false", check=False)
    return _judged(made)


def _judged(made: subprocess.CompletedProcess[str]) -> int:
    """Return how many objects the API server has made or refused."""
    return len(made.stdout.splitlines()) + len(_NOT_MADE.findall(made.stderr))


ATTACKS: dict[str, Callable[[Hostile], int]] = {
    "many-pushes": _many_pushes,
    "many-resets": _many_resets,
    "many-clones": _many_clones,
    "many-branches": _many_branches,
    "remote-resource": _remote_resource,
    "remote-component": _remote_elsewhere,
    "doubling-overlays": _doubling_overlays,
    "circle": _circle,
    "aliases": _aliases,
    "large-manifest": _large_manifest,
    "many-manifests": _many_manifests,
    "slow-expression": _slow_expression,
    "never-ready": _never_ready,
    "many-uploads": _many_uploads,
    "idle-connections": _idle_connections,
    "api-requests": _api_requests,
    "api-objects": _api_objects,
    "pods": _pods,
}
