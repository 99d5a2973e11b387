"""The cluster, Flux in it, and the key with which Flux decrypts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sopslab.course.chapter import UP, Chapter
from sopslab.layout import (
    FLUX_NAMESPACE,
    KEY_ENTRY,
    KEY_SECRET,
    KUSTOMIZATION,
)
from sopslab.model.objects import Object, condition
from sopslab.model.results import Verdict, failed, passed
from sopslab.policy.recipients import CONFIG
from sopslab.policy.sops import short

# As flux/clusters/lab/flux-system/kustomization.yaml.j2 sets them.
LOCKDOWN: Mapping[str, Sequence[str]] = {
    "source-controller": ("--metrics-addr=0",),
    "kustomize-controller": (
        "--no-cross-namespace-refs=true",
        "--no-remote-bases=true",
        "--default-service-account=default",
        "--metrics-addr=0",
    ),
    "notification-controller": ("--no-cross-namespace-refs=true", "--metrics-addr=0"),
}


class Trouble(Enum):
    """Why a cluster cannot be asked, in the words of the sentence about it."""

    NO_KUBECONFIG = "there is no cluster of this lab on this machine yet"
    BAD_KUBECONFIG = "the lab's kubeconfig has no usable context for the cluster"
    REFUSED = "nobody answers where the cluster's API server should be"
    SILENT = "the cluster's API server does not answer in time"
    CERTIFICATE = "the cluster's certificate does not fit the lab's kubeconfig"
    DENIED = "the cluster refuses the credentials of the lab's kubeconfig"
    UNWELL = "the cluster's API server says that it is not ready"


@dataclass(frozen=True)
class Cluster:
    """Whether the API server answers, and the nodes if it does."""

    trouble: Trouble | None = None
    nodes: Sequence[Object] = ()


def judge_cluster(cluster: Cluster) -> Verdict:
    """Judge whether the cluster answers and its nodes are ready."""
    if cluster.trouble is not None:
        return failed(f"{cluster.trouble.value}.", UP)
    if not cluster.nodes:
        return failed("the cluster has no node.", UP)
    for node in cluster.nodes:
        ready = condition(node, "Ready")
        if ready.get("status") != "True":
            name = node["metadata"]["name"]
            reason = ready.get("reason", "nothing was reported")
            return failed(
                f"the node {name} is not ready ({reason}).", f"kubectl describe node {name}"
            )
    names = ", ".join(node["metadata"]["name"] for node in cluster.nodes)
    return passed(f"the API server answers; ready: {names}.")


@dataclass(frozen=True)
class Flux:
    """The objects of Flux in its namespace, by kind; None where the kind itself is unknown."""

    deployments: Sequence[Object] = ()
    repositories: Sequence[Object] | None = None
    kustomizations: Sequence[Object] | None = None
    receivers: Sequence[Object] | None = None


def judge_flux(flux: Flux, chapter: Chapter) -> Verdict:
    """Judge whether Flux runs, locked down, with nothing suspended and everything wired."""
    deployments = {named["metadata"]["name"]: named for named in flux.deployments}
    for name in LOCKDOWN:
        if name not in deployments:
            return failed(f"Flux is incomplete: {name} is missing in {FLUX_NAMESPACE}.", UP)
    if flux.repositories is None or flux.kustomizations is None or flux.receivers is None:
        return failed("Flux is incomplete: the cluster does not know all of its kinds.", UP)
    # A controller that does not start because of a flag is named by the flag.
    for name, flags in LOCKDOWN.items():
        missing = missing_flag(deployments[name], flags)
        if missing:
            return failed(f"{name} runs without the lockdown flag {missing}.", UP)
    for name in LOCKDOWN:
        if not is_available(deployments[name]):
            return failed(
                f"{name} is not available.",
                f"kubectl -n {FLUX_NAMESPACE} logs deployment/{name} --tail 20",
            )
    for kind, found in (
        ("source git", flux.repositories),
        ("kustomization", flux.kustomizations),
        ("receiver", flux.receivers),
    ):
        for one in found:
            if suspended := judge_suspended(one, kind):
                return suspended
    for problem in _wiring(flux.repositories, flux.kustomizations, chapter):
        return failed(problem, UP)
    return passed("the controllers run, locked down, and nothing is suspended.")


def judge_suspended(found: Object, kind: str) -> Verdict | None:
    """Return the verdict on an object that Flux was told to leave alone, None on any other.

    + kind: what the command `flux` calls it
    """
    if not found["spec"].get("suspend"):
        return None
    name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
    return failed(
        f"{found['kind']} {name} is suspended, so Flux does nothing with it.",
        f"flux --namespace {namespace} resume {kind} {name}",
    )


def missing_flag(deployment: Object, flags: Sequence[str]) -> str:
    """Return the first of `flags` that is not in force; the last setting of a flag counts."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    given: dict[str, str] = {}
    for argument in (containers[0].get("args") or []) if containers else []:
        name, equals, value = argument.partition("=")
        given[name] = value if equals else "true"
    for flag in flags:
        name, _, value = flag.partition("=")
        if given.get(name) != value:
            return flag
    return ""


def is_available(deployment: Object) -> bool:
    """Return whether a Deployment has a ready pod of its present form."""
    status = deployment.get("status", {})
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    # A rollout that hangs leaves the old pod, and with it `Available`.
    updated = status.get("updatedReplicas", 0) == deployment["spec"].get("replicas", 1) > 0
    return current and updated and condition(deployment, "Available").get("status") == "True"


def _wiring(
    repositories: Sequence[Object], kustomizations: Sequence[Object], chapter: Chapter
) -> Iterator[str]:
    if chapter.source not in {one["metadata"]["name"] for one in repositories}:
        yield f"Flux has no GitRepository {chapter.source}, so it reads nothing of yours."
    by_name = {one["metadata"]["name"]: one["spec"] for one in kustomizations}
    if KUSTOMIZATION not in by_name:
        yield f"Flux has no Kustomization {KUSTOMIZATION}, so it applies nothing of yours."
        return
    spec = by_name[KUSTOMIZATION]
    decryption = spec.get("decryption") or {}
    if decryption.get("provider") != "sops":
        yield f"the Kustomization {KUSTOMIZATION} has no spec.decryption, so Flux decrypts nothing."
    if (decryption.get("secretRef") or {}).get("name") != KEY_SECRET:
        yield f"the Kustomization {KUSTOMIZATION} does not decrypt with {KEY_SECRET}."
    if str(spec.get("path", "")).strip("./") != chapter.folder:
        yield f"the Kustomization {KUSTOMIZATION} does not look at {chapter.folder}."
    if spec.get("sourceRef", {}).get("name") != chapter.source:
        yield f"the Kustomization {KUSTOMIZATION} does not read the GitRepository {chapter.source}."
    if spec.get("serviceAccountName") != KUSTOMIZATION:
        yield f"the Kustomization {KUSTOMIZATION} does not act as the ServiceAccount of that name."


# What Flux says while a build waits for its turn, or has it: there is one at a time for everybody.
_BUILDING = re.compile(r"Building manifests for revision \S+@sha1:([0-9a-f]{40,64}) ")
HELD_S = 10
"""A build that takes longer is no ordinary one, and those that wait for it are told so."""


@dataclass(frozen=True)
class Build:
    """A build that has not ended: of which commit, and since when."""

    commit: str
    since: datetime

    def age(self, now: datetime) -> float:
        """Return for how many seconds it has not ended."""
        return (now - self.since).total_seconds()


def build_of(told: Mapping[str, Any]) -> Build | None:
    """Return the build that a condition `Reconciling` tells of, None if none is under way.

    A build that failed leaves its message there, with the reason `ProgressingWithRetry`.
    """
    found = _BUILDING.match(str(told.get("message", "")))
    if found is None or told.get("reason") != "Progressing":
        return None
    since = str(told["lastTransitionTime"])
    begun = datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return Build(found[1], begun)


@dataclass(frozen=True)
class Identity:
    """A key file of the store: its public key, or what keeps it from being used and the fix."""

    recipient: str | None = None
    problem: str = ""
    fix: str = ""


class Entry(Enum):
    """Why an entry of sops-age gives no key."""

    EMPTY = "is empty"
    INVALID = "holds no valid age identity"


@dataclass(frozen=True)
class ClusterKey:
    """The Secret sops-age: for each entry the public keys in it, or why there are none."""

    present: bool
    entries: Mapping[str, frozenset[str] | Entry] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """What .sops.yaml says of the chapter's file: for whom, None without a rule that matches."""

    there: bool
    recipients: frozenset[str] | None = None


@dataclass(frozen=True)
class Keys:
    """Everything that has to be one key."""

    learner: Identity
    instructor: Identity
    cluster: ClusterKey
    rule: Rule


def judge_key(keys: Keys, chapter: Chapter) -> Verdict:
    """Judge whether the key file, the cluster and .sops.yaml belong together."""
    own = keys.learner.recipient
    if own is None:
        return failed(f"the key file {keys.learner.problem}.", keys.learner.fix)
    problem = _entry_problem(keys.cluster, chapter)
    if problem:
        return failed(problem, chapter.setup)
    entries = [held for held in keys.cluster.entries.values() if not isinstance(held, Entry)]
    in_cluster = frozenset[str]().union(*entries)
    if own not in in_cluster:
        return failed(
            f"the cluster's key is {listed(in_cluster)}, but files are encrypted to {short(own)}:"
            " Flux cannot decrypt them.",
            chapter.setup,
        )
    restore = chapter.restore(CONFIG)
    if not keys.rule.there:
        return failed(f"{CONFIG} is missing, so sops does not know for whom to encrypt.", restore)
    if keys.rule.recipients is None:
        return failed(f"no creation rule of {CONFIG} matches {chapter.file}.", restore)
    if own not in keys.rule.recipients:
        named = listed(keys.rule.recipients)
        return failed(f"{CONFIG} encrypts to {named}, but the key is {short(own)}.", restore)
    instructor = keys.instructor.recipient
    if instructor is None:
        return failed(f"the instructor's key file {keys.instructor.problem}.", keys.instructor.fix)
    if instructor not in keys.rule.recipients:
        return failed(
            f"{CONFIG} leaves out the instructor ({short(instructor)}), who could not help with a"
            " lost key.",
            restore,
        )
    strangers = keys.rule.recipients - {own, instructor}
    if strangers:
        return failed(f"{CONFIG} also encrypts to {listed(strangers)}, who is unknown.", restore)
    return passed(f"the key file, {KEY_SECRET} in the cluster and {CONFIG} agree on {short(own)}.")


def _entry_problem(key: ClusterKey, chapter: Chapter) -> str:
    if not key.present:
        return f"Flux has no key: there is no Secret {KEY_SECRET} in {chapter.system}."
    # Flux reads every entry with this ending, and gives up if one of them cannot be parsed.
    read = {name: held for name, held in key.entries.items() if name.endswith(".agekey")}
    if not read:
        names = ", ".join(sorted(key.entries)) or "none"
        return (
            f"{KEY_SECRET} has no entry that ends in .agekey, as {KEY_ENTRY} does (it has:"
            f" {names}), so Flux finds no key in it."
        )
    for name, held in sorted(read.items()):
        if isinstance(held, Entry):
            return f"the entry {name} of {KEY_SECRET} {held.value}."
    return ""


def listed(recipients: frozenset[str]) -> str:
    """Return public keys in words."""
    return ", ".join(short(name) for name in sorted(recipients)) or "nobody"
