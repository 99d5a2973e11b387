"""What an existing cluster lacks: one sentence for each thing, all at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.checks.class_clusters import find_class_problems
from sopslab.checks.clusters import (
    OLDEST_KUBERNETES,
    REQUESTS,
    accepted,
    find_problems,
    find_reach_problems,
    of_the_same,
    recorded,
    refused,
    unreached,
)
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.files.seat_limits import seat_limits
from sopslab.lab.observe.existing import cluster_traits, nodes_of
from sopslab.lab.tools import flux
from sopslab.lab.tools.manifests import documents
from sopslab.model.clusters import (
    ACCEPTABLE,
    Admission,
    ClusterNode,
    ClusterTraits,
    Flux,
    NodeReach,
    Problem,
    Reach,
)
from sopslab.model.quantities import quantity
from sopslab.model.rights import CLASS_RIGHTS, RIGHTS, Right
from tests.texts import write_program

NODE = ClusterNode("node-1", "amd64", usable=True, cpu_m=250, memory_mib=192, pods=3)
FIT = ClusterTraits(asked=True, version="v1.33.0", nodes=(NODE,), denied=())
GIT = "http://git.example"


def texts(traits: ClusterTraits) -> str:
    return "\n".join(refused(find_problems(traits), frozenset()))


def test_a_cluster_that_is_just_good_enough_passes() -> None:
    assert find_problems(FIT) == []


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"unseen": "there is no context"}, "there is no context"),
        ({"flux": Flux.FOREIGN}, "has a Flux that this lab did not install"),
        ({"flux": Flux.KINDS}, "has Flux's kinds, without a label of this lab's and without the"),
        ({"flux": None}, "does not say whether it has a Flux"),
        ({"occupied": ("develop", "ada-develop")}, "did not make: develop, ada-develop; they are"),
        ({"occupied": None}, "does not say which namespaces it has"),
        ({"denied": None}, "does not say what the user of the context may do"),
        ({"version": "v1.32.9-eks-5d4a308"}, "is v1.32.9-eks-5d4a308, and this Flux needs 1.33"),
        ({"version": ""}, "of no known version"),
        ({"nodes": None}, "does not list its nodes and pods"),
        ({"nodes": ()}, "no node of the cluster is ready"),
        ({"nodes": (replace(NODE, usable=False),)}, "no node of the cluster is ready"),
        ({"nodes": (replace(NODE, cpu_m=249),)}, "have no room for 3 pods"),
        ({"nodes": (replace(NODE, memory_mib=191),)}, "have no room for 3 pods"),
        ({"nodes": (replace(NODE, pods=2),)}, "have no room for 3 pods"),
        ({"nodes": (NODE, replace(NODE, name="z", architecture="s390x"))}, "for s390x, which is"),
    ],
)
def test_what_it_lacks_is_said_in_one_sentence(lacking: dict[str, Any], said: str) -> None:
    (problem,) = refused(find_problems(replace(FIT, **lacking)), frozenset())
    assert said in problem
    assert "\n" not in problem


@pytest.mark.parametrize("version", ["v1.33.0-rc.1", "v1.34.1+k3s1", "1.40.2-gke.100", "v2.0.0"])
def test_versions_are_read_as_distributions_write_them(version: str) -> None:
    assert find_problems(replace(FIT, version=version)) == []


def test_everything_is_said_at_once() -> None:
    traits = replace(FIT, flux=Flux.FOREIGN, denied=RIGHTS[:2], version="v1.20.0", nodes=())
    assert len(find_problems(traits)) == 4


def test_what_the_user_may_not_do_is_said_by_resource() -> None:
    said = texts(replace(FIT, denied=RIGHTS, nodes=None, flux=None))
    assert "get, delete leases.coordination.k8s.io;" in said
    assert "update, patch, delete, escalate, bind clusterroles.rbac.authorization.k8s.io;" in said
    assert "get pods/log;" in said
    assert "patch, delete all of notification.toolkit.fluxcd.io:" in said
    # What the missing rights hide is not reported as well.
    assert len(said.splitlines()) == 1


def test_pods_are_spread_over_nodes_where_none_has_room_for_all() -> None:
    small = replace(NODE, cpu_m=100, memory_mib=64, pods=1)
    nodes = tuple(replace(small, name=f"node-{number}") for number in range(3))
    assert find_problems(replace(FIT, nodes=nodes)) == []
    assert "no room" in texts(replace(FIT, nodes=nodes[:2]))
    kept_off = replace(nodes[2], usable=False)
    assert "no room" in texts(replace(FIT, nodes=(*nodes[:2], kept_off)))


def test_room_is_no_question_where_the_labs_flux_has_it_already() -> None:
    full = replace(NODE, cpu_m=0, memory_mib=0, pods=0)
    assert find_problems(replace(FIT, nodes=(full,), flux=Flux.OURS)) == []


def test_the_git_server_needs_room_until_it_is_there() -> None:
    traits = replace(FIT, lacks_git=True)
    assert "have no room for 4 pods of the lab's own (350 thousandths of a processor, 448 MiB)" in (
        texts(traits)
    )
    larger = replace(NODE, cpu_m=350, memory_mib=448, pods=4)
    assert find_problems(replace(traits, nodes=(larger,))) == []
    # Its memory has to be free on one node.
    halves = tuple(replace(NODE, name=name, memory_mib=255, pods=9) for name in ("one", "two"))
    assert "have no room for 4 pods" in texts(replace(traits, nodes=halves))
    assert "have no room for 1 pod of" in texts(replace(traits, flux=Flux.OURS))


def test_a_cluster_that_was_not_asked_is_not_judged() -> None:
    assert find_problems(ClusterTraits()) == []


def test_what_is_accepted_by_its_name_is_told_apart() -> None:
    problems = [Problem(name, "wait", name) for name in ACCEPTABLE]
    problems.append(Problem("a Flux", "choose"))
    for name in ACCEPTABLE:
        assert accepted(problems, {name}) == [name]
        left = refused(problems, {name})
        assert len(left) == len(ACCEPTABLE)
        assert f"`accept: [{name}]`" not in "\n".join(left)
    assert refused(problems, frozenset(ACCEPTABLE)) == ["a Flux: choose"]


def test_the_oldest_version_is_that_of_the_pinned_flux(tools: Callable[..., Path]) -> None:
    command = (tools("flux") / "flux").read_bytes()
    major, minor = OLDEST_KUBERNETES
    assert f">={major}.{minor}.0-0".encode() in command


def test_the_room_is_what_the_pinned_flux_requests(
    settings: Settings, tools: Callable[..., Path]
) -> None:
    tools("flux")
    controllers = ("source-controller", "kustomize-controller", "notification-controller")
    installed = flux.manifests(settings.for_machine, controllers)
    deployments = [
        yaml.safe_load(one) for one in documents(installed) if b"kind: Deployment\n" in one
    ]
    asked = [
        one["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
        for one in deployments
    ]
    in_our_units = [
        (int(quantity(one["cpu"]) * 1000), int(quantity(one["memory"]) / 2**20)) for one in asked
    ]
    assert in_our_units == list(REQUESTS)


def test_each_reason_is_said_once_with_its_nodes() -> None:
    refusing, unreached = "x:1 cannot be pulled", "its name is not found"
    found = {"a": NodeReach(git=unreached), "b": NodeReach(), "c": NodeReach(git=unreached)}
    (problem,) = find_reach_problems(found, GIT)
    assert problem.probe == "git"
    assert problem.found == f"on a, c, pods do not reach the Git server at {GIT} ({unreached})"
    (image,) = find_reach_problems({"b": NodeReach(images=refusing)}, GIT)
    assert (image.probe, image.found) == ("images", f"on b, {refusing}")


WANTED = Reach("uid-1", ("x:1",), GIT, {})
KNOWN = replace(WANTED, nodes={"a": NodeReach(), "b": NodeReach(git="it has no TLS")})


@pytest.mark.parametrize(
    ("accept", "left"),
    [([], ("b", "c")), (["images"], ("b", "c")), (["git"], ("c",))],
)
def test_nodes_are_asked_until_they_have_what_is_needed_or_that_is_accepted(
    accept: list[str], left: tuple[str, ...]
) -> None:
    assert unreached(["a", "b", "c"], KNOWN, frozenset(accept)) == left


@pytest.mark.parametrize("change", [{"cluster": "2"}, {"images": ("x:2",)}, {"git": "http://b"}])
def test_what_is_on_record_of_something_else_says_nothing(change: dict[str, Any]) -> None:
    assert of_the_same(KNOWN, WANTED) == KNOWN
    assert of_the_same(replace(KNOWN, **change), WANTED) is None
    assert of_the_same(None, WANTED) is None


def test_what_was_not_asked_stays_on_record_and_what_is_of_gone_nodes_goes() -> None:
    known = replace(KNOWN, nodes={"a": NodeReach(policies=""), "b": NodeReach(git="it has no TLS")})
    new = {"b": NodeReach(), "c": NodeReach()}
    found = recorded(WANTED, known, ["a", "b", "c"], new, {"b": "", "c": "it is late"}, None)
    assert found.nodes == {
        "a": NodeReach(policies=""),
        "b": NodeReach(policies=""),
        "c": NodeReach(policies="it is late"),
    }
    assert found.admission is None
    admitted = recorded(WANTED, known, ["a"], {}, {}, Admission())
    assert admitted.nodes == {"a": NodeReach(policies="")}
    assert recorded(WANTED, admitted, ["a"], {}, {}, None).admission == Admission()
    # The answers of another cluster are forgotten.
    other = replace(WANTED, cluster="uid-2")
    assert recorded(other, admitted, ["a"], {"a": NodeReach()}, {}, None) == replace(
        other, nodes={"a": NodeReach()}
    )


def node(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": "1930m", "memory": "3388360Ki", "pods": "17"},
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {"type": "Ready", "status": "True"},
            ],
            "nodeInfo": {"architecture": "arm64", "operatingSystem": "linux"},
        },
    }


def pod(where: str, *requests: dict[str, str], phase: str = "Running") -> dict[str, Any]:
    containers = [{"resources": {"requests": one}} for one in requests]
    return {"spec": {"nodeName": where, "containers": containers}, "status": {"phase": phase}}


def test_what_pods_leave_of_a_node_is_counted() -> None:
    pods = [
        pod("one", {"cpu": "100m", "memory": "70Mi"}, {"cpu": "1"}),
        pod("one", {}, phase="Pending"),
        pod("one", {"cpu": "500m"}, phase="Succeeded"),
        pod("two", {"memory": "1Gi"}),
    ]
    (one,) = nodes_of([node("one")], pods) or ()
    assert (one.cpu_m, one.memory_mib, one.pods) == (830, 3238, 15)
    assert (one.architecture, one.usable) == ("arm64", True)


@pytest.mark.parametrize(
    "other",
    [
        node("other", unschedulable=True),
        node("other", taints=[{"key": "gpu", "effect": "NoSchedule"}]),
        node("other", taints=[{"key": "going", "effect": "NoExecute"}]),
        {**node("other"), "status": {**node("")["status"], "conditions": []}},
        {
            **node("other"),
            "status": {
                **node("")["status"],
                "nodeInfo": {"architecture": "amd64", "operatingSystem": "windows"},
            },
        },
    ],
    ids=["cordoned", "tainted", "evicting", "not ready", "windows"],
)
def test_nodes_that_take_no_pod_without_tolerations_do_not_count(other: dict[str, Any]) -> None:
    (found,) = nodes_of([other], []) or ()
    assert not found.usable


def test_a_node_that_does_not_say_what_it_has_has_no_room() -> None:
    new = node("new")
    del new["status"]["allocatable"]
    (found,) = nodes_of([new], []) or ()
    assert (found.cpu_m, found.memory_mib, found.pods) == (0, 0, 0)


def test_a_taint_that_only_prefers_other_nodes_keeps_nothing_off() -> None:
    preferring = node("other", taints=[{"key": "spot", "effect": "PreferNoSchedule"}])
    (found,) = nodes_of([preferring], []) or ()
    assert found.usable


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("2", 2), ("100m", 0.1), ("64Mi", 67108864), ("1e3", 1000), ("1500k", 1500000)),
        *(("5n", 5e-9), ("2.", 2), (".5", 0.5), ("1.5E", 1.5e18)),
    ],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: str, number: float) -> None:
    assert float(quantity(text)) == number


@pytest.mark.parametrize("text", ["", "Mi", "64MiB", "-", "1 Gi", ".", "1.2.3"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)


EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
# A stand-in for kubectl: it answers from files, and fails as kubectl does if a file is missing.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
case " $* " in
*" config view "*) [ -e "$here/context" ] ;;
*" --raw /version "*) cat "$here/version" ;;
*" --raw /apis "*) cat "$here/apis" ;;
*" --raw /apis/admissionregistration.k8s.io/v1 "*) cat "$here/admission" ;;
*" get namespaces "*) cat "$here/namespaces" ;;
*" get customresourcedefinitions "*) cat "$here/definitions" ;;
*" get deployments "*) cat "$here/deployments" ;;
*" get nodes "*) cat "$here/nodes" ;;
*" get pods --namespace kube-system "*) cat "$here/dns" ;;
*" get pods "*) cat "$here/pods" ;;
*" get clusterroles/"*) cat "$here/shared" ;;
*" create "*)
    cat >"$here/reviews"
    if grep -q RulesReview "$here/reviews"; then cat "$here/rules"; else cat "$here/allowed"; fi
    ;;
esac || { cat "$here/words" >&2; exit 1; }
"""


def namespace(name: str, lab: str | None, identity: str | None = None) -> dict[str, Any]:
    """Return a namespace of a lab, with the lab's id if given, or a namespace without labels."""
    labels = {} if identity is None else {"sops-lab/id": identity}
    whose = None if lab is None else {"sops-lab": lab, **labels}
    return {"metadata": {"name": name, "labels": whose}}


def resolver(kind: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"k8s-app": kind}}}


def has_namespaces(settings: Settings, *there: dict[str, Any]) -> None:
    oldest = {"metadata": {"name": "kube-system", "uid": "its-id"}}
    Path(settings.bin_dir, "namespaces").write_text(json.dumps({"items": [oldest, *there]}))


@pytest.fixture
def answering(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Settings:
    """A lab with a cluster that has everything a lab needs."""
    settings = lab(cluster_provider="existing", kubeconfig="/home/ada/.kube/config", context="prod")
    folder = tools()
    write_program(folder / "kubectl", KUBECTL)
    told = {
        "context": "",
        "version": json.dumps({"major": "1", "minor": "37", "gitVersion": "v1.37.2"}),
        "apis": json.dumps({"kind": "APIGroupList", "groups": [{"name": "apps"}]}),
        "admission": json.dumps({"resources": [{"name": "validatingadmissionpolicies"}]}),
        "namespaces": json.dumps({"items": [namespace("default", "other")]}),
        "nodes": json.dumps({"items": [node("one")]}),
        "dns": json.dumps({"items": [resolver("kube-dns"), resolver("kube-dns")]}),
        "pods": json.dumps({"items": []}),
        "definitions": json.dumps({"items": []}),
        "deployments": "",
        "shared": "",
        "rules": json.dumps({"status": {"resourceRules": [EVERYTHING], "incomplete": False}}),
        "words": "",
    }
    for name, text in told.items():
        (folder / name).write_text(text)
    was_there(settings, "its-id")
    return settings


@pytest.fixture
def serving(answering: Settings, lab: Callable[..., Settings]) -> Settings:
    """Settings for the same cluster, with the Git server in it."""
    return lab(
        cluster_provider="existing",
        kubeconfig=str(answering.kubeconfig),
        context=str(answering.context),
        registry="registry.example/class",
        git_in_cluster={"host": "git.example.org", "port": 30443, "service": "NodePort"},
    )


def was_there(settings: Settings, *clusters: str) -> None:
    """Record that the lab was taken to these clusters, given by their ids."""
    Path(settings.clusters_file).parent.mkdir(parents=True, exist_ok=True)
    Path(settings.clusters_file).write_text(json.dumps(clusters))


def look(settings: Settings, *seats: str) -> ClusterTraits:
    return cluster_traits(settings.for_machine, str(settings.kubeconfig), list(seats))


def test_a_fit_cluster_is_seen_as_one(answering: Settings) -> None:
    seen = look(answering)
    assert find_problems(seen) == []
    assert (seen.version, seen.flux, seen.denied) == ("v1.37.2", Flux.ABSENT, ())


def test_before_there_is_a_kubectl_it_is_not_asked(answering: Settings) -> None:
    Path(answering.bin_dir, "kubectl").unlink()
    assert look(answering) == ClusterTraits()


def test_rights_that_the_user_has_not_are_named(answering: Settings) -> None:
    has_rights(answering, *(one for one in RIGHTS if one != RIGHTS[3]))
    answers(answering, "false")
    assert look(answering).denied == (RIGHTS[3],)
    has_rights(answering)
    answers(answering, *("false" for _ in RIGHTS))
    assert look(answering).denied == RIGHTS


def test_what_is_not_listed_is_asked_for(answering: Settings) -> None:
    lacks = [one for one in CLASS_RIGHTS if "/" in one.resource or one.name]
    has_rights(answering, *({*RIGHTS, *CLASS_RIGHTS} - set(lacks)))
    answers(answering, *("true" for _ in lacks[1:]), "false")
    assert look(answering, "ada").denied == (lacks[-1],)
    reviews = json.loads(Path(answering.bin_dir, "reviews").read_text())["items"]
    asked = [one["spec"]["resourceAttributes"] for one in reviews]
    assert [one["resource"] for one in asked] == [one.resource.split("/")[0] for one in lacks]
    assert {"signers", "kubernetes.io/kube-apiserver-client"} <= {
        value for one in asked for value in one.values()
    }
    assert "approval" in [one.get("subresource") for one in asked]


def test_a_right_that_only_the_cluster_finds_in_its_rules_is_none_that_lacks(
    answering: Settings,
) -> None:
    log = Right("get", "", "pods/log")
    has_rights(answering, *{*RIGHTS, replace(log, resource="*/log")} - {log})
    answers(answering, "true")
    assert look(answering).denied == ()


@pytest.mark.parametrize("answer", [["true"], []])
def test_an_answer_to_only_some_of_the_rights_is_none(
    answering: Settings, answer: list[str]
) -> None:
    has_rights(answering)
    answers(answering, *answer)
    assert look(answering).denied is None


def test_a_cluster_that_does_not_list_rights_says_nothing_of_them(answering: Settings) -> None:
    Path(answering.bin_dir, "rules").unlink()
    assert look(answering).denied is None


def answers(settings: Settings, *answers: str) -> None:
    """Make the cluster answer this about single rights of the user."""
    Path(settings.bin_dir, "allowed").write_text("".join(f"{one}\n" for one in answers))


def has_rights(settings: Settings, *rights: Right) -> None:
    """Make the cluster list these rights of the user."""
    rules = [
        {
            "verbs": [one.verb],
            "apiGroups": [one.group],
            "resources": [one.resource],
            "resourceNames": [one.name] if one.name else [],
        }
        for one in rights
    ]
    status = {"resourceRules": rules, "incomplete": False}
    Path(settings.bin_dir, "rules").write_text(json.dumps({"status": status}))


@pytest.mark.parametrize(
    ("whose", "group", "found"),
    [
        ("lab", "source.toolkit.fluxcd.io", Flux.OURS),
        ("other", "source.toolkit.fluxcd.io", Flux.FOREIGN),
        ("", "apps", Flux.FOREIGN),
        # There may be a Flux in another namespace: its kinds would become the lab's, and be removed
        # with it.
        (None, "source.toolkit.fluxcd.io", Flux.KINDS),
        (None, "mytoolkit.example", Flux.ABSENT),
    ],
)
def test_whose_flux_it_is_is_seen(
    answering: Settings, whose: str | None, group: str, found: Flux
) -> None:
    if whose is not None:
        has_namespaces(answering, namespace("flux-system", whose or None))
    serves(answering, group)
    assert look(answering).flux is found


def serves(settings: Settings, *groups: str) -> None:
    """Make the cluster have these API groups."""
    found = json.dumps({"groups": [{"name": name} for name in groups]})
    Path(settings.bin_dir, "apis").write_text(found)


SOURCE, KUSTOMIZE = "source.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io"


def defines(settings: Settings, *kinds: tuple[str, str | None]) -> None:
    """Make the cluster have kinds with the lab's name in their labels, each given by its group and
    the lab's id."""
    found = [{**namespace("one", "lab", marked), "spec": {"group": name}} for name, marked in kinds]
    Path(settings.bin_dir, "definitions").write_text(json.dumps({"items": found}))


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        ([(SOURCE, "ours"), (SOURCE, "ours"), (KUSTOMIZE, "ours")], Flux.ABSENT),
        # The other kinds may be those of a Flux in another namespace.
        ([(SOURCE, "ours")], Flux.KINDS),
        ([(SOURCE, "ours"), (KUSTOMIZE, "theirs")], Flux.NAMESAKE),
        ([(SOURCE, None), (KUSTOMIZE, None)], Flux.NAMESAKE),
    ],
)
def test_a_flux_whose_namespace_is_gone_is_known_by_its_kinds(
    answering: Settings, kinds: list[tuple[str, str | None]], found: Flux
) -> None:
    has_id(answering)
    serves(answering, SOURCE, KUSTOMIZE, "apps")
    ids = {"ours": ID, "theirs": ANOTHER, None: None}
    defines(answering, *((group, ids[whose]) for group, whose in kinds))
    assert look(answering).flux is found
    Path(answering.bin_dir, "definitions").unlink()
    assert look(answering).flux is None


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("gitops", Flux.FOREIGN),
        # A learner may call a Deployment whatever they like.
        ("ada-develop", Flux.ABSENT),
    ],
)
def test_the_labs_kinds_are_not_taken_back_from_a_flux_that_works_with_them(
    answering: Settings, where: str, found: Flux
) -> None:
    has_id(answering)
    has_namespaces(answering, namespace("ada-develop", "lab", ID), namespace("gitops", None))
    serves(answering, SOURCE)
    defines(answering, (SOURCE, ID))
    there = Path(answering.bin_dir, "deployments")
    there.write_text(f"{where}/source-controller ")
    assert look(answering).flux is found
    there.unlink()
    assert look(answering).flux is None


@pytest.mark.parametrize(
    ("whose", "occupied"), [(None, ("develop",)), ("other", ("develop",)), ("lab", ())]
)
def test_a_namespace_of_somebody_else_is_not_taken_over(
    answering: Settings, whose: str | None, occupied: tuple[str, ...]
) -> None:
    has_id(answering)
    there = namespace("develop", whose, ID)
    has_namespaces(answering, there)
    assert look(answering).occupied == occupied
    # Nor where the lab's own Flux is there already, and would make the namespace the lab's.
    has_namespaces(answering, there, namespace("flux-system", answering.lab, ID))
    assert look(answering).occupied == occupied


def test_a_namespace_that_an_older_lab_made_without_a_label_is_its_own(
    answering: Settings,
) -> None:
    there = namespace("develop", None)
    has_namespaces(answering, there)
    assert look(answering).occupied == ("develop",), "the lab is not there"
    has_namespaces(answering, there, namespace("flux-system", answering.lab))
    assert find_problems(look(answering)) == []


def test_namespaces_of_the_probe_and_of_the_git_server_are_not_taken_over(
    answering: Settings, serving: Settings
) -> None:
    has_id(answering)
    probe, git = "sops-lab-probe-lab", "sops-lab-git-lab"
    # What has the label of a lab is removed with it, and the repositories are not.
    has_namespaces(answering, namespace(probe, "other"), namespace(git, "lab", ID))
    assert look(answering).occupied == (probe,)
    assert look(serving).occupied == (probe, git)
    ours = namespace(git, None)
    ours["metadata"]["labels"] = {"sops-lab-git": "lab", "sops-lab/id": ID}
    has_namespaces(answering, namespace(probe, "lab", ID), ours)
    assert look(serving).occupied == ()


ID, ANOTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.mark.parametrize("marked", [ANOTHER, None])
def test_another_lab_of_the_same_name_is_told_by_its_id(
    answering: Settings, marked: str | None
) -> None:
    has_id(answering)
    has_namespaces(answering, namespace("ada-develop", answering.lab, marked))
    assert look(answering, "ada").occupied == ("ada-develop",)
    has_namespaces(answering, namespace("flux-system", answering.lab, marked))
    seen = look(answering)
    assert seen.flux is Flux.NAMESAKE
    assert "another lab of the same name" in texts(seen)
    has_namespaces(
        answering,
        *(namespace(name, answering.lab, ID) for name in ("flux-system", "ada-develop")),
    )
    assert find_problems(look(answering)) == []
    assert look(answering, "ada").occupied == ()


def test_what_was_made_before_labs_had_ids_is_its_own_and_nothing_with_another_id(
    answering: Settings,
) -> None:
    has_id(answering)
    was_there(answering, "its-id")
    ours, theirs = (namespace(f"{one}-develop", answering.lab) for one in ("ada", "bob"))
    theirs["metadata"]["labels"]["sops-lab/id"] = ANOTHER
    has_namespaces(answering, ours, theirs)
    assert look(answering, "ada", "bob").occupied == ("bob-develop",)


def test_an_id_that_is_damaged_is_not_made_anew(answering: Settings) -> None:
    Path(answering.id_file).write_text("00")
    with pytest.raises(LabError, match="does not hold the id of a lab"):
        look(answering)


def has_id(settings: Settings) -> None:
    """Make a lab that has had its id from the start."""
    was_there(settings)
    Path(settings.id_file).write_text(ID)


def of_class(kind: str, name: str, identity: str | None) -> dict[str, Any]:
    return {"kind": kind, **namespace(name, "lab", identity)}


def test_what_another_class_has_in_no_namespace_is_not_taken_over(answering: Settings) -> None:
    has_id(answering)
    mine = of_class("ClusterRole", "sops-lab-learner", ID)
    theirs = of_class("ValidatingAdmissionPolicy", "sops-lab-pods", ANOTHER)
    Path(answering.bin_dir, "shared").write_text(
        json.dumps({"kind": "List", "items": [mine, theirs]})
    )
    assert look(answering, "ada").shared == ("ValidatingAdmissionPolicy sops-lab-pods",)
    assert look(answering).shared == ()
    Path(answering.bin_dir, "shared").write_text(json.dumps(mine))
    assert look(answering, "ada").shared == ()
    Path(answering.bin_dir, "shared").unlink()
    assert look(answering, "ada").shared is None


@pytest.mark.parametrize("clusters", [(), ("another",)])
def test_a_lab_of_the_same_name_is_not_taken_for_this_one(
    answering: Settings, clusters: tuple[str, ...]
) -> None:
    has_namespaces(answering, namespace("ada-develop", answering.lab))
    assert look(answering, "ada").occupied == ()
    was_there(answering, *clusters)
    assert look(answering, "ada").occupied == ("ada-develop",)
    has_namespaces(answering, namespace("flux-system", answering.lab))
    seen = look(answering)
    assert seen.flux is Flux.NAMESAKE
    assert "restore its backup" in texts(seen)
    was_there(answering, *clusters, "its-id")
    assert find_problems(look(answering)) == []


def test_a_lab_from_before_the_record_is_known_by_what_its_pods_reached(
    answering: Settings,
) -> None:
    has_namespaces(answering, namespace("flux-system", answering.lab))
    Path(answering.clusters_file).write_text("[{")
    assert look(answering).flux is Flux.NAMESAKE
    older = {"images": "", "git": ""}
    record = {"cluster": "its-id", "images": [], "git": "", "nodes": {"one": older}}
    Path(answering.reach_file).write_text(json.dumps(record))
    assert look(answering).flux is Flux.OURS


@pytest.mark.parametrize("flux", [[], [namespace("flux-system", "lab")]])
def test_namespaces_of_seats_that_are_somebody_elses_are_not_taken_over(
    answering: Settings, flux: list[dict[str, Any]]
) -> None:
    theirs = [namespace("ada-develop", None), namespace("lab-bob-sys", "other")]
    has_namespaces(answering, *theirs, namespace("lab-ada-sys", answering.lab), *flux)
    assert look(answering, "ada", "bob").occupied == ("ada-develop", "lab-bob-sys")
    assert look(answering, "zoe").occupied == ()
    assert look(answering).occupied == ()


def test_only_a_class_asks_for_every_right_and_for_policies(answering: Settings) -> None:
    has_rights(answering, *RIGHTS)
    answers(answering, *("false" for _ in CLASS_RIGHTS))
    admission = Path(answering.bin_dir, "admission")
    admission.write_text(json.dumps({"resources": [{"name": "mutatingwebhookconfigurations"}]}))
    seen = look(answering, "ada")
    assert (seen.denied, seen.policies) == (CLASS_RIGHTS, False)
    assert "may not administer seats.sops-lab; get" in texts(seen)
    admission.unlink()
    assert find_problems(look(answering)) == []


@pytest.mark.parametrize(
    ("words", "served"),
    [
        ("Error from server (NotFound): the server could not find the requested resource", False),
        ("Error from server (ServiceUnavailable): the server is busy", None),
    ],
)
def test_whether_policies_are_served_is_told_from_silence(
    answering: Settings, words: str, served: bool | None
) -> None:
    Path(answering.bin_dir, "admission").unlink()
    Path(answering.bin_dir, "words").write_text(words)
    assert look(answering, "ada").policies is served


def test_pods_are_listed_only_where_the_lab_needs_more_room(answering: Settings) -> None:
    ours = [namespace(name, answering.lab) for name in ("flux-system", "ada-develop")]
    has_namespaces(answering, *ours)
    Path(answering.bin_dir, "pods").unlink()
    assert find_problems(look(answering)) == []
    assert find_problems(look(answering, "ada")) == []
    assert look(answering, "ada", "bob").nodes is None
    has_namespaces(answering, *ours[1:])
    assert look(answering, "ada").nodes is None


def uses(settings: Settings, **requested: dict[str, str]) -> None:
    """Make the cluster have these pods on its node.

    + requested: how much processor time each pod requests, by its name, by namespace
    """
    pods = [
        {**pod("one", {"cpu": cpu}), "metadata": {"namespace": where, "name": name}}
        for where, named in requested.items()
        for name, cpu in named.items()
    ]
    Path(settings.bin_dir, "pods").write_text(json.dumps({"items": pods}))


def test_new_seats_get_their_room_beside_all_that_runs(answering: Settings) -> None:
    has_id(answering)
    has_namespaces(
        answering,
        *(namespace(name, answering.lab, ID) for name in ("flux-system", "ada-develop")),
        namespace("eve", None),
    )
    used = {"flux-system": {"a": "250m"}, "ada-develop": {"b": "500m"}, "eve": {"c": "100m"}}
    uses(answering, **used)
    seen = look(answering, "ada", "bob", "zoe")
    (one,) = seen.nodes or ()
    assert (one.cpu_m, one.pods, seen.new_seats) == (1930 - 850, 14, 2)
    # A class that does not grow is not refused because others have filled the cluster.
    uses(answering, **used, team={"d": "1080m"})
    assert find_class_problems(look(answering, "ada", "bob"), seat_limits()) != []
    assert find_class_problems(look(answering, "ada"), seat_limits()) == []


def test_how_many_seats_are_new_is_not_guessed(answering: Settings) -> None:
    Path(answering.bin_dir, "namespaces").unlink()
    assert look(answering, "ada").new_seats is None


def test_the_git_server_is_given_room_until_its_pod_is_on_a_node(
    answering: Settings, serving: Settings
) -> None:
    has_id(answering)
    space = namespace("sops-lab-git-lab", None)
    space["metadata"]["labels"] = {"sops-lab-git": "lab", "sops-lab/id": ID}
    seat = namespace("ada-develop", "lab", ID)
    assert look(serving).lacks_git
    assert not look(answering).lacks_git
    # The namespace stays with the repositories while the server is down.
    has_namespaces(answering, space, seat)
    assert look(serving).lacks_git
    uses(answering, **{"sops-lab-git-lab": {"git-0": "100m"}})
    seen = look(serving, "ada")
    (one,) = seen.nodes or ()
    assert (one.cpu_m, seen.lacks_git) == (1830, False)
    # Beside the lab's own Flux, it is not looked for: it has its room.
    has_namespaces(answering, space, seat, namespace("flux-system", "lab", ID))
    uses(answering)
    assert not look(serving, "ada").lacks_git


@pytest.mark.parametrize(
    ("missing", "words", "said"),
    [
        ("context", 'error: context "prod" does not exist', "there is no context prod in /home/"),
        (
            "version",
            "error: You must be logged in to the server (Unauthorized)",
            "refuses the credentials",
        ),
        (
            "version",
            "The connection to the server 127.0.0.1:26444 was refused - did you specify the right"
            " host or port?",
            "does not answer within 10 s",
        ),
        ("apis", "error: net/http: request canceled", "does not answer within 10 s"),
    ],
)
def test_a_cluster_that_cannot_be_asked_says_why(
    answering: Settings, missing: str, words: str, said: str
) -> None:
    Path(answering.bin_dir, missing).unlink()
    Path(answering.bin_dir, "words").write_text(words)
    assert said in texts(look(answering))


@pytest.mark.parametrize("missing", ["nodes", "pods"])
def test_what_alone_is_not_seen_is_refused_and_may_be_accepted(
    answering: Settings, missing: str
) -> None:
    Path(answering.bin_dir, missing).unlink()
    problems = find_problems(look(answering))
    assert len(refused(problems, frozenset())) == 1
    assert refused(problems, {"room"}) == []


def test_what_answers_dns_is_seen_for_a_class_alone(answering: Settings) -> None:
    assert look(answering, "ada").dns == ("kube-dns",)
    there = Path(answering.bin_dir, "dns")
    there.write_text(json.dumps({"items": [resolver("node-local-dns"), resolver("kube-dns")]}))
    assert look(answering, "ada").dns == ("kube-dns", "node-local-dns")
    there.unlink()
    assert look(answering, "ada").dns is None
    assert look(answering).dns == ("kube-dns",)
