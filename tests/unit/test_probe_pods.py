"""What probe pods find out on the nodes of an existing cluster, read from what clusters report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sopslab.checks.probe_pods import late, pods, reading
from sopslab.model.clusters import NodeReach

IMAGES = tuple(
    f"mirror.example:5000/fluxcd/{name}:v1"
    for name in ("source-controller", "kustomize-controller", "notification-controller")
)
_FAILED = "failed to determine if *v1.GitRepository is namespaced: failed to get restmapping: "
GROUPS = f"{_FAILED}failed to get server groups: "


def line(error: str) -> str:
    """Return the last line of the source controller, as the kubelet reports it."""
    said = {"level": "error", "logger": "setup", "msg": "unable to start manager", "error": error}
    return json.dumps(said, separators=(",", ":"))


def ended(message: str = "", code: int = 1, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


HELPED = ended(code=0, reason="Completed")


def pod(*states: dict[str, Any], **status: Any) -> dict[str, Any]:
    names = ("source-controller", "kustomize-controller", "notification-controller")
    found = [
        {"name": name, "image": image, "state": state}
        for name, image, state in zip(names, IMAGES, states, strict=False)
    ]
    return {"status": {**status, "containerStatuses": found}}


@pytest.mark.parametrize(
    "answer",
    [
        "the server has asked for the client to provide credentials",
        "the server could not find the requested resource",
        "",
        'an error on the server (\\"\\") has prevented the request from succeeding',
        "the server has received too many requests and has asked us to try again later",
        "invalid character '<' looking for beginning of value",
    ],
)
def test_a_server_that_answers_anything_is_reached(answer: str) -> None:
    assert reading(pod(ended(line(GROUPS + answer)), HELPED, HELPED)) == NodeReach()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            "dial tcp: lookup git.nowhere.invalid on 10.96.0.10:53: no such host",
            "its name is not found",
        ),
        (
            "dial tcp: lookup git on 10.96.0.10:53: read udp 10.244.1.2:50->10.96.0.10:53:"
            " i/o timeout",
            "its name is not found",
        ),
        ("dial tcp 127.0.0.1:18998: connect: connection refused", "the connection is refused"),
        ("dial tcp [2001:db8::1]:80: connect: no route to host", "there is no route to it"),
        ("dial tcp 10.9.8.7:80: i/o timeout", "it does not answer in time"),
        ("tls: first record does not look like a TLS handshake", "it has no TLS"),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "its certificate is not trusted",
        ),
        (
            "read tcp 127.0.0.1:57016->127.0.0.1:18997: read: connection reset by peer - error from"
            " a previous attempt: read tcp 127.0.0.1:57000->127.0.0.1:18997: read: connection reset"
            " by peer",
            "the connection breaks",
        ),
    ],
)
def test_why_it_is_not_reached_is_said(error: str, why: str) -> None:
    said = line(f'{GROUPS}Get "http://git.example/api": {error}')
    assert reading(pod(ended(said), HELPED, HELPED)) == NodeReach(git=why)


@pytest.mark.parametrize("message", ["", line("something else")])
def test_an_end_that_is_not_understood_is_no_proof(message: str) -> None:
    (found,) = [reading(pod(ended(message), HELPED, HELPED))]
    assert found is not None
    assert "is not known" in found.git


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ((waiting("ImagePullBackOff"), HELPED, HELPED), f"{IMAGES[0]} cannot be pulled (Image"),
        ((HELPED, HELPED, waiting("InvalidImageName")), f"{IMAGES[2]} cannot be pulled (Invalid"),
        ((waiting("CreateContainerConfigError"),), f"{IMAGES[0]} does not run (CreateContainer"),
        ((ended(code=128, reason="StartError"), HELPED), f"{IMAGES[0]} does not run (StartError"),
    ],
)
def test_an_image_that_does_not_get_there_is_named(
    states: tuple[dict[str, Any], ...], said: str
) -> None:
    found = reading(pod(*states))
    assert found is not None
    assert found.images.startswith(said)
    assert found.git == ""


def test_a_pod_that_the_kubelet_refuses_says_why() -> None:
    found = reading({"status": {"phase": "Failed", "reason": "OutOfpods"}})
    assert found is not None
    assert "(OutOfpods)" in found.images


ANSWERED = ended(line(f"{GROUPS}the server could not find the requested resource"))


@pytest.mark.parametrize(
    "unfinished",
    [
        {},
        {"status": {"phase": "Pending"}},
        pod(waiting("ContainerCreating"), waiting("ContainerCreating")),
        # The first attempt failed, and another one follows.
        pod(waiting("ErrImagePull"), HELPED, HELPED),
        pod({"running": {}}, HELPED, HELPED),
        pod(ANSWERED, HELPED, {"running": {}}),
    ],
)
def test_a_pod_that_is_not_done_says_nothing_yet(unfinished: dict[str, Any]) -> None:
    assert reading(unfinished) is None
    assert late(unfinished) != NodeReach()


def test_a_pod_that_ran_to_the_end_of_its_time_had_its_images() -> None:
    found = late(pod({"running": {}}, HELPED, HELPED))
    assert (found.images, found.git) == ("", "it does not answer in time")


def test_a_pod_asks_the_git_server_on_its_node_and_nothing_of_the_cluster() -> None:
    first, second = pods(["one", "two"], IMAGES, "https://git.example/class", b"the CA")
    assert [each["spec"]["nodeName"] for each in (first, second)] == ["one", "two"]
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first["spec"]["automountServiceAccountToken"] is False
    assert [one["image"] for one in first["spec"]["containers"]] == list(IMAGES)
    asking = [one for one in first["spec"]["containers"] if "env" in one]
    assert [one["name"] for one in asking] == ["source-controller"]
    (kubeconfig,) = first["metadata"]["annotations"].values()
    (cluster,) = json.loads(kubeconfig)["clusters"]
    assert cluster["cluster"] == {
        "server": "https://git.example/class",
        "certificate-authority-data": "dGhlIENB",
    }


def test_no_pod_may_do_what_restricted_namespaces_forbid() -> None:
    (one,) = pods(["one"], IMAGES, "http://git.example", None)
    for container in one["spec"]["containers"]:
        rules = container["securityContext"]
        assert rules["runAsNonRoot"]
        assert not rules["allowPrivilegeEscalation"]
        assert rules["capabilities"] == {"drop": ["ALL"]}
        assert rules["seccompProfile"] == {"type": "RuntimeDefault"}
        assert set(container["resources"]) == {"requests", "limits"}
    assert one["spec"]["activeDeadlineSeconds"] <= 300
