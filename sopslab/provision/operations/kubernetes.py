"""Operations on the objects of the lab's cluster."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.class_clusters import find_class_problems, whole_quotas
from sopslab.checks.clusters import accepted, find_problems, refused
from sopslab.checks.storage import find_storage_problems
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.files.seat_limits import seat_limits
from sopslab.lab.act import existing
from sopslab.lab.act import manifests as applying
from sopslab.lab.act import probes as act
from sopslab.lab.act import served_api as api
from sopslab.lab.observe.brought import left_behind
from sopslab.lab.observe.existing import (
    cluster_traits,
    has_context,
    has_other_login,
    open_questions,
)
from sopslab.lab.observe.folders import any_folder
from sopslab.lab.observe.manifests import ABSENT, manifest_drift
from sopslab.model.clusters import Questions
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.look import look, look_at_machine


@operation()
def preflight(settings: Settings, seats: list[str]) -> Commands:
    """
    Refuse an existing cluster that is not fit for a lab, and say everything that it lacks, before
    anything is made in it.

    + settings: the lab's settings, with `kubeconfig` and `context`; `accept` names what the lab
        does without, and `git_in_cluster` what the Git server needs there
    + seats: the ids of a class's seats, empty without a class; a class needs more of the cluster
    """
    traits = look(settings, cluster_traits, kubeconfig=settings.kubeconfig or "", seats=seats)
    problems, accept = find_problems(traits), frozenset(settings.accept)
    if (git := settings.git_in_cluster) is not None:
        problems += find_storage_problems(traits, git.storage_class, git.size)
    if seats:
        limits = seat_limits()
        problems += find_class_problems(traits, limits)
        new, whole = traits.new_seats or 0, whole_quotas(traits, limits.quota)
        if whole is not None and whole < new:
            note(f"the nodes have room for the whole quota of {whole} of {new} new seats at once")
    if sentences := refused(problems, accept):
        yield refusal("\n".join(sentences))
        return
    for sentence in accepted(problems, accept):
        note(f"accepted: {sentence}")
    host.noop("nothing speaks against this cluster")


@operation()
def kubeconfig(settings: Settings) -> Commands:
    """
    Write the lab's own kubeconfig for an existing cluster: one context of the user's file. Refuse a
    context of another cluster while the lab still has objects in its former cluster, or may have.

    + settings: the lab's settings, with `kubeconfig` and `context`
    """
    kubeconfig = settings.kubeconfig or ""
    if look(settings, has_context, kubeconfig=kubeconfig):
        host.noop("the lab's kubeconfig has that context")
        return
    if (former := look(settings, left_behind, kubeconfig=kubeconfig)) is not None:
        seen = ", which does not say what it still has of the lab" if former.refuses else ""
        login = ", log in" if former.refuses else ""
        yield refusal(
            f"the lab is in another cluster, at {former.address}{seen}: choose the context of that"
            f" one{login} and run `sopslab down` first, or remove {settings.lab_kubeconfig} if it"
            " is to be left there"
        )
        return
    yield acting(settings, existing.take_on, kubeconfig=kubeconfig)


@operation()
def login(settings: Settings) -> Commands:
    """
    Bring the lab's own kubeconfig up to date with its context in the user's file, if that context
    leads to the same cluster: a user who logs in again may get another token.

    + settings: the lab's settings, with `kubeconfig` and `context`
    """
    kubeconfig = settings.kubeconfig or ""
    if not look(settings, has_other_login, kubeconfig=kubeconfig):
        host.noop("the user's kubeconfig has no other login")
        return
    yield acting(settings, existing.take_on, kubeconfig=kubeconfig)


@operation()
def probes(settings: Settings, seats: list[str]) -> Commands:
    """
    Find out, with pods on each node of an existing cluster, whether Flux's images can be pulled and
    the Git server can be reached. For a class, also find out whether the isolation of seats is
    enforced.

    + settings: the lab's settings; `accept` names what the lab does without
    + seats: the ids of a class's seats, empty without a class
    """
    accept: list[str] = list(settings.accept)
    if look(settings, open_questions, accept=accept, seats=seats) == Questions():
        host.noop("nothing is left to ask of this cluster")
        return
    yield acting(settings, act.probe, accept=accept, seats=seats)


@operation()
def served_api(settings: Settings, pinned: str) -> Commands:
    """
    Save the cluster's description of its API on the host, unless the store has the pinned sources.
    The schemas of `sopslab validate` are made from one of the two.

    + settings: the lab's settings
    + pinned: the folder of the store with the pinned sources
    """
    if look_at_machine(any_folder, paths=[pinned, settings.served_api]):
        host.noop("the schemas can be made")
        return
    yield acting(settings, api.keep, folder=settings.served_api)


@operation()
def manifests(settings: Settings, path: str) -> Commands:
    """
    Apply manifests to the cluster, and name the objects that differed.

    + settings: the lab's settings
    + path: the file of manifests on the host
    """
    drift = look(settings, manifest_drift, path=path)
    if not drift:
        host.noop("the cluster is as the manifests say")
        return
    for item in drift:
        if item != ABSENT:
            note(f"differed: {item}")
    yield acting(settings, applying.apply, path=path)
