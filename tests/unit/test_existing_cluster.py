"""An existing cluster: how the lab takes it on, asks it by pods on its nodes, and leaves it."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.policy_pods import trials
from sopslab.config.enrolled import record_of
from sopslab.config.settings import Enrolled, Settings
from sopslab.errors import LabError
from sopslab.lab import parts
from sopslab.lab.act import existing, probes
from sopslab.lab.observe.api_server import api_servers
from sopslab.lab.observe.brought import (
    REQUESTS,
    WITHOUT_NAMESPACE,
    brought,
    left_behind,
    others_at_stake,
)
from sopslab.lab.observe.existing import (
    has_context,
    has_other_login,
    is_taken_on,
    lab_namespaces,
    open_questions,
)
from sopslab.lab.observe.ownership import lab_id, owner_labels, unmarked_clusters
from sopslab.lab.parts import Part, _existing, accepted_lacks
from sopslab.lab.tools.programs import Failed
from sopslab.model.clusters import ApiServers, FormerCluster, Questions
from sopslab.model.results import Undecided
from sopslab.model.trouble import Trouble
from tests.texts import write_program
from tests.unit.test_cluster_fitness import FIT, NODE, node
from tests.unit.test_policy_pods import (
    DROPPED,
    RUNNING,
    THROUGH,
    asking,
    container,
    listening,
)
from tests.unit.test_probe_pods import ANSWERED, HELPED, IMAGES, ended, line, pod

# A stand-in for kubectl: a cluster made of files, which only records what is applied and deleted.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
case " $* " in
*" config view "*) cat "$here/context" ;;
*" --context before get namespace kube-system "*) cat "$here/oldest-before" ;;
*" install --export "*) cat "$here/flux-manifests" ;;
*" get customresourcedefinitions --output name "*) cat "$here/definitions" ;;
*" get gitrepositories.source.toolkit.fluxcd.io,"*) cat "$here/of-flux" ;;
*" get --raw "*/kustomizations" "*) cat "$here/kustomizations" ;;
*" get --raw "*/gitrepositories" "*|*" get --raw "*/receivers" "*) echo '{"items": []}' ;;
*" --selector "*)
    kind=$(echo "$*" | sed 's/.* get \\([a-z]*\\) .*/\\1/')
    cat "$here/$kind" && exit
    echo "error: the server doesn't have a resource type \\"$kind\\"" >&2
    exit 1
    ;;
*" get namespaces --all-namespaces "*) cat "$here/namespaces" ;;
*" delete kustomizations."*) test ! -e "$here/refused" ;;
*" wait deployments "*) test ! -e "$here/without-controllers" ;;
*" wait "*) test ! -e "$here/staying" ;;
*" patch "*finalizers*) rm "$here/staying" ;;
*" get namespace ada-develop "*) cat "$here/staying" ;;
*" get namespace flux-system "*) cat "$here/flux-namespace" ;;
*" get namespace kube-system "*) cat "$here/oldest" ;;
*" get namespace sops-lab-probe-lab "*) cat "$here/probe" ;;
*" get nodes "*) cat "$here/nodes" ;;
*" get pods "*) cat "$here/pods" ;;
*" apply "*)
    cat >>"$here/applied"
    [ -s "$here/probe" ] || cat "$here/made" >"$here/probe"
    ! cat "$here/refusing" >&2
    ;;
*" delete namespace sops-lab-probe-lab "*) : >"$here/probe" ;;
*" create "*)
    if grep -q privileged; then words="$here/of-a-pod"; else words="$here/of-a-policy"; fi
    [ ! -s "$words" ] || { cat "$words" >&2; exit 1; }
    ;;
esac
"""
DEFINITIONS = """\
customresourcedefinition.apiextensions.k8s.io/certificates.cert-manager.io
customresourcedefinition.apiextensions.k8s.io/gitrepositories.source.toolkit.fluxcd.io
customresourcedefinition.apiextensions.k8s.io/kustomizations.kustomize.toolkit.fluxcd.io
"""
REFUSING = 'admission webhook "policy.example" denied the request'
# What API servers say when they refuse a dry run.
POD_REFUSED = (
    'Error from server (Forbidden): error when creating "STDIN": pods "privileged" is forbidden:'
    ' violates PodSecurity "restricted:latest": privileged (container "root" must not set'
    " securityContext.privileged=true)"
)
POLICY_REFUSED = (
    'Error from server (Forbidden): error when creating "STDIN": configmaps "forbidden" is'
    " forbidden: ValidatingAdmissionPolicy 'sops-lab-probe-lab' with binding 'sops-lab-probe-lab'"
    " denied request: this is a probe"
)


def listing(*items: Any) -> str:
    return json.dumps({"items": items})


ID, ANOTHER = "0123456789abcdef", "fedcba9876543210"


def namespace(name: str, lab: str = "lab", identity: str | None = ID) -> dict[str, Any]:
    labels = {"sops-lab": lab} | ({"sops-lab/id": identity} if identity else {})
    return {"metadata": {"name": name, "uid": f"uid-of-{name}", "labels": labels}}


def of_flux(where: str, number: int) -> dict[str, Any]:
    return {
        "kind": "GitRepository",
        "metadata": {"namespace": where, "name": f"source-{number}"},
    }


def answered(*numbers: int) -> list[dict[str, Any]]:
    """Return the pods with these numbers, from which everything was reached."""
    return [named(f"node-{number}", ANSWERED, HELPED, HELPED) for number in numbers]


def unanswered(number: int) -> dict[str, Any]:
    lost = 'failed to get server groups: Get "x": dial tcp 10.9.8.7:80: i/o timeout'
    return named(f"node-{number}", ended(line(lost)), HELPED, HELPED)


def named(name: str, *states: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name}, **pod(*states)}


@pytest.fixture
def settings(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Settings:
    found = lab(
        cluster_provider="existing",
        kubeconfig="/home/ada/.kube/config",
        context="prod",
        git_url="http://git.example",
        git_username="lab",
        git_password="hidden",
    )
    for name in ("kubectl", "flux"):
        write_program(tools() / name, KUBECTL)
    told = {
        "context": "the: context\n",
        "oldest": json.dumps(namespace("kube-system")),
        "nodes": listing(node("one"), node("two"), node("off", unschedulable=True)),
        "pods": listing(*answered(0, 1)),
        "namespaces": listing(),
        **dict.fromkeys((*WITHOUT_NAMESPACE, REQUESTS), listing()),
        "definitions": DEFINITIONS,
        "of-flux": listing(of_flux("flux-system", 0)),
        "kustomizations": listing(),
        "deployments": "",
        "flux-namespace": "",
        "probe": "",
        "made": json.dumps(namespace("sops-lab-probe-lab")),
        "of-a-pod": POD_REFUSED,
        "of-a-policy": POLICY_REFUSED,
        "flux-manifests": "".join(f"    image: {image}\n" for image in IMAGES),
    }
    for name, text in told.items():
        Path(found.bin_dir, name).write_text(text)
    Path(found.lab_dir).mkdir(parents=True)
    return found


@pytest.fixture
def taken(settings: Settings) -> Settings:
    has_id(settings)
    take_on(settings)
    return settings


def has_id(settings: Settings) -> None:
    Path(settings.id_file).write_text(ID)


def take_on(settings: Settings) -> None:
    existing.take_on(settings.for_machine, str(settings.kubeconfig))


def say(settings: Settings, name: str, text: str) -> None:
    Path(settings.bin_dir, name).write_text(text)


def calls(settings: Settings, word: str) -> list[str]:
    lines = Path(settings.bin_dir, "calls").read_text().splitlines()
    return [line for line in lines if f" {word} " in line]


def probe(settings: Settings, *accept: str) -> None:
    probes.probe(settings.for_machine, list(accept), [])


def unproven(settings: Settings, *accept: str) -> list[str] | None:
    found = open_questions(settings.for_machine, list(accept), [])
    if found is None:
        return None
    # A lab without a class asks nothing about what separates seats.
    assert found == Questions(found.reach)
    return list(found.reach)


def test_one_context_becomes_the_labs_own(settings: Settings) -> None:
    assert not has_context(settings.for_machine, str(settings.kubeconfig))
    take_on(settings)
    own = Path(settings.lab_kubeconfig)
    assert own.read_text() == "the: context\n"
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert has_context(settings.for_machine, str(settings.kubeconfig))
    say(settings, "context", "the: context, with another token\n")
    assert not has_context(settings.for_machine, str(settings.kubeconfig))


def test_a_context_that_is_not_there_is_not_taken(settings: Settings) -> None:
    Path(settings.bin_dir, "context").unlink()
    with pytest.raises(Failed):
        take_on(settings)
    assert not Path(settings.lab_kubeconfig).exists()
    assert lab_id(settings.for_machine) is None


def test_a_lab_gets_an_id_once_and_keeps_it(settings: Settings) -> None:
    take_on(settings)
    made = lab_id(settings.for_machine)
    assert made
    assert owner_labels(settings.for_machine) == {"sops-lab": "lab", "sops-lab/id": made}
    assert unmarked_clusters(settings.for_machine) == []
    assert stat.S_IMODE(Path(settings.id_file).stat().st_mode) == 0o600
    Path(settings.lab_kubeconfig).unlink()
    take_on(settings)
    assert lab_id(settings.for_machine) == made
    leave(settings)
    assert lab_id(settings.for_machine) == made
    Path(settings.id_file).unlink()
    assert not has_context(settings.for_machine, str(settings.kubeconfig))
    take_on(settings)
    assert lab_id(settings.for_machine) not in (None, made), "two labs never have the same"


def test_a_damaged_id_is_not_replaced(taken: Settings) -> None:
    Path(taken.id_file).write_text("")
    with pytest.raises(LabError, match="restore it from a backup"):
        take_on(taken)
    assert Path(taken.id_file).read_text() == ""


def before_ids(settings: Settings, file: str, record: object) -> None:
    """Make a lab from before labs had ids, with a record of its cluster."""
    Path(settings.id_file).unlink(missing_ok=True)
    Path(file).write_text(json.dumps(record))


@pytest.mark.parametrize("younger", [True, False])
def test_a_lab_from_before_ids_keeps_what_it_has_brought(taken: Settings, younger: bool) -> None:
    record = (taken.clusters_file, ["uid-of-kube-system"])
    older = (taken.reach_file, {"cluster": "uid-of-kube-system"})
    before_ids(taken, *(record if younger else older))
    bring(taken, identity=None)
    # `down` may run before the next `up`, or after it.
    assert brought(taken.for_machine) == ALL_BROUGHT
    take_on(taken)
    made = lab_id(taken.for_machine)
    assert made
    assert brought(taken.for_machine) == ALL_BROUGHT
    bring(taken, identity=made)
    assert brought(taken.for_machine) == ALL_BROUGHT
    bring(taken, identity=None)
    say(taken, "oldest", json.dumps({"metadata": {"uid": "another"}}))
    assert brought(taken.for_machine) == {}
    say(taken, "oldest", json.dumps(namespace("kube-system")))
    leave(taken)
    # From now on, objects with this name and without an id belong to another lab.
    take_on(taken)
    assert brought(taken.for_machine) == {}


def test_what_pods_of_a_lab_with_an_id_reached_says_nothing_of_the_time_before(
    taken: Settings,
) -> None:
    probe(taken)
    bring(taken, identity=None)
    assert brought(taken.for_machine) == {}


@pytest.mark.parametrize("identity", [ANOTHER, None])
def test_what_a_lab_of_the_same_name_has_brought_stays(
    taken: Settings, identity: str | None
) -> None:
    bring(taken, identity=identity)
    assert brought(taken.for_machine) == {}
    assert lab_namespaces(taken.for_machine) == []
    assert leave(taken) == []


def test_of_a_mixture_only_the_labs_own_goes(taken: Settings) -> None:
    say(taken, "namespaces", listing(of_seat("ada-develop"), of_seat("bob-develop", ANOTHER)))
    roles = [namespace("mine"), namespace("theirs", identity=ANOTHER)]
    say(taken, "clusterroles", listing(*roles))
    assert brought(taken.for_machine) == {"namespaces": ["ada-develop"], "clusterroles": ["mine"]}


def test_where_nothing_was_made_yet_the_kubeconfig_goes_all_the_same(taken: Settings) -> None:
    assert brought(taken.for_machine) == {}
    assert is_taken_on(taken.for_machine)
    assert leave(taken) == []
    assert not is_taken_on(taken.for_machine)


def test_before_the_context_is_taken_no_node_is_known(settings: Settings) -> None:
    assert unproven(settings) is None


def test_every_node_that_takes_pods_is_asked_once(taken: Settings) -> None:
    assert unproven(taken) == ["one", "two"]
    probe(taken)
    assert unproven(taken) == []
    applied = Path(taken.bin_dir, "applied").read_text()
    assert "nodeName" in applied
    assert '"off"' not in applied
    say(taken, "nodes", listing(node("one"), node("two"), node("three")))
    assert unproven(taken) == ["three"]
    say(taken, "pods", listing(*answered(0)))
    probe(taken)
    assert unproven(taken) == []
    # A node that was gone and is back may be another one.
    say(taken, "nodes", listing(node("two"), node("four")))
    say(taken, "pods", listing(*answered(0)))
    probe(taken)
    say(taken, "nodes", listing(node("one"), node("two")))
    assert unproven(taken) == ["one"]


def test_other_images_are_asked_for_before_anything_is_made_of_them(taken: Settings) -> None:
    probe(taken)
    say(taken, "flux-manifests", "".join(f"    image: {image}.1\n" for image in IMAGES))
    assert unproven(taken) == ["one", "two"]
    # Without the command, it is not known which images they are.
    Path(taken.bin_dir, "flux").unlink()
    assert unproven(taken) is None


def test_the_same_name_in_another_cluster_is_another_node(taken: Settings) -> None:
    probe(taken)
    say(taken, "oldest", json.dumps({"metadata": {"uid": "another"}}))
    assert unproven(taken) == ["one", "two"]
    say(taken, "pods", listing(*answered(0), unanswered(1)))
    with pytest.raises(LabError, match="on two, pods do not reach"):
        probe(taken)


def test_what_a_node_lacks_is_refused_until_it_is_accepted(taken: Settings) -> None:
    say(taken, "pods", listing(*answered(0), unanswered(1)))
    with pytest.raises(
        LabError, match=r"on two, .* \(it does not answer in time\): .*; `accept: \[git\]`"
    ):
        probe(taken)
    # The node is asked again, since somebody may have repaired it.
    assert unproven(taken) == ["one", "two"]
    probe(taken, "git")
    assert unproven(taken, "git") == []
    assert unproven(taken) == ["two"]


def test_pods_whose_time_is_over_are_not_taken_for_proof(
    taken: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "_STARTED_S", 0)
    say(taken, "pods", listing(*answered(0)))
    with pytest.raises(LabError, match="on two, Flux's images are not there in time"):
        probe(taken)


def test_the_probes_namespace_is_gone_whatever_happens(taken: Settings) -> None:
    say(taken, "refusing", REFUSING)
    with pytest.raises(LabError, match="an admission policy of the cluster refuses it"):
        probe(taken)
    assert [" ".join(call.split()[2:]) for call in calls(taken, "delete")] == [
        "delete namespace sops-lab-probe-lab --ignore-not-found --wait=false"
    ]


def test_what_a_killed_run_left_is_removed_first(taken: Settings) -> None:
    say(taken, "probe", json.dumps(namespace("sops-lab-probe-lab")))
    probe(taken)
    first, last = calls(taken, "delete")
    assert "--wait=false" not in first
    assert "--wait=false" in last
    said = Path(taken.bin_dir, "calls").read_text()
    assert said.index(first) < said.index(" apply ")


def test_a_namespace_of_somebody_else_is_left_alone(taken: Settings) -> None:
    say(taken, "probe", json.dumps(namespace("sops-lab-probe-lab", "other")))
    with pytest.raises(LabError, match="is not this lab's"):
        probe(taken)
    assert calls(taken, "delete") == []


def status(settings: Settings, **changes: Any) -> Part:
    return _existing(settings.model_copy(update=changes))


def test_status_shows_what_the_cluster_lacks_and_what_is_accepted(
    taken: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tuple(replace(NODE, name=name) for name in ("one", "two"))
    monkeypatch.setattr(parts, "cluster_traits", lambda *_: replace(FIT, nodes=there))
    probe(taken)
    assert status(taken) == Part("cluster", True, "fit for the lab", "context prod")
    say(taken, "oldest", json.dumps({"metadata": {"uid": "another"}}))
    say(taken, "pods", listing(*answered(0), unanswered(1)))
    probe(taken, "git")
    shown = status(taken, accept=("git",))
    assert shown.up
    assert shown.state.startswith("accepted: on two, pods do not reach the Git server")
    shown = status(taken)
    assert not shown.up
    assert shown.state.startswith("on two, pods do not reach the Git server")
    # A node that is gone does not count.
    monkeypatch.setattr(parts, "cluster_traits", lambda *_: replace(FIT, nodes=there[:1]))
    assert status(taken).up
    Path(taken.lab_kubeconfig).unlink()
    assert status(taken) == Part("cluster", False, "not there", "context prod")


BROUGHT = ["develop", "flux-system", "sops-lab-probe-lab", "ada-develop", "lab-ada-sys"]
ALL_BROUGHT = {
    "namespaces": BROUGHT,
    **{kind: [f"one-of-{kind}"] for kind in (*WITHOUT_NAMESPACE, REQUESTS)},
}


def of_seat(name: str, identity: str | None = ID) -> dict[str, Any]:
    found = namespace(name, identity=identity)
    found["metadata"]["labels"]["sops-lab/seat"] = "ada"
    return found


def bring(settings: Settings, identity: str | None = ID) -> None:
    """Make the cluster hold everything that a lab with a class brings."""
    spaces = [
        *(namespace(name, identity=identity) for name in BROUGHT[:3]),
        *(of_seat(name, identity) for name in BROUGHT[3:]),
    ]
    say(settings, "namespaces", listing(*spaces))
    say(settings, "of-flux", listing(of_flux("flux-system", 0), of_flux("ada-develop", 1)))
    for kind in (*WITHOUT_NAMESPACE, REQUESTS):
        found = namespace(f"one-of-{kind}", identity=identity)
        if kind == REQUESTS:
            found["metadata"]["labels"]["sops-lab/lab"] = "lab"
        say(settings, kind, listing(found))


def leave(settings: Settings) -> list[str]:
    """Make the lab leave the cluster; return the calls that changed something."""
    Path(settings.bin_dir, "calls").unlink(missing_ok=True)
    existing.leave(settings.for_machine)
    lines = Path(settings.bin_dir, "calls").read_text().splitlines()
    return [call for call in lines if {"patch", "delete", "uninstall"} & set(call.split())]


def test_flux_leaves_before_its_controllers_do_and_policies_last(settings: Settings) -> None:
    assert brought(settings.for_machine) == {}
    has_id(settings)
    take_on(settings)
    assert brought(settings.for_machine) == {}
    assert lab_namespaces(settings.for_machine) == []
    probe(settings)
    bring(settings)
    assert brought(settings.for_machine) == ALL_BROUGHT
    assert [call.partition(" delete ")[2].partition(" --")[0] or call for call in leave(settings)][
        1:
    ] == [
        "kustomizations.kustomize.toolkit.fluxcd.io",
        "receivers.notification.toolkit.fluxcd.io",
        "gitrepositories.source.toolkit.fluxcd.io",
        "uninstall --silent --keep-namespace --context prod",
        "namespace develop flux-system sops-lab-probe-lab ada-develop lab-ada-sys",
        *(f"{kind} one-of-{kind}" for kind in (*WITHOUT_NAMESPACE, REQUESTS)),
    ]
    assert not Path(settings.lab_kubeconfig).exists()
    assert not Path(settings.reach_file).exists()
    assert len(calls(settings, "namespaces")) == 1


@pytest.mark.parametrize(
    ("count", "listed"),
    [(1, r"them: GitRepository theirs/source-0\. "), (40, "them: .* theirs/source-0, .* more")],
)
def test_flux_stays_with_all_else_while_others_use_its_kinds(
    taken: Settings, count: int, listed: str
) -> None:
    bring(taken)
    theirs = [of_flux("theirs", number) for number in range(count)]
    say(taken, "of-flux", listing(of_flux("ada-develop", 0), *theirs))
    with pytest.raises(LabError, match=listed):
        leave(taken)
    made = Path(taken.bin_dir, "calls").read_text().splitlines()
    assert not [one for one in made if {"patch", "delete", "uninstall"} & set(one.split())]
    assert Path(taken.lab_kubeconfig).exists()


def test_others_are_looked_for_before_anything_is_removed(taken: Settings) -> None:
    def at_stake() -> list[str] | Trouble | None:
        return others_at_stake(taken.for_machine)

    theirs = listing(of_flux("flux-system", 0), of_flux("theirs", 1))
    say(taken, "of-flux", theirs)
    assert at_stake() == [], "this lab has no Flux there"
    bring(taken)
    assert at_stake() == []
    say(taken, "of-flux", theirs)
    assert at_stake() == ["GitRepository theirs/source-1"]
    # If they are not seen, nothing is removed either.
    Path(taken.bin_dir, "of-flux").unlink()
    assert at_stake() is None
    # Nor is a cluster taken for one without others if it does not say what the lab has there.
    refuse(taken, UNAUTHORIZED)
    assert at_stake() is Trouble.DENIED
    refuse(taken, "Unable to connect to the server: dial tcp 192.0.2.1:6443: i/o timeout")
    assert at_stake() is None


KIND = "gitrepositories.source.toolkit.fluxcd.io"


def test_a_flux_whose_namespace_is_gone_goes_with_its_kinds(taken: Settings) -> None:
    bring(taken)
    say(taken, "namespaces", listing(of_seat("ada-develop")))
    say(taken, "customresourcedefinitions", listing(namespace(KIND)))
    say(taken, "of-flux", listing(of_flux("ada-develop", 1)))
    done = leave(taken)
    # What holds objects in the namespaces of seats is let go before those are deleted.
    names = ("uninstall ", " delete namespace ada-develop ", f" customresourcedefinitions {KIND} ")
    places = [next(n for n, call in enumerate(done) if name in call) for name in names]
    assert places == sorted(places)
    assert not Path(taken.lab_kubeconfig).exists()


def test_others_keep_a_flux_whose_namespace_is_gone(taken: Settings) -> None:
    say(taken, "customresourcedefinitions", listing(namespace(KIND)))
    say(taken, "of-flux", listing(of_flux("theirs", 0)))
    assert others_at_stake(taken.for_machine) == ["GitRepository theirs/source-0"]
    with pytest.raises(LabError, match="theirs/source-0"):
        leave(taken)
    say(taken, "customresourcedefinitions", listing(namespace(KIND, identity=ANOTHER)))
    assert others_at_stake(taken.for_machine) == []
    assert leave(taken) == []


def of_flux_itself(name: str) -> dict[str, Any]:
    found = namespace(name)
    found["metadata"]["labels"]["app.kubernetes.io/part-of"] = "flux"
    return found


@pytest.fixture
def bereft(taken: Settings) -> Settings:
    """A class whose `flux-system` was deleted by hand, with what is left of its Flux."""
    bring(taken)
    say(taken, "namespaces", listing(of_seat("ada-develop"), of_seat("lab-ada-sys")))
    say(taken, "customresourcedefinitions", listing(of_flux_itself(KIND)))
    say(taken, "clusterroles", listing(of_flux_itself("crd-controller"), namespace("learner")))
    say(taken, "clusterrolebindings", listing(of_flux_itself("cluster-reconciler")))
    return taken


def install_another(settings: Settings, where: str) -> None:
    """Make the cluster have somebody else's Flux in a namespace, which works with the kinds that
    are there."""
    say(settings, "deployments", f"{where}/source-controller {where}/kustomize-controller ")
    if where == "flux-system":
        say(settings, "flux-namespace", json.dumps({"metadata": {"name": where}}))


SHARED_ROLES = {"clusterroles": ["crd-controller"], "clusterrolebindings": ["cluster-reconciler"]}


@pytest.mark.parametrize("where", ["flux-system", "gitops"])
@pytest.mark.parametrize("used", [True, False])
def test_a_flux_that_has_taken_over_the_kinds_stays_whole(
    bereft: Settings, where: str, used: bool
) -> None:
    install_another(bereft, where)
    say(bereft, "of-flux", listing(*([of_flux(where, 0)] if used else [])))
    assert others_at_stake(bereft.for_machine) == []
    found = brought(bereft.for_machine)
    assert isinstance(found, dict)
    assert "customresourcedefinitions" not in found
    # The names of Flux's roles end in that of its namespace.
    own = {} if where == "flux-system" else SHARED_ROLES
    assert found["clusterroles"] == [*own.get("clusterroles", []), "learner"]
    assert found.get("clusterrolebindings") == own.get("clusterrolebindings")
    done = leave(bereft)
    assert [call.partition(" delete ")[2].partition(" --")[0] for call in done] == [
        "namespace ada-develop lab-ada-sys",
        *(
            f"{kind} {' '.join(found[kind])}"
            for kind in (*WITHOUT_NAMESPACE, REQUESTS)
            if kind in found
        ),
    ]
    assert not Path(bereft.lab_kubeconfig).exists()


def test_where_no_other_flux_is_what_is_left_of_the_labs_goes(bereft: Settings) -> None:
    # A learner may call a Deployment whatever they like.
    say(bereft, "deployments", "ada-develop/source-controller ")
    say(bereft, "of-flux", listing())
    done = leave(bereft)
    assert any(call.startswith("uninstall ") for call in done)
    assert any(f" delete customresourcedefinitions {KIND} " in call for call in done)


def test_whether_another_flux_is_there_is_not_guessed(bereft: Settings) -> None:
    Path(bereft.bin_dir, "deployments").unlink()
    assert brought(bereft.for_machine) is None
    with pytest.raises(LabError, match="does not answer"):
        leave(bereft)


def test_the_labs_flux_stays_while_another_one_works_with_its_kinds(taken: Settings) -> None:
    bring(taken)
    say(taken, "of-flux", listing())
    install_another(taken, "gitops")
    theirs = ["Deployment gitops/source-controller", "Deployment gitops/kustomize-controller"]
    assert others_at_stake(taken.for_machine) == theirs
    with pytest.raises(LabError, match=r"others use them: Deployment gitops/source-controller"):
        leave(taken)
    assert Path(taken.lab_kubeconfig).exists()


def test_what_another_flux_does_not_let_go_of_is_let_go(bereft: Settings) -> None:
    install_another(bereft, "gitops")
    held = {"deletionTimestamp": "2027-03-01T09:00:00Z", "finalizers": ["finalizers.fluxcd.io"]}
    ours, theirs = (
        {"metadata": {"namespace": where, "name": "apps", **held}}
        for where in ("lab-ada-sys", "gitops")
    )
    say(bereft, "kustomizations", listing(theirs, ours))
    say(bereft, "staying", "")
    (patched,) = [call for call in leave(bereft) if " patch " in call]
    assert " --namespace lab-ada-sys patch kustomizations." in patched


def test_without_kinds_of_flux_there_is_nothing_of_others(taken: Settings) -> None:
    bring(taken)
    Path(taken.bin_dir, "of-flux").unlink()
    say(taken, "definitions", "")
    assert any(call.startswith("uninstall ") for call in leave(taken))


def test_what_flux_does_not_take_out_goes_without_it(taken: Settings) -> None:
    bring(taken)
    say(taken, "refused", "kustomizations")
    done = leave(taken)
    assert any(call.startswith("uninstall ") for call in done)
    assert any(" delete namespace develop " in call for call in done)
    assert not Path(taken.lab_kubeconfig).exists()


@pytest.mark.parametrize("there", [True, False])
def test_only_controllers_that_are_there_are_waited_for(taken: Settings, there: bool) -> None:
    bring(taken)
    if not there:
        say(taken, "without-controllers", "")
    deleted = [call for call in leave(taken) if ".toolkit.fluxcd.io --all" in call]
    assert ["--wait=false" not in call for call in deleted] == [there] * 3


def context(name: str, address: str, login: str = "first") -> str:
    cluster = {"name": name, "cluster": {"server": f"https://{address}:6443"}}
    users = [{"name": name, "user": {"token": login}}]
    return json.dumps({"current-context": name, "clusters": [cluster], "users": users})


def test_a_lab_that_is_in_another_cluster_is_not_forgotten_there(taken: Settings) -> None:
    def left() -> FormerCluster | None:
        return left_behind(taken.for_machine, str(taken.kubeconfig))

    bring(taken)
    say(taken, "oldest-before", json.dumps({"metadata": {"uid": "former"}}))
    say(taken, "context", context("prod", "192.0.2.2"))
    assert left() is None
    Path(taken.lab_kubeconfig).write_text(context("before", "192.0.2.1"))
    assert left() == FormerCluster("https://192.0.2.1:6443")
    bring(taken, identity=ANOTHER)
    assert left() is None
    bring(taken)
    # The former context leads to the same cluster, at another address.
    say(taken, "oldest-before", json.dumps(namespace("kube-system")))
    assert left() is None
    # The former cluster is gone.
    Path(taken.bin_dir, "oldest-before").unlink()
    assert left() is None
    Path(taken.lab_kubeconfig).unlink()
    assert left() is None


def test_whether_both_contexts_lead_to_one_cluster_is_not_guessed(taken: Settings) -> None:
    bring(taken)
    say(taken, "context", context("prod", "192.0.2.2"))
    Path(taken.lab_kubeconfig).write_text(context("before", "192.0.2.1"))
    say(taken, "oldest-before", json.dumps({"metadata": {"uid": "former"}}))
    Path(taken.bin_dir, "oldest").unlink()
    with pytest.raises(Undecided):
        left_behind(taken.for_machine, str(taken.kubeconfig))


UNAUTHORIZED = "error: You must be logged in to the server (Unauthorized)"
FORMER = FormerCluster("https://192.0.2.1:6443", refuses=True)


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (UNAUTHORIZED, FORMER),
        (
            "Unable to connect to the server: getting credentials: exec: executable aws failed"
            " with exit code 255",
            FORMER,
        ),
        ("Error from server (ServiceUnavailable): the server is busy", FORMER),
        ("The connection to the server 192.0.2.1:6443 was refused - did you specify", None),
        ("Unable to connect to the server: dial tcp 192.0.2.1:6443: i/o timeout", None),
    ],
)
def test_a_former_cluster_that_answers_and_refuses_is_not_forgotten(
    taken: Settings, words: str, left: FormerCluster | None
) -> None:
    say(taken, "context", context("prod", "192.0.2.2"))
    Path(taken.lab_kubeconfig).write_text(context("before", "192.0.2.1"))
    refuse(taken, words)
    assert left_behind(taken.for_machine, str(taken.kubeconfig)) == left


def refuse(settings: Settings, words: str) -> None:
    """Make every cluster refuse whatever is asked, with these words."""
    view = '*" config view "*) cat "$(dirname "$0")/context" ;;'
    text = f'#!/bin/sh\ncase " $* " in\n{view}\n*) echo "{words}" >&2; exit 1 ;;\nesac\n'
    say(settings, "kubectl", text)


def test_down_has_another_login_of_the_same_cluster_alone(settings: Settings) -> None:
    def changed() -> bool:
        return has_other_login(settings.for_machine, str(settings.kubeconfig))

    say(settings, "context", context("prod", "192.0.2.1"))
    assert not changed()
    take_on(settings)
    assert not changed()
    say(settings, "context", context("prod", "192.0.2.1", "second"))
    assert changed()
    say(settings, "context", context("prod", "192.0.2.2", "second"))
    assert not changed()
    Path(settings.bin_dir, "context").unlink()
    assert not changed()


def test_what_a_silent_cluster_has_of_the_lab_is_not_taken_for_nothing(taken: Settings) -> None:
    bring(taken)
    say(taken, "kubectl", "#!/bin/sh\necho 'dial tcp 10.9.8.7:443: i/o timeout' >&2\nexit 1\n")
    assert brought(taken.for_machine) is None
    with pytest.raises(LabError, match="the cluster of the context prod does not answer"):
        existing.leave(taken.for_machine)
    assert Path(taken.lab_kubeconfig).exists()


@pytest.mark.parametrize(
    ("words", "trouble"),
    [
        (UNAUTHORIZED, Trouble.DENIED),
        ("Error from server (Forbidden): clusterroles is forbidden", Trouble.DENIED),
        ("Error from server (ServiceUnavailable): the server is busy", Trouble.UNWELL),
    ],
)
def test_a_cluster_that_answers_and_refuses_is_not_taken_for_silent(
    taken: Settings, words: str, trouble: Trouble
) -> None:
    bring(taken)
    say(taken, "kubectl", f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    assert brought(taken.for_machine) is trouble
    with pytest.raises(LabError, match=trouble.value):
        existing.leave(taken.for_machine)
    assert Path(taken.lab_kubeconfig).exists()


def test_a_namespace_that_the_lab_did_not_bring_stays(taken: Settings) -> None:
    # The namespace with the repositories is the lab's own, but is not removed with the lab.
    say(taken, "namespaces", listing(namespace("flux-system"), namespace("repositories")))
    done = leave(taken)
    assert any(" kustomizations." in call for call in done)
    (deleted,) = [call for call in done if " namespace " in call]
    assert " delete namespace flux-system --" in deleted


def test_where_only_a_probe_was_cut_short_flux_is_not_looked_for(taken: Settings) -> None:
    say(taken, "namespaces", listing(namespace("sops-lab-probe-lab")))
    (deleted,) = leave(taken)
    assert " sops-lab-probe-lab " in deleted


def test_policies_that_outlived_a_killed_run_are_found_and_go(taken: Settings) -> None:
    say(taken, "clusterroles", listing(namespace("sops-lab-learner")))
    (deleted,) = leave(taken)
    assert " delete clusterroles sops-lab-learner " in deleted


def test_a_kind_that_a_cluster_does_not_know_is_not_missed(taken: Settings) -> None:
    bring(taken)
    Path(taken.bin_dir, "validatingadmissionpolicies").unlink()
    found = brought(taken.for_machine)
    assert isinstance(found, dict)
    assert found.keys() == {"namespaces", *WITHOUT_NAMESPACE, REQUESTS} - {
        "validatingadmissionpolicies"
    }


def test_a_namespace_that_stays_is_named_with_what_holds_it(
    taken: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(taken)
    monkeypatch.setattr(existing, "_GOING_S", -20)
    remaining = "finalizers remaining: example.com/x in 1 resource instances"
    held = of_seat("ada-develop")
    held["status"] = {"conditions": [{"status": "True", "message": f"Some have {remaining}"}]}
    say(taken, "staying", json.dumps(held))
    with pytest.raises(LabError, match=r"namespace ada-develop is being deleted.*example\.com/x"):
        existing.leave(taken.for_machine)
    assert Path(taken.lab_kubeconfig).exists()


def test_where_api_servers_listen_is_told_by_the_cluster(settings: Settings) -> None:
    assert api_servers(settings.for_machine) == ApiServers()
    take_on(settings)
    ports = [{"port": 6443}, {"port": 443}]
    ends = [{"addresses": ["192.0.2.2"]}, {"addresses": ["192.0.2.1"]}]
    slices = (
        {"ports": ports, "endpoints": ends},
        {"ports": ports[:1], "endpoints": ends[:1]},
        {"ports": None, "endpoints": None},
    )
    say(settings, "endpointslices", listing(*slices))
    found = api_servers(settings.for_machine)
    assert found == ApiServers(("192.0.2.1", "192.0.2.2"), (443, 6443))
    say(settings, "endpointslices", listing())
    assert api_servers(settings.for_machine) is None
    Path(settings.bin_dir, "endpointslices").unlink()
    assert api_servers(settings.for_machine) is None


def test_a_record_that_is_damaged_proves_nothing(taken: Settings) -> None:
    probe(taken)
    Path(taken.reach_file).write_text("[{")
    assert unproven(taken) == ["one", "two"]


# What only a class asks


@pytest.fixture
def classroom(taken: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A cluster of two nodes that enforces network policies and admission."""
    monkeypatch.setattr(probes, "_REFUSED_S", 0)
    monkeypatch.setattr(probes, "_TRIED_S", 0)
    say(taken, "pods", listing(*answered(0, 1), *tried()))
    return taken


def tried(shut: dict[str, Any] = DROPPED) -> list[dict[str, Any]]:
    """Return the pods that try network policies on two nodes.

    + shut: how a pod ends that asks the closed pod on the first node
    """
    found = []
    for one in trials(["one", "two"], ["one", "two"]):
        number = one.number
        heard = {f"open-{number}": THROUGH, f"shut-{number}": shut if number == 0 else DROPPED}
        out = {f"open-{number}": DROPPED, f"open-{1 - number}": DROPPED}
        found += asking({f"near-{number}": heard, f"far-{number}": heard, f"out-{number}": out})
        found += listening(f"open-{number}", f"shut-{number}").values()
    return found


def asks(settings: Settings, *accept: str) -> Questions | None:
    return open_questions(settings.for_machine, list(accept), ["ada"])


def probe_class(settings: Settings, *accept: str) -> None:
    probes.probe(settings.for_machine, list(accept), ["ada"])


ALL = Questions(("one", "two"), ("one", "two"), admission=True)


def test_a_class_asks_everything_at_once_and_once(classroom: Settings) -> None:
    assert asks(classroom) == ALL
    probe_class(classroom)
    assert asks(classroom) == Questions()
    assert unproven(classroom) == []
    assert calls(classroom, "create")
    # The probe leaves neither the policy nor anything else.
    (policy,) = [call for call in calls(classroom, "delete") if "policies" in call]
    assert "validatingadmissionpolicybindings,validatingadmissionpolicies sops-lab-probe" in policy
    Path(classroom.bin_dir, "calls").unlink()
    say(classroom, "nodes", listing(node("one"), node("two"), node("three")))
    assert asks(classroom) == Questions(("three",), ("three",))


def test_a_lab_that_becomes_a_class_asks_what_is_left(classroom: Settings) -> None:
    probe(classroom)
    assert not [call for call in calls(classroom, "create") if "dry-run" in call]
    applied = Path(classroom.bin_dir, "applied").read_text()
    assert "NetworkPolicy" not in applied
    assert "ValidatingAdmissionPolicy" not in applied
    assert asks(classroom) == Questions((), ALL.policies, admission=True)


def test_all_that_a_class_lacks_is_said_at_once(classroom: Settings) -> None:
    through = {**THROUGH["terminated"]}
    twice = container("shut-0", {"terminated": through}, count=1)
    say(classroom, "pods", listing(*answered(0), unanswered(1), *tried(twice)))
    say(classroom, "of-a-pod", "")
    say(classroom, "of-a-policy", REFUSING)
    with pytest.raises(LabError) as caught:
        probe_class(classroom)
    sentences = str(caught.value).splitlines()
    names = ("git", "network-policies", "pod-security", "admission-policies")
    assert [sentence.rpartition("accept: [")[2].partition("]")[0] for sentence in sentences] == [
        *names
    ]
    assert sentences[1].startswith("on one, network policies are not known to be enforced: a pod ")
    assert "a privileged pod is not refused" in sentences[2]
    assert "forbids is refused for another reason (an admission policy" in sentences[3]
    assert asks(classroom) == ALL
    probe_class(classroom, *names)
    assert asks(classroom, *names) == Questions()
    assert asks(classroom) == Questions(("two",), ("one",), admission=True)


def test_what_is_not_decided_in_time_is_not_taken_for_proof(
    classroom: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(classroom, "pods", listing(*answered(0, 1), *tried(RUNNING)))
    with pytest.raises(LabError, match=r"on one, network policies .* are not done in time"):
        probe_class(classroom)
    monkeypatch.setattr(probes, "_STARTED_S", 0)
    without = [one for one in tried() if one["metadata"]["name"] != "shut-1"]
    say(classroom, "pods", listing(*answered(0, 1), *without))
    with pytest.raises(LabError, match=r"on two, network policies .* are not done in time"):
        probe_class(classroom)


def test_a_class_shows_what_its_cluster_does_not_enforce(
    classroom: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tuple(replace(NODE, name=name, pods=9, cpu_m=900) for name in ("one", "two"))
    monkeypatch.setattr(parts, "cluster_traits", lambda *_: replace(FIT, nodes=there))
    say(classroom, "of-a-pod", "")
    probe_class(classroom, "pod-security")
    accepting = classroom.model_copy(update={"accept": ("pod-security",)})
    # A lab without a class does not need pod security.
    assert status(classroom) == Part("cluster", True, "fit for the lab", "context prod")
    assert accepted_lacks(accepting) == []
    Path(classroom.class_dir).mkdir(parents=True)
    ada = Enrolled(id="ada", name="Ada", email="ada@example.org")
    Path(classroom.class_dir, "roster.json").write_text(record_of([ada]))
    assert not status(classroom).up
    shown = _existing(accepting)
    assert shown.up
    assert shown.state.startswith("accepted: Pod Security is not known to be enforced:")
    assert accepted_lacks(accepting) == [shown.state.removeprefix("accepted: ")]
    assert accepted_lacks(classroom) == []


def test_a_record_of_an_older_form_proves_nothing(classroom: Settings) -> None:
    probe_class(classroom)
    record = Path(classroom.reach_file)
    known = json.loads(record.read_text())
    older = {key: known[key] for key in ("cluster", "images", "git")}
    older["nodes"] = {name: {"images": "", "git": ""} for name in known["nodes"]}
    record.write_text(json.dumps(older))
    assert asks(classroom) == ALL
