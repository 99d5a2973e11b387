"""What the real kubectl says about a cluster in trouble, and about one that lacks something."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typing_extensions import override

from sopslab.checks.rules.delivery import examine_build
from sopslab.checks.rules.table import examine
from sopslab.checks.snapshot import Cluster, LiveSecret, Snapshot, known
from sopslab.config.environment import Environment, at_seat, solo
from sopslab.config.settings import Learner, Settings
from sopslab.lab.observe import cluster
from sopslab.lab.observe.builds import TIME
from sopslab.lab.observe.environments import begun
from sopslab.lab.observe.keys import PublicKeys
from sopslab.lab.observe.observer import Observer
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.results import Undecided
from sopslab.model.trouble import Trouble

ADA = at_seat(Learner(id="ada", name="Ada", email="ada@example.org"))
Answers = dict[str, tuple[int, Any]]
Place = Callable[[str], Settings]


@pytest.fixture
def place(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Place:
    """Return a function that makes a lab whose kubeconfig names an API server."""
    tools("kubectl", "age-keygen")
    settings = lab()

    def at(server: str) -> Settings:
        path = Path(settings.lab_kubeconfig)
        path.parent.mkdir(parents=True, exist_ok=True)
        context = settings.lab_context
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": "of-nobody"}}],
            "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
        }
        path.write_text(json.dumps(config))
        return settings

    return at


def look(settings: Settings, environment: Environment | None = None) -> Snapshot:
    """Return the look at an environment in the cluster."""
    one = environment or solo(settings)
    with ThreadPoolExecutor(4) as executor:
        asked = cluster.Asked(settings, one)
        return asked.look(begun(settings, one), PublicKeys(settings), executor)


@contextmanager
def listening(*, answers: bool = True) -> Iterator[socket.socket]:
    """Yield a socket on loopback. With `answers` it takes connections and says nothing; otherwise
    it refuses connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answers:
            listener.listen()
        yield listener


@contextmanager
def serving(answers: Answers, certificate: Path | None = None) -> Iterator[str]:
    """Yield the address of a server that answers by path; other paths are not found."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, _ = self.path.partition("?")
            code, said = answers.get(path, answers.get("*", (404, status(404, "NotFound"))))
            plain = isinstance(said, bytes)
            body = said if plain else json.dumps(said).encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/plain" if plain else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        scheme = "http" if certificate is None else "https"
        yield f"{scheme}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def status(code: int, reason: str) -> dict[str, Any]:
    """Return the API server's answer to a request that failed."""
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "hunter2", "reason": reason, "code": code,
    }  # fmt: skip


def in_trouble(settings: Settings) -> Trouble | None:
    """Return why the cluster cannot be asked; check that nothing in it was seen."""
    seen = look(settings)
    for facet in (seen.controllers, seen.sources, seen.key, seen.login, seen.live, seen.stored):
        assert isinstance(facet, Undecided)
    assert "hunter2" not in repr(examine(seen))
    return known(seen.cluster).trouble


def test_without_a_kubeconfig_there_is_no_cluster(
    lab: Callable[..., Settings], tools: Callable[..., Path]
) -> None:
    tools("kubectl")
    assert in_trouble(lab()) is Trouble.NO_KUBECONFIG


def test_a_kubectl_that_is_missing_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = place("http://127.0.0.1:1")
    Path(settings.bin_dir, "kubectl").unlink()
    monkeypatch.setenv("PATH", settings.bin_dir)
    assert in_trouble(settings) is Trouble.NO_KUBECTL


@pytest.mark.parametrize("text", ["{}", "a: [", "clusters: 7", '{"current-context": "other"}'])
def test_a_kubeconfig_that_names_no_cluster_is_told(text: str, place: Place) -> None:
    settings = place("http://127.0.0.1:1")
    Path(settings.lab_kubeconfig).write_text(text)
    assert in_trouble(settings) is Trouble.BAD_KUBECONFIG


def test_a_port_that_is_closed_is_told(place: Place) -> None:
    with listening(answers=False) as taken:
        port = taken.getsockname()[1]
        assert in_trouble(place(f"https://127.0.0.1:{port}")) is Trouble.REFUSED


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_says_nothing_is_told(
    scheme: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE_S", 1.0)
    with listening() as silent:
        port = silent.getsockname()[1]
        assert in_trouble(place(f"{scheme}://127.0.0.1:{port}")) is Trouble.SILENT


def test_a_certificate_of_somebody_else_is_told(place: Place, tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", str(pem), "-out", str(tmp_path / "cert.pem"),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    pem.write_text(pem.read_text() + (tmp_path / "cert.pem").read_text())
    with serving({}, pem) as server:
        assert in_trouble(place(server)) is Trouble.CERTIFICATE


@pytest.mark.parametrize(
    ("code", "said", "trouble"),
    [
        (401, status(401, "Unauthorized"), Trouble.DENIED),
        (403, status(403, "Forbidden"), Trouble.DENIED),
        (500, b"[-]etcd failed: reason withheld\nreadyz check failed", Trouble.UNWELL),
        (503, status(503, "ServiceUnavailable"), Trouble.UNWELL),
    ],
)
def test_a_server_that_refuses_is_told(
    code: int, said: Any, trouble: Trouble, place: Place
) -> None:
    with serving({"*": (code, said)}) as server:
        assert in_trouble(place(server)) is trouble


# A cluster that answers

CORE = [("namespaces", "Namespace", False), ("nodes", "Node", False), ("secrets", "Secret", True)]
GROUPS = {
    "apps": [("deployments", "Deployment", True)],
    "source.toolkit.fluxcd.io": [("gitrepositories", "GitRepository", True)],
    "kustomize.toolkit.fluxcd.io": [("kustomizations", "Kustomization", True)],
    "notification.toolkit.fluxcd.io": [("receivers", "Receiver", True)],
}
ARTIFACT = "/gitrepository/lab-ada-sys/lab/a.tar.gz"
PROXY = "/api/v1/namespaces/flux-system/services/http:source-controller:80/proxy"


def resources(version: str, kinds: list[tuple[str, str, bool]]) -> dict[str, Any]:
    """Return the API server's list of the kinds in a group."""
    return {
        "kind": "APIResourceList",
        "groupVersion": version,
        "resources": [
            {"name": name, "singularName": "", "kind": kind, "namespaced": own,
             "verbs": ["get", "list"]}
            for name, kind, own in kinds
        ],
    }  # fmt: skip


def one(kind: str, name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    """Return an object."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    versions = {kinds[0][1]: f"{group}/v1" for group, kinds in GROUPS.items()}
    return {"kind": kind, "apiVersion": versions.get(kind, "v1"), "metadata": metadata, **more}


def answers(*objects: dict[str, Any], without: str = "") -> Answers:
    """Return the answers of an API server that has these objects, and Flux except one of its
    groups."""
    groups = {name: kinds for name, kinds in GROUPS.items() if name != without}
    told: Answers = {
        "/readyz": (200, b"ok"),
        "/api": (200, {"kind": "APIVersions", "versions": ["v1"]}),
        "/api/v1": (200, resources("v1", CORE)),
        "/apis": (
            200,
            {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [
                    {
                        "name": name,
                        "versions": [{"groupVersion": f"{name}/v1", "version": "v1"}],
                        "preferredVersion": {"groupVersion": f"{name}/v1", "version": "v1"},
                    }
                    for name in groups
                ],
            },
        ),
    }
    places = {"api/v1": CORE}
    for name, kinds in groups.items():
        told[f"/apis/{name}/v1"] = (200, resources(f"{name}/v1", kinds))
        places[f"apis/{name}/v1"] = kinds
    for root, kinds in places.items():
        for plural, kind, own in kinds:
            # Of kinds with namespaces, None stands for all of them.
            for space in ("ada-develop", "lab-ada-sys", "flux-system", None) if own else ("",):
                found = [
                    each
                    for each in objects
                    if each["kind"] == kind
                    and space in (None, each["metadata"].get("namespace", ""))
                ]
                folder = f"/{root}/namespaces/{space}/{plural}" if space else f"/{root}/{plural}"
                version = root.removeprefix("api/").removeprefix("apis/")
                told[folder] = (
                    200,
                    {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": found},
                )
                for each in found:
                    told[f"{folder}/{each['metadata']['name']}"] = (200, each)
    return told


SOURCE = one(
    "GitRepository", "lab", "lab-ada-sys",
    status={"artifact": {"url": f"http://source-controller{ARTIFACT}", "revision": "main@sha1:a"}},
)  # fmt: skip
OBJECTS = (
    one("Node", "lab-control-plane"),
    one("Namespace", "ada-develop", status={"phase": "Active"}),
    one("Namespace", "lab-ada-sys", status={"phase": "Terminating"}),
    one("Namespace", "other", status={"phase": "Active"}),
    one("Deployment", "source-controller", "flux-system"),
    one("Kustomization", "tenant-ada", "flux-system"),
    one("Kustomization", "tenant-bob", "flux-system"),
    one("GitRepository", "tenant-base", "flux-system"),
    SOURCE,
    one("Kustomization", "secrets-develop", "lab-ada-sys"),
    one("Secret", "sops-age", "lab-ada-sys", data={"age.agekey": "bm9uZQ=="}),
    one("Secret", "backend-secrets", "ada-develop", data={"password": "aHVudGVyMg=="}),
)


def names(facet: Any) -> list[str]:
    return [each["metadata"]["name"] for each in facet]


def test_each_facet_has_what_is_the_environments(place: Place) -> None:
    with serving(answers(*OBJECTS) | {f"{PROXY}{ARTIFACT}": (200, b"packed")}) as server:
        seen = look(place(server), ADA)

    assert isinstance(seen.cluster, Cluster)
    assert names(seen.cluster.nodes) == ["lab-control-plane"]
    assert names(seen.controllers) == ["source-controller"]
    assert (names(seen.sources), names(seen.kustomizations)) == (["lab"], ["secrets-develop"])
    assert seen.receivers == []
    assert sorted(names(seen.platform)) == ["tenant-ada", "tenant-base"]
    assert seen.namespaces == {"ada-develop": "Active", "lab-ada-sys": "Terminating"}
    assert seen.stored is True
    assert seen.holder == ""
    assert known(seen.key).present and seen.login is None
    secret = known(seen.live)["backend-secrets"]
    assert isinstance(secret, LiveSecret) and secret.keys == {"password"}
    assert "hunter2" not in repr(seen) and "aHVudGVyMg" not in repr(seen)


def test_without_age_keygen_only_the_key_is_not_seen(place: Place) -> None:
    with serving(answers(*OBJECTS)) as server:
        settings = place(server)
        Path(settings.bin_dir, "age-keygen").unlink()
        seen = look(settings, ADA)

    assert isinstance(seen.key, Undecided) and "age-keygen cannot be run" in seen.key.found
    assert (names(seen.sources), seen.login) == (["lab"], None)


def building(
    namespace: str, seat: str = "", *, age: int, lab: str = "lab", name: str = "secrets-develop"
) -> dict[str, Any]:
    """Return a Kustomization whose build has been under way for some seconds.

    + seat, lab: what its labels say, none without a seat
    """
    since = datetime.now(UTC) - timedelta(seconds=age)
    told = {
        "type": "Reconciling",
        "reason": "Progressing",
        "message": f"Building manifests for revision main@sha1:{'a' * 40} with a timeout of 1m0s",
        "lastTransitionTime": f"{since:{TIME}}",
    }
    found = one("Kustomization", name, namespace, status={"conditions": [told]})
    found["metadata"]["labels"] = {"sops-lab/seat": seat, "sops-lab": lab} if seat else {}
    return found


OWN = {"ada": "lab-ada-sys", "solo": "flux-system"}


@pytest.mark.parametrize(
    ("other", "holder"),
    [
        (partial(building, "lab-bob-sys", "bob", age=60), "bob"),
        (partial(building, "flux-system", age=60, name="infrastructure"), ""),
        (partial(building, "flux-system", "bob", age=60, name="tenant-bob"), ""),
        (partial(building, "team-a", age=60), ""),
        (partial(building, "lab-zoe-sys", "zoe", age=60, lab="other"), ""),
        (partial(building, "team-a", "bob", age=60), ""),
        (partial(building, "lab-bob-sys", "bob", age=5), "own"),
    ],
    ids=[
        "a-seat", "the-platform", "what-makes-a-seat", "another-tenant", "another-lab",
        "a-label-elsewhere", "a-later-one",
    ],
)  # fmt: skip
@pytest.mark.parametrize("who", OWN)
def test_only_the_oldest_of_all_builds_holds_up_the_others(
    who: str, other: Callable[[], dict[str, Any]], holder: str, place: Place
) -> None:
    own = building(OWN[who], "ada" if who == "ada" else "", age=30)
    with serving(answers(own, other())) as server:
        settings = place(server)
        environment = ADA if who == "ada" else solo(settings)
        seen = look(settings, environment)

    assert seen.holder == (environment.id if holder == "own" else holder)
    blamed = [cause.id for cause in examine_build(seen)]
    assert blamed == (["endless-build"] if holder == "own" else [])


def test_whoever_builds_nothing_waits_for_nobody(place: Place) -> None:
    with serving(answers(*OBJECTS, building("lab-bob-sys", "bob", age=60))) as server:
        settings = place(server)
        assert look(settings, ADA).holder == look(settings).holder == ""


@pytest.mark.parametrize("who", OWN)
def test_a_build_that_gets_too_old_during_a_wait_is_seen_after_it(who: str, place: Place) -> None:
    def at(age: int) -> Answers:
        return answers(building(OWN[who], "ada" if who == "ada" else "", age=age))

    told = at(5)
    with serving(told) as server, ThreadPoolExecutor(4) as executor:
        settings = place(server)
        environment = ADA if who == "ada" else solo(settings)
        before = look(settings, environment)
        told.update(at(15))
        observer = Observer(settings, executor)
        after = observer.await_flux(before, lambda _: False, Deadline(0.1))
        anew = look(settings, environment)

    assert (before.holder, after.holder) == ("", environment.id)
    assert [*examine_build(before)] == []
    assert [cause.id for cause in examine_build(after)] == ["endless-build"]
    assert [*examine_build(after)] == [*examine_build(anew)]


@pytest.mark.parametrize(
    ("answer", "stored"),
    [
        ((404, b"404 page not found\n"), False),
        # The Service does not exist, or has no pod.
        ((404, status(404, "NotFound")), None),
        ((503, status(503, "ServiceUnavailable")), None),
    ],
)
def test_only_a_source_controller_that_has_not_the_artifact_is_a_proof(
    answer: tuple[int, Any], stored: bool | None, place: Place
) -> None:
    with serving(answers(*OBJECTS) | {f"{PROXY}{ARTIFACT}": answer}) as server:
        found = look(place(server), ADA).stored

    assert found is False if stored is False else isinstance(found, Undecided)


def test_a_kind_that_the_cluster_does_not_know_is_told_and_the_others_are_seen(
    place: Place,
) -> None:
    with serving(answers(*OBJECTS, without="notification.toolkit.fluxcd.io")) as server:
        seen = look(place(server), ADA)

    assert seen.receivers is None
    assert names(seen.sources) == ["lab"]


def test_what_may_not_be_seen_leaves_the_rest(place: Place) -> None:
    denied = {"/api/v1/namespaces/ada-develop/secrets": (403, status(403, "Forbidden"))}
    with serving(answers(*OBJECTS) | denied) as server:
        seen = look(place(server), ADA)

    assert isinstance(seen.live, Undecided) and "hunter2" not in seen.live.found
    assert names(seen.sources) == ["lab"]


def test_flux_is_followed_until_the_rest_is_looked_at_again(place: Place) -> None:
    told = answers(*OBJECTS)
    with serving(told) as server, ThreadPoolExecutor(4) as executor:
        settings = place(server)
        asked, before = cluster.Asked(settings, ADA), look(settings, ADA)
        read = {**SOURCE, "status": {"artifact": {"revision": "main@sha1:b"}}}
        kept = [each for each in OBJECTS if each["kind"] != "Secret" and each is not SOURCE]
        told.update(answers(*kept, read))
        followed = asked.follow(before)
        again = asked.look_at_delivered(followed, executor)
        told.clear()
        silent = asked.follow(followed)

    assert known(before.live) and known(followed.live) == known(before.live)
    assert known(followed.sources) == [read]
    assert known(again.live) == {} and again.stored is None
    assert silent is followed
