"""The whole deploys on a host that only answers: what is run on a bare, a complete and a drifted
machine, in which order, and what is said about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import FactBase
from pyinfra.context import ctx_host

from sopslab.artifacts.catalog import pinned_catalog
from sopslab.checks.snapshot import ClusterKey
from sopslab.checks.takeover import FORMAT
from sopslab.config.naming import bridge_name, git_server_name, network_name, node_name
from sopslab.config.places import FLUX, INSTRUCTOR
from sopslab.config.settings import Settings, load_settings
from sopslab.errors import Exit
from sopslab.lab.beginning import sudo_state
from sopslab.lab.observe.brought import brought, others_at_stake
from sopslab.lab.observe.docker import lab_networks
from sopslab.lab.observe.git_pod import git_server_in
from sopslab.lab.observe.machine import machine_state, recorded_value
from sopslab.layout import PROJECT
from sopslab.model.accounts import Accounts
from sopslab.model.decryption import SecretDrift
from sopslab.model.docker import Network
from sopslab.model.engine import EngineState, EngineTraits
from sopslab.model.events import Operation, Planned, Started
from sopslab.model.formats import Format
from sopslab.model.git_pod import GitServerLeft
from sopslab.model.identities import IdentityState
from sopslab.model.kind import ClusterState, Limits, Owner
from sopslab.model.repositories import LearnersClone
from sopslab.model.steps import Step
from sopslab.provision.operations import git
from tasks.git import server_configuration, server_programs
from tasks.host import LIMITS, sysctl_record
from tests.fake import REFUSAL, Answers, Run, fact_text, look_text, machine_look_text, order_of
from tests.machines import (
    MACHINE,
    STORE,
    Facts,
    bare,
    cluster,
    complete,
    container,
    filled_store,
    held,
    identity,
    machine,
    rules,
    said,
)
from tests.marks import partly_soak
from tests.texts import replaced

LOST = IdentityState(recorded="age1learner")
MARK = re.compile(r"sops-lab\.config=([0-9a-f]{64})")
# An operation refuses by a command that fails on the host.
REFUSALS = {REFUSAL: "refused"}
DEPLOY, TEARDOWN = PROJECT / "deploy.py", PROJECT / "deploys" / "teardown.py"
Data = Callable[..., dict[str, Any]]


Finished = tuple[Settings, Answers]


@pytest.fixture
def finished(lab_data: Data) -> Finished:
    """Return the settings of a lab, and the answers of a machine on which the lab is complete."""
    data = lab_data()
    settings = load_settings(data)
    answers = complete(settings)
    # Only the deploy itself knows the label that the Git server should have.
    with ctx_host.use(_Host(answers)):
        (command,) = git.server._inner(
            settings=settings,
            image=pinned_catalog(settings.catalog).git_tag,
            configuration={**server_configuration(settings), **server_programs()},
        )
    (mark,) = MARK.findall(order_of(command)[1]["label"])
    answers[Facts(settings).server] = container(settings, mark)
    return settings, answers


class _Host:
    """Enough of a host to find out what one operation would do."""

    connector = None

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def get_fact(self, fact: type[FactBase[Any]], **arguments: Any) -> Any:
        return fact().process(self._answers[fact_text(fact, **arguments)].splitlines())


def test_a_bare_machine_gets_every_step_in_order(lab_data: Data) -> None:
    data = lab_data()
    run = Run(DEPLOY, data, bare(load_settings(data)))
    assert not run.failed
    steps = [event.operation.step for event in run.ends]
    assert list(dict.fromkeys(steps)) == [
        *("Host", "Format", "Artifacts", "Network", "Git", "Keys", "Learners", "Platform"),
        *("Cluster", "Flux", "Canary"),
    ]
    idle = {
        "Host | Check the lab's format",
        "Host | Check the ports",
        "Host | Forget who failed earlier",
        "Host | Sweep up after a killed run",
        "Format | Note how long the lab is to stay",
        "Host | Check the machine",
        # There is no Docker, and the test starts none.
        "Host | Check Docker",
        "Host | Check Docker as it runs",
        # Nothing is encrypted yet.
        "Learners | Encrypt to the instructor's recipient",
        # Nothing was stopped or suspended, and no fake cluster is coming up.
        "Network | Start a node that was stopped",
        "Canary | Resume what was suspended",
        "Flux | Have no build hold up the others",
        "Network | Shut strangers out of the cluster",
        "Network | Limit what pods take from the node",
    }
    assert {name for name in run.unchanged if not name.startswith("Artifacts | ")} == idle
    order = [name.split(" | ")[1] for name in run.changed]
    awaited = [
        *("Install what is missing", "Install Docker", "Start Docker", "Choose the source"),
        *("Link the tools", "Create the network sops-lab-lab", "Begin the kind cluster lab"),
        *("Make passwords", "Serve at http://127.0.0.1:8418", "Make the identities"),
        *("Fill the repository learner/lab", "Clone the learner's repository"),
        *("Lay out the platform repository", "Create the kind cluster lab"),
        *("Apply the controllers", "Give Flux its Secrets"),
        *("Apply the sources and Kustomizations", "Wait for Flux to decrypt lab-canary"),
    ]
    assert [name for name in order if name in awaited] == awaited


def test_for_containers_of_a_service_nothing_of_this_machine_is_changed(lab_data: Data) -> None:
    data = lab_data(docker_host="tcp://docker:2376")
    run = Run(DEPLOY, data, bare(load_settings(data)))
    names = {*run.changed, *run.unchanged}
    assert "Git | Serve at https://docker:8418" in names
    assert "Cluster | Create the kind cluster lab" in names
    assert [name for name in names if re.search("traffic|Raise|privileged", name)] == []


def test_no_step_on_a_bare_machine_refuses(lab_data: Data) -> None:
    data = lab_data()
    run = Run(DEPLOY, data, bare(load_settings(data)).failing(REFUSALS))
    assert not run.failed


def test_at_an_address_of_the_network_everything_is_tls(lab_data: Data) -> None:
    data = lab_data(git_bind="192.0.2.10")
    settings = load_settings(data)
    run = Run(DEPLOY, data, bare(settings))
    assert not run.failed
    order = [name.split(" | ")[1] for name in run.changed]
    awaited = [
        *("Make passwords", "Make the CA", "Certify the Git server"),
        *("Write the server's configuration", "Serve at https://192.0.2.10:8418"),
    ]
    assert [name for name in order if name in awaited] == awaited


def test_on_loopback_nothing_is_certified(lab_data: Data) -> None:
    data = lab_data()
    settings = load_settings(data)
    run = Run(DEPLOY, data, bare(settings))
    assert not run.failed
    assert "Git | Serve at http://127.0.0.1:8418" in run.changed
    assert not [name for name in run.changed + run.unchanged if "certif" in name.casefold()]
    assert not [one for one in run.given if settings.tls_dir in one.text]


def test_a_complete_machine_is_only_looked_at(finished: Finished, lab_data: Data) -> None:
    settings, answers = finished
    run = Run(DEPLOY, lab_data(), answers)
    assert run.changed == []
    assert not run.failed
    known = set(answers) - {STORE}
    unknown = [
        command for command in run.commands if command not in known and STORE[1:] not in command
    ]
    assert unknown == []
    assert len(run.unchanged) == len(run.ends) > 35
    assert Facts(settings).canary in run.commands


Drift = Callable[[Facts, Settings], dict[str, str]]
# What has drifted: the answer that shows it, the operations that change something, and the notes.
DRIFTS: dict[str, tuple[Drift, dict[str, list[str]]]] = {
    "a-deleted-key": (
        lambda f, s: {f.decryption: "", f.secrets: said({"learner": SecretDrift.ABSENT})},
        {"Flux | Give Flux its Secrets": []},
    ),
    "a-key-under-a-wrong-entry": (
        lambda f, s: {
            f.decryption: held(ClusterKey(True, {"key": frozenset({"age1learner"})})),
            f.secrets: said({"learner": SecretDrift.DIFFERS}),
        },
        {
            "Flux | Give Flux its Secrets": [
                "differed: learner",
                "learner: sops-age was unusable: it lacks the entry age.agekey (it has: key); "
                "Flux reads what ends in .agekey",
            ]
        },
    ),
    "a-lockdown-flag-removed": (
        lambda f, s: {f.components: '["apps.v1.Deployment.flux-system.kustomize-controller"]'},
        {
            "Flux | Apply the controllers": [
                "differed: apps.v1.Deployment.flux-system.kustomize-controller"
            ]
        },
    ),
    "a-deleted-namespace": (
        lambda f, s: {f.sync: '["v1.Namespace..develop"]'},
        {"Flux | Apply the sources and Kustomizations": ["differed: v1.Namespace..develop"]},
    ),
    "revoked-credentials": (
        lambda f, s: {f.secrets: said({"learner": SecretDrift.DIFFERS})},
        {"Flux | Give Flux its Secrets": ["differed: learner"]},
    ),
    "a-stopped-node": (
        lambda f, s: {f.cluster: cluster("exited")},
        {"Network | Start a node that was stopped": ["the node container was exited"]},
    ),
    "a-paused-node": (
        lambda f, s: {f.cluster: cluster("paused")},
        {"Network | Start a node that was stopped": ["the node container was paused"]},
    ),
    "a-right-of-strangers": (
        lambda f, s: {f.strangers: said(["ClusterRoleBinding kubeadm:node-autoapprove-bootstrap"])},
        {
            "Network | Shut strangers out of the cluster": [
                "taken out: ClusterRoleBinding kubeadm:node-autoapprove-bootstrap"
            ]
        },
    ),
    "pods-without-limits": (
        lambda f, s: {f.limits: said(Limits(pids=0, share=0))},
        {
            "Network | Limit what pods take from the node": [
                "a pod might have any number of processes",
            ]
        },
    ),
    "a-half-made-cluster": (
        lambda f, s: {f.cluster: cluster(complete=False)},
        {
            "Network | Begin the kind cluster lab": ["the cluster was half-made and is made anew"],
            "Cluster | Create the kind cluster lab": ["the first attempt failed"],
        },
    ),
    "a-stopped-git-server": (
        lambda f, s: {f.server: container(s, running=False)},
        {"Git | Serve at http://127.0.0.1:8418": ["the Git server was stopped"]},
    ),
    "a-missing-user": (
        lambda f, s: {f.users: said(Accounts((FLUX, INSTRUCTOR)))},
        {"Git | Make passwords": ["passwords for learner"]},
    ),
    "an-older-policy": (
        lambda f, s: {f.policy: said("6" * 64)},
        {"Git | Deliver the policy of the pre-receive hook": []},
    ),
    "an-older-lab": (
        lambda f, s: {f.format: said(Format())},
        {
            "Format | Bring the lab to this format": [
                "format 0 becomes format 1: the lab's folder names its format; counts of accesses, "
                "which nothing reads, are removed",
                "from now on no older sops-lab changes the lab",
            ]
        },
    ),
    "a-lab-of-an-older-version": (
        lambda f, s: {f.format: said(Format(FORMAT, "0.0.1"))},
        {
            "Format | Bring the lab to this format": [
                "from now on no older sops-lab changes the lab"
            ]
        },
    ),
    "another-versions-node": (
        lambda f, s: {f.cluster: said(ClusterState(Owner.LAB, "running", True, image="older:1"))},
        {},
    ),
    "a-failure-of-an-earlier-verb": (
        lambda f, s: {f.failures: said({s.learner.id: "it would not go"})},
        {"Host | Forget who failed earlier": []},
    ),
    "leftovers-of-a-killed-run": (
        lambda f, s: {f.leftovers: said([f"{s.lab_dir}/.new.a1b2c3"])},
        {"Host | Sweep up after a killed run": []},
    ),
    "lost-firewall-rules": (
        lambda f, s: {f.rules: "-N DOCKER-USER"},
        {"Network | Keep the network's traffic on this machine": []},
    ),
    "a-removed-commit-hook": (
        lambda f, s: {f.work: said(LearnersClone(("hooks",)))},
        {"Learners | Clone the learner's repository": ["missing: hooks"]},
    ),
    "an-older-platform": (
        lambda f, s: {f.note: said("6" * 64)},
        {"Platform | Lay out the platform repository": []},
    ),
    "a-lost-canary": (
        lambda f, s: {f.canary: ""},
        {"Canary | Wait for Flux to decrypt lab-canary": []},
    ),
    "a-tool-removed": (
        lambda f, s: {
            STORE: said(replace(filled_store(s), links={})),
        },
        {"Artifacts | Link the tools": []},
    ),
}


# Each drift is repaired by an operation that repairs another drift here, or one on a real cluster.
LONG_TAIL = {
    *("a-key-under-a-wrong-entry", "a-lockdown-flag-removed", "a-deleted-namespace"),
    *("a-paused-node", "revoked-credentials", "an-older-platform"),
}


@pytest.mark.parametrize("drift", partly_soak(DRIFTS, LONG_TAIL))
def test_one_drift_changes_what_repairs_it_and_nothing_else(
    drift: str, finished: Finished, lab_data: Data
) -> None:
    cause, expected = DRIFTS[drift]
    settings, answers = finished
    answers.update(cause(Facts(settings), settings))
    run = Run(DEPLOY, lab_data(), answers)
    assert not run.failed
    assert run.changed == list(expected)
    for operation, notes in expected.items():
        assert run.notes(operation) == notes


# What must stop a run: the answer, the operation that refuses, and a part of its refusal.
STOPS: dict[str, tuple[Drift, str, str]] = {
    "a-newer-lab": (
        lambda f, s: {f.format: said(Format(FORMAT + 1, "9.1.0"))},
        "Host | Check the lab's format",
        f"the lab has format {FORMAT + 1}, given to it by sops-lab 9.1.0",
    ),
    "a-lab-of-a-newer-version": (
        lambda f, s: {f.format: said(Format(FORMAT, "9.1.0"))},
        "Host | Check the lab's format",
        "the lab was brought up by sops-lab 9.1.0",
    ),
    "a-foreign-cluster": (
        lambda f, s: {f.cluster: cluster(owner=Owner.FOREIGN)},
        "Network | Begin the kind cluster lab",
        "there is a kind cluster lab that this lab did not make; it is left alone",
    ),
    "another-key-in-the-cluster": (
        lambda f, s: {
            f.decryption: held(ClusterKey(True, {"age.agekey": frozenset({"age1other"})}))
        },
        "Keys | Make the identities",
        "the store has age1learner, the cluster has age1other",
    ),
    "a-lost-key": (
        lambda f, s: {
            f.identities: said({INSTRUCTOR: identity(INSTRUCTOR), "learner": LOST}),
            f.decryption: "",
        },
        "Keys | Make the identities",
        "is gone, and it was age1learner: restore it from your backup",
    ),
    "a-taken-port": (
        lambda f, s: {f.listeners: said({"8418": "another program"})},
        "Host | Check the ports",
        "port 8418 is taken by another program",
    ),
    "a-foreign-network": (
        lambda f, s: {f.network: said(Network({"sops-lab.root": "/other"}))},
        "Network | Create the network sops-lab-lab",
        "belongs to another lab (/other)",
    ),
    "docker-unsuitable": (
        lambda f, s: {f.engine: said(EngineState(answers=False, traits=EngineTraits(podman=True)))},
        "Host | Check Docker",
        "the lab needs Docker itself",
    ),
    "docker-without-its-chain": (
        lambda f, s: {f.rules: ""},
        "Host | Check Docker as it runs",
        "keeps neither a chain DOCKER-USER",
    ),
    "docker-forbidden": (
        lambda f, s: {f.engine: said(EngineState(answers=False, reason="forbidden"))},
        "Host | Start Docker",
        "Docker is running, but root may not use it",
    ),
}


@pytest.mark.parametrize("stop", STOPS)
def test_a_refusal_ends_the_run_before_anything_else_is_touched(
    stop: str, finished: Finished, lab_data: Data
) -> None:
    cause, operation, sentence = STOPS[stop]
    settings, answers = finished
    answers.update(cause(Facts(settings), settings))
    run = Run(DEPLOY, lab_data(), answers.failing(REFUSALS))
    assert run.failed
    assert run.changed == []
    assert sentence in run.commands[-1]
    assert isinstance(run.events[-1], Started) and str(run.events[-1].operation) == operation


def test_a_failed_command_ends_the_run_at_its_operation(lab_data: Data) -> None:
    data = lab_data()
    failures = {"act.packages.install": "E: unable to locate package"}
    run = Run(DEPLOY, data, bare(load_settings(data)).failing(failures))
    assert run.failed
    assert run.changed == []
    assert "act.packages.install" in run.commands[-1]


@pytest.mark.parametrize("purge", [False, True])
def test_nothing_is_taken_down_where_nothing_is(lab_data: Data, purge: bool) -> None:
    data = lab_data(purge=purge)
    run = Run(TEARDOWN, data, machine(load_settings(data)))
    assert run.changed == []
    assert not run.failed
    assert len(run.unchanged) == 7 + purge


def test_a_complete_lab_is_taken_down_and_what_cannot_be_made_anew_stays(
    finished: Finished, lab_data: Data
) -> None:
    settings, answers = finished
    instances, watches = LIMITS.values()
    raised = replace(MACHINE, inotify_instances=instances, inotify_watches=watches)
    answers[machine_look_text(machine_state, root="/", commands=[])] = said(raised)
    answers[machine_look_text(lab_networks)] = "[]"
    for key in LIMITS:
        answers[machine_look_text(recorded_value, path=sysctl_record(settings, key))] = '"64"'
    run = Run(TEARDOWN, lab_data(), answers)
    assert not run.failed
    assert run.changed == [
        "Cluster | Delete the kind cluster lab",
        "Git | Remove the Git server",
        "Host | Remove the network",
        "Host | Remove the network's firewall rules",
        *(f"Host | Restore {key}" for key in LIMITS),
    ]
    limits = [command for command in run.commands if "sops-lab 64 /proc/sys/" in command]
    assert len(limits) == len(LIMITS)


def test_on_the_way_back_from_another_machine_nothing_of_this_one_is_changed(
    lab_data: Data,
) -> None:
    """A lab on this machine, in the same root, may need what that Docker knows nothing of."""
    operations = planned(TEARDOWN, lab_data(docker_host="tcp://docker:2376"))
    labels = [operation.label for operation in operations]
    assert "Remove the network" in labels
    assert not [label for label in labels if re.search("firewall|Restore", label)]


def test_a_purge_comes_last(finished: Finished, lab_data: Data) -> None:
    _settings, answers = finished
    run = Run(TEARDOWN, lab_data(purge=True), answers)
    assert not run.failed
    assert run.changed[-1] == "Purge | Remove keys, Git data and clone"


def test_a_lab_that_needs_no_root_is_purged_without(lab_data: Data) -> None:
    data = lab_data(
        cluster_provider="existing", kubeconfig="/home/ada/config", context="c",
        git_url="https://git.example", git_username="ada", git_password="b", purge=True,
    )  # fmt: skip
    settings = load_settings(data)
    answers = machine(settings, replace(MACHINE, uid=1000, gid=1000, user="ada"))
    answers |= {
        machine_look_text(sudo_state): '"missing"',
        look_text(settings, git_server_in, kubeconfig="/home/ada/config"): said(GitServerLeft()),
        look_text(settings, others_at_stake): "[]",
        look_text(settings, brought): "{}",
        Facts(settings).data: "true",
    }
    run = Run(TEARDOWN, data, answers)
    assert not run.failed
    assert run.changed == ["Purge | Remove keys, Git data and clone"]


def test_a_half_made_lab_is_taken_down(finished: Finished, lab_data: Data) -> None:
    settings, answers = finished
    facts = Facts(settings)
    half = {name: answers[name] for name in (facts.network, facts.rules)}
    half[facts.cluster] = cluster("created", complete=False)
    run = Run(TEARDOWN, lab_data(), Answers({**machine(settings), **half}))
    assert not run.failed
    assert run.changed == [
        "Cluster | Delete the kind cluster lab",
        "Host | Remove the network",
        "Host | Remove the network's firewall rules",
    ]


def test_what_is_not_ours_is_not_taken_down(finished: Finished, lab_data: Data) -> None:
    settings, answers = finished
    facts = Facts(settings)
    name = network_name(settings.lab)
    answers[facts.cluster] = cluster(owner=Owner.FOREIGN)
    answers[facts.server] = replaced(container(settings), name, "bridge")
    answers[facts.network] = said(Network({"sops-lab.root": "/other"}))
    answers[facts.rules] = rules(load_settings(lab_data(lab="other")))
    run = Run(TEARDOWN, lab_data(), answers)
    assert not run.failed
    assert run.changed == []
    assert {
        "Cluster | Delete the kind cluster lab",
        "Git | Remove the Git server",
        "Host | Remove the network",
        "Host | Remove the network's firewall rules",
    } <= set(run.unchanged)
    assert {facts.cluster, facts.server, facts.network, facts.rules} <= set(run.commands)


@pytest.mark.parametrize("deploy", [DEPLOY, TEARDOWN], ids=["deploy", "teardown"])
def test_a_second_lab_touches_nothing_of_the_first(deploy: Path, lab_data: Data) -> None:
    first, data = load_settings(lab_data()), lab_data(lab="second", git_port=8419)
    second = load_settings(data)
    answers = complete(first)
    if deploy == TEARDOWN:
        answers |= complete(second)
    else:
        answers[Facts(second).rules] = rules(first)
    # The machine shows the rules and containers of the first lab to the second lab, which has none
    # yet.
    answers |= machine(second)
    answers[STORE] = said(filled_store(second))
    run = Run(deploy, data, Answers(answers))
    assert not run.failed
    assert run.changed
    names = {
        first.lab_dir,
        node_name(first.lab),
        git_server_name(first.lab),
        network_name(first.lab),
        bridge_name(first.lab),
        "127.0.0.1:8418",
    }
    touched = [
        (name, one)
        for name in names
        for one in run.given
        if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", one.text)
    ]
    assert touched == []


def test_secrets_are_in_no_command(lab_data: Data) -> None:
    data = lab_data(
        git_url="https://git.example", git_username="ada", git_password="hidden-password"
    )
    run = Run(DEPLOY, data, bare(load_settings(data)))
    assert "Git | Store the accounts" in run.changed
    # What pyinfra masks is hidden from a log, but not from `ps`.
    assert not [one for one in run.given if "hidden-password" in one.command]
    assert [one for one in run.given if "hidden-password" in one.stdin]


def planned(deploy: Path, data: dict[str, Any]) -> list[Operation]:
    """Return the operations of a deploy on a bare machine, in their order."""
    run = Run(deploy, data, bare(load_settings(data)))
    (plan,) = [event for event in run.events if isinstance(event, Planned)]
    return list(plan.operations)


def test_the_limits_that_kind_needs_are_raised_once_the_labs_network_is_there(
    lab_data: Data,
) -> None:
    """By its network, the `down` of another lab knows that the limits are needed."""
    names = [str(operation) for operation in planned(DEPLOY, lab_data())]
    network, *raised, cluster = [
        name for name in names if re.search("Create the network|Raise|Begin the kind", name)
    ]
    assert network == "Network | Create the network sops-lab-lab"
    assert raised == [f"Network | Raise {key}" for key in LIMITS]
    assert cluster == "Network | Begin the kind cluster lab"


def test_no_limit_is_raised_for_a_cluster_that_exists(lab_data: Data) -> None:
    data = lab_data(cluster_provider="existing", kubeconfig="/home/ada/config", context="c")
    labels = [operation.label for operation in planned(DEPLOY, data)]
    assert "Create the network sops-lab-lab" in labels
    assert not [label for label in labels if "Raise" in label]


@pytest.mark.parametrize("deploy", [DEPLOY, TEARDOWN], ids=["deploy", "teardown"])
@pytest.mark.parametrize("provider", ["kind", "existing"])
def test_every_step_has_an_exit_code(deploy: Path, provider: str, lab_data: Data) -> None:
    given = {"kubeconfig": "/home/ada/config", "context": "c"} if provider == "existing" else {}
    data = lab_data(cluster_provider=provider, purge=True, **given)
    steps = {operation.step for operation in planned(deploy, data)}
    assert Step.OTHER not in steps
    assert {step for step in steps if step.code is Exit.FAILED} <= {Step.PURGE}


def test_no_step_of_up_ends_as_if_nothing_had_been_begun(lab_data: Data) -> None:
    codes = {operation.step.code for operation in planned(DEPLOY, lab_data())}
    # After these, ci/lab.sh takes nothing down.
    assert codes & {Exit.INPUT, Exit.LOCKED, Exit.FORMAT} == set()
