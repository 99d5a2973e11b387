"""The deploy of a class on an existing cluster, and its removal, on a host that only answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sopslab.artifacts.catalog import pinned_catalog
from sopslab.config.enrolled import record_of
from sopslab.config.enrolment import enrol
from sopslab.config.environment import at_seat
from sopslab.config.places import FLUX, INSTRUCTOR
from sopslab.config.settings import Settings, load_settings
from sopslab.files.archive import digest
from sopslab.lab.observe.api_server import api_servers
from sopslab.lab.observe.brought import brought, others_at_stake
from sopslab.lab.observe.existing import lab_namespaces
from sopslab.lab.observe.git_pod import git_server_in
from sopslab.lab.observe.handouts import handed_out
from sopslab.lab.observe.host_secrets import secrets_drift
from sopslab.lab.observe.ownership import lab_id
from sopslab.layout import ENFORCER, PROJECT
from sopslab.model.accounts import Accounts
from sopslab.model.clusters import ApiServers
from sopslab.model.decryption import SecretDrift
from sopslab.model.events import Planned
from sopslab.model.git_pod import GitServerLeft, PodState
from sopslab.model.trouble import Trouble
from tasks.flux import overlays, platform_files
from tests.fake import Answers, Run, look_text
from tests.machines import Facts, bare, said
from tests.repositories import seats

DEPLOY, TEARDOWN = PROJECT / "deploy.py", PROJECT / "deploys" / "teardown.py"
ID = "0123456789abcdef"
API = ApiServers(("192.0.2.20", "2001:db8::20"), (443, 6443))
Data = Callable[..., dict[str, Any]]


@pytest.fixture
def data(lab_data: Data) -> dict[str, Any]:
    return lab_data(
        cluster_provider="existing",
        kubeconfig="/home/ada/.kube/config",
        context="prod",
        git_bind="192.0.2.10",
        seats=seats(2),
    )


@pytest.fixture
def settings(data: dict[str, Any]) -> Settings:
    return load_settings(data)


@pytest.fixture
def answers(settings: Settings) -> Answers:
    found = bare(settings)
    found[look_text(settings, api_servers)] = said(API)
    return found


def test_it_has_the_steps_of_any_class(data: dict[str, Any], answers: Answers) -> None:
    run = Run(DEPLOY, data, answers)
    assert not run.failed
    steps = list(dict.fromkeys(event.operation.step for event in run.ends))
    assert steps == [
        *("Host", "Format", "Artifacts", "Cluster", "Network", "Roster", "Git", "Keys"),
        *("Learners", "Platform", "Flux", "Canary", "Class"),
    ]
    assert not [command for command in run.commands if ".kind." in command]


def test_the_port_of_an_api_server_that_is_not_the_labs_may_be_taken(
    data: dict[str, Any], answers: Answers
) -> None:
    run = Run(DEPLOY, {**data, "api_port": 6443}, answers)
    assert not run.failed
    (asked,) = {command for command in run.commands if ".machine.listeners " in command}
    assert "8418" in asked and "6443" not in asked


def test_a_git_server_in_the_cluster_refuses_who_is_pruned_before_anything_is_archived(
    lab_data: Data, data: dict[str, Any]
) -> None:
    served = {"host": "git.example.org", "port": 30443, "service": "NodePort"}
    data = {**data, "registry": "registry.example/class", "git_in_cluster": served}
    enrolled = enrol(load_settings(data).seats, [], prune=False)
    data = {**data, "seats": seats(1), "prune": True}
    settings = load_settings(data)
    answers, facts = bare(settings), Facts(settings)
    answers |= {
        look_text(settings, api_servers): said(API),
        facts.users: said(Accounts(listed=(FLUX, INSTRUCTOR, "s0", "s1"))),
        facts.enrolled: said(record_of(enrolled.seats)),
        "…observe.registry.recorded_image": said("registry.example/class/git@sha256:0"),
        "…observe.git_pod.pod_state": said(PodState()),
        "…observe.git_pod.server_trouble": said("it is not there"),
    }
    run = Run(DEPLOY, data, answers)
    assert not run.failed
    acts = [command.partition("sopslab.lab act.")[2].partition(" ")[0] for command in run.commands]
    steps = ["accounts.lock", "git_pod.lay_out", "git_pod.await_server", "pruning.prune"]
    assert [one for one in acts if one in steps][:4] == steps


def test_what_is_laid_out_for_where_the_api_server_listens_stays(
    data: dict[str, Any], settings: Settings, answers: Answers
) -> None:
    laid_out = platform_files(settings, settings.seats, API, ID)
    files = {**laid_out, **overlays(settings, settings.seats, (), {}, ID)}
    answers[look_text(settings, lab_id)] = said(ID)
    mark = digest({path: file for path, file in files.items() if path != ENFORCER})
    recipe = pinned_catalog(settings.catalog).flux_recipe
    answers[Facts(settings).note] = said(f"{mark}-{recipe}")
    assert "Platform | Lay out the platform repository" in Run(DEPLOY, data, answers).unchanged


def test_a_cluster_that_does_not_say_where_ends_the_run_before_anything_is_laid_out(
    data: dict[str, Any], settings: Settings, answers: Answers
) -> None:
    answers[look_text(settings, api_servers)] = "null"
    run = Run(DEPLOY, data, answers.failing({"at which port": "refused"}))
    assert run.failed
    assert not [command for command in run.commands if "platform.lay_out" in command]


@pytest.mark.parametrize(("namespaces", "step"), [(["flux-system"], "Platform"), ([], "Flux")])
def test_access_is_issued_before_flux_hears_of_a_seat_where_there_is_one(
    namespaces: list[str],
    step: str,
    data: dict[str, Any],
    settings: Settings,
    answers: Answers,
) -> None:
    answers[look_text(settings, lab_namespaces)] = said(namespaces)
    planned = Run(DEPLOY, data, answers).events[0]
    assert isinstance(planned, Planned)
    steps = [one.step for one in planned.operations if one.label == "Issue the access of 2 seats"]
    assert steps == [step]


# What leads a learner into the cluster, and Flux to a seat.
TO_A_SEAT = (
    "issuers.choose", "host_secrets.give", "kubeconfigs.issue", "handouts.hand_out",
    "platform.lay_out",
)  # fmt: skip


@pytest.mark.parametrize("namespaces", [["flux-system"], []])
def test_what_keeps_seats_apart_is_probed_before_flux_hears_of_one(
    namespaces: list[str], data: dict[str, Any], settings: Settings, answers: Answers
) -> None:
    answers[look_text(settings, lab_namespaces)] = said(namespaces)
    answers[look_text(settings, secrets_drift, environments=list(map(at_seat, settings.seats)))] = (
        said({"s1": SecretDrift.ABSENT})
    )

    def done(run: Run) -> list[str]:
        steps = ("probes.probe", *TO_A_SEAT)
        return [name for line in run.commands for name in steps if f"act.{name}" in line]

    whole = done(Run(DEPLOY, data, answers))
    assert whole[0] == "probes.probe"
    assert whole.count("probes.probe") == 1
    assert {"issuers.choose", "host_secrets.give", "platform.lay_out"} <= set(whole)
    run = Run(DEPLOY, data, answers.failing({"act.probes.probe": "not enforced"}))
    assert run.failed
    assert done(run) == ["probes.probe"]


def with_git(lab_data: Data, purge: bool) -> dict[str, Any]:
    """Return the data of a class whose Git server is in the cluster."""
    return lab_data(
        cluster_provider="existing",
        kubeconfig="/home/ada/.kube/config",
        context="prod",
        registry="registry.example/class",
        git_in_cluster={"host": "git.example.org", "port": 30443, "service": "NodePort"},
        seats=seats(2),
        purge=purge,
    )


TAKEN_AWAY = ("handouts.withdraw", "git_pod.take_away", "existing.leave")


def taken_away(run: Run) -> list[str]:
    """Return what a run takes away, in order."""
    return [name for line in run.commands for name in TAKEN_AWAY if f"act.{name}" in line]


def going(data: dict[str, Any]) -> Answers:
    """Return the answers of a host whose lab on an existing cluster, with its Git server there, is
    to be taken down."""
    settings = load_settings(data)
    answers = bare(settings)
    kubeconfig = str(settings.kubeconfig)
    answers |= {
        look_text(settings, handed_out): said(["s0"]),
        look_text(settings, git_server_in, kubeconfig=kubeconfig): said(GitServerLeft(True, True)),
        look_text(settings, brought): said({"namespaces": ["flux-system"]}),
        look_text(settings, others_at_stake): said([]),
    }
    return answers


@pytest.mark.parametrize("purge", [True, False])
@pytest.mark.parametrize(
    ("others", "told"),
    [
        (["GitRepository theirs/source"], "GitRepository theirs/source"),
        (Trouble.DENIED, "so what this lab has brought there stays"),
        (None, "nothing would know what this lab has brought there"),
    ],
    ids=["there", "denied", "silent"],
)
def test_what_others_may_lose_is_seen_before_anything_is_taken_away(
    lab_data: Data, purge: bool, others: object, told: str
) -> None:
    data = with_git(lab_data, purge)
    answers = going(data)
    assert taken_away(Run(TEARDOWN, data, answers))[:3] == [*TAKEN_AWAY]
    answers[look_text(load_settings(data), others_at_stake)] = said(others)
    run = Run(TEARDOWN, data, answers.failing({told: "refused"}))
    # Without a purge, nothing goes that the next `up` would not make anew.
    refused = purge or isinstance(others, list)
    assert run.failed is refused
    if refused:
        assert run.changed == []
        assert taken_away(run) == []


@pytest.mark.parametrize(
    ("there", "changes"), [(said({"clusterroles": ["sops-lab-learner"]}), True), ("null", False)]
)
def test_on_the_way_back_the_cluster_is_left_if_it_answers(
    there: str, changes: bool, data: dict[str, Any], settings: Settings, answers: Answers
) -> None:
    answers[look_text(settings, brought)] = there
    run = Run(TEARDOWN, data, answers)
    assert not run.failed
    label = "Cluster | Take Flux and the environments out"
    assert (label in run.changed) is changes
    said_so = any("prod does not answer" in note for note in run.notes(label))
    assert said_so is not changes


@pytest.mark.parametrize("there", [True, False])
def test_a_git_server_goes_that_the_lab_file_no_longer_names(
    there: bool, data: dict[str, Any], settings: Settings, answers: Answers
) -> None:
    asked = look_text(settings, git_server_in, kubeconfig=str(settings.kubeconfig))
    answers[asked] = said(GitServerLeft(there, there))
    run = Run(TEARDOWN, data, answers)
    assert not run.failed
    assert ("Cluster | Take the Git server out" in run.changed) is there
