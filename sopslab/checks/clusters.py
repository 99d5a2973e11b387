"""Whether an existing cluster is fit for a lab: one sentence for each thing that differs from what
the lab needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from sopslab.checks import git_pod
from sopslab.files.events import named
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.clusters import (
    Acceptable,
    Admission,
    ClusterNode,
    ClusterTraits,
    Flux,
    NodeReach,
    Problem,
    Reach,
)
from sopslab.model.rights import Right
from sopslab.model.words import counted

# What `flux check --pre` demands of a cluster, in Flux 2.9.
OLDEST_KUBERNETES = (1, 33)
# The architectures for which the controllers are published
# (https://fluxcd.io/flux/installation/).
_ARCHITECTURES = frozenset({"amd64", "arm64", "arm"})
# What each controller of Flux requests: thousandths of a processor, and MiB of memory.
REQUESTS = ((50, 64), (100, 64), (100, 64))
KEEP_OFF = "or keep pods off there by a taint"
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def find_problems(traits: ClusterTraits) -> list[Problem]:
    """Return what a cluster lacks, as far as this can be seen without starting a pod in it; empty
    if the cluster was not asked."""
    if not traits.asked:
        return []
    if traits.unseen:
        return [Problem(traits.unseen, "correct that, then run again")]
    return [
        *_flux(traits),
        *_namespaces(traits),
        *_rights(traits.denied),
        *_version(traits.version),
        *_nodes(traits),
    ]


def unsaid(traits: ClusterTraits, what: str, probe: Acceptable | None = None) -> Iterator[Problem]:
    """Yield a problem because a cluster does not tell something. Yield nothing if the user lacks
    rights, because the missing rights are reported instead.

    + what: what the cluster does not tell, in a clause
    + probe: the name by which `accept` lets a lab do without it, None if no lab can
    """
    if not traits.denied:
        yield Problem(f"the cluster does not say {what}", "run again", probe)


def _flux(traits: ClusterTraits) -> Iterator[Problem]:
    if traits.flux is None:
        yield from unsaid(traits, "whether it has a Flux")
    if traits.flux is Flux.FOREIGN:
        yield Problem(
            "the cluster has a Flux that this lab did not install; it is left alone",
            "choose another cluster",
        )
    if traits.flux is Flux.KINDS:
        yield Problem(
            "the cluster has Flux's kinds, without a label of this lab's and without the namespace"
            f" {FLUX_NAMESPACE}; they are left alone",
            "choose another cluster or, if no Flux runs there and these are left of this lab's,"
            " remove them (`flux uninstall`) and run again",
        )
    if traits.flux is Flux.NAMESAKE:
        yield Problem(
            "the cluster has the Flux of another lab of the same name; it is left alone",
            "choose another cluster or, if it is this lab, restore its backup (`sopslab restore`)",
        )


def _namespaces(traits: ClusterTraits) -> Iterator[Problem]:
    if traits.occupied is None:
        yield from unsaid(traits, "which namespaces it has")
    if traits.occupied:
        yield Problem(
            "the cluster has these namespaces, which this lab did not make:"
            f" {named(traits.occupied)}; they are left alone, since `sopslab down` would remove"
            " them with all that is in them",
            "choose another cluster, or remove those that are not needed yourself",
        )


def _rights(denied: Sequence[Right] | None) -> Iterator[Problem]:
    if denied is None:
        yield Problem(
            "the cluster does not say what the user of the context may do",
            "`kubectl auth can-i --list` has to answer",
        )
    elif denied:
        yield Problem(
            f"the user of the context may not {'; '.join(_in_words(denied))}",
            "have them bound to the roles in docs/clusters.md, or choose the context of another"
            " user",
        )


def _in_words(denied: Sequence[Right]) -> Iterator[str]:
    """Yield the missing rights in words, one text for each resource with all its verbs."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in denied:
        verbs.setdefault((right.resource, right.group), []).append(right.verb)
    for (resource, group), denied_verbs in verbs.items():
        what = f"all of {group}" if resource == "*" else f"{resource}.{group}".rstrip(".")
        yield f"{', '.join(denied_verbs)} {what}"


def _version(version: str) -> Iterator[Problem]:
    found = _VERSION.match(version)
    needed = ".".join(map(str, OLDEST_KUBERNETES))
    if found is None or (int(found[1]), int(found[2])) < OLDEST_KUBERNETES:
        yield Problem(
            f"the cluster's Kubernetes is {version or 'of no known version'}, and this Flux needs"
            f" {needed} or later",
            "upgrade it, or choose another cluster",
            "version",
        )


def _nodes(traits: ClusterTraits) -> Iterator[Problem]:
    if traits.nodes is None:
        # If the user may not list them, the missing right is reported instead.
        if not traits.denied:
            yield Problem("the cluster does not list its nodes and pods", "run again", "room")
        return
    usable = [node for node in traits.nodes if node.usable]
    foreign = [node for node in usable if node.architecture not in _ARCHITECTURES]
    if foreign:
        kinds = ", ".join(sorted({node.architecture for node in foreign}))
        yield Problem(
            f"Flux has no images for {kinds}, which is what {named([n.name for n in foreign])} is",
            "keep pods without tolerations off by a taint, or choose another cluster",
            "architecture",
        )
    if not usable:
        yield Problem(
            "no node of the cluster is ready for a pod without tolerations",
            "`kubectl describe nodes` says why",
            "room",
        )
    elif room_left(traits) is None:
        awaited = _requests(traits)
        cpu, memory = (sum(column) for column in zip(*awaited, strict=True))
        yield Problem(
            f"the nodes have no room for {counted(len(awaited), 'pod')} of the lab's own"
            f" ({cpu} thousandths of a processor, {memory} MiB)",
            "remove something, or add a node",
            "room",
        )


def room_left(traits: ClusterTraits) -> list[ClusterNode] | None:
    """Return the nodes on which pods may run, with the room that is left if each pod that the lab
    itself still needs is put on the node with most room; None if one of them fits on no node."""
    left = {node.name: node for node in traits.nodes or () if node.usable}
    for cpu, memory in sorted(_requests(traits), reverse=True):
        fitting = [
            node
            for node in left.values()
            if node.pods >= 1 and node.cpu_m >= cpu and node.memory_mib >= memory
        ]
        if not fitting:
            return None
        best = max(fitting, key=lambda node: (node.cpu_m, node.memory_mib))
        left[best.name] = replace(
            best,
            cpu_m=best.cpu_m - cpu,
            memory_mib=best.memory_mib - memory,
            pods=best.pods - 1,
        )
    return list(left.values())


def _requests(traits: ClusterTraits) -> Sequence[tuple[int, int]]:
    """Return what each pod of Flux and the Git server requests that is not there yet, as `REQUESTS`
    has it."""
    awaited: list[tuple[int, int]] = []
    if traits.flux is not Flux.OURS:
        awaited += REQUESTS
    if traits.lacks_git:
        awaited.append(git_pod.REQUESTS)
    return awaited


def find_reach_problems(nodes: Mapping[str, NodeReach], git: str) -> list[Problem]:
    """Return what pods on the nodes could not reach: one problem for each reason, with all nodes
    for which it holds.

    + nodes: the answers of the pods, by node
    + git: the Git server's address, as pods reach it
    """
    images = by_reason({name: reach.images for name, reach in nodes.items()})
    ways = by_reason({name: reach.git for name, reach in nodes.items()})
    return [
        *(
            Problem(f"on {where}, {why}", f"correct that, {KEEP_OFF}", "images")
            for why, where in images
        ),
        *(
            Problem(
                f"on {where}, pods do not reach the Git server at {git} ({why})",
                f"correct `git_cluster_url` or what lies between, {KEEP_OFF}",
                "git",
            )
            for why, where in ways
        ),
    ]


def by_reason(reasons: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each reason with the names that have it. Names without a reason are left out.

    + reasons: the reason for each name, empty if there is none
    """
    for reason in dict.fromkeys(filter(None, reasons.values())):
        yield reason, named([name for name, why in reasons.items() if why == reason])


def unreached(nodes: Iterable[str], known: Reach, accept: Set[str]) -> tuple[str, ...]:
    """Return the nodes on which, by the answers on record, pods may lack something that they need.

    + nodes: the nodes on which pods may run
    + known: the answers on record
    + accept: the names of what the lab does without
    """
    fit = {
        name
        for name, reach in known.nodes.items()
        if not refused(find_reach_problems({name: reach}, known.git), accept)
    }
    return tuple(name for name in nodes if name not in fit)


def of_the_same(known: Reach | None, wanted: Reach) -> Reach | None:
    """Return the answers on record if they are about the same cluster, images and address; None if
    they are not.

    + known: the answers on record
    + wanted: the present cluster, images and address
    """
    if known is None:
        return None
    return known if replace(known, nodes={}, admission=None) == wanted else None


def recorded(
    wanted: Reach,
    known: Reach | None,
    nodes: Iterable[str],
    reach: Mapping[str, NodeReach],
    policies: Mapping[str, str],
    admission: Admission | None,
) -> Reach:
    """Return the record with new answers. Answers to questions that were not asked again stay.
    Answers about nodes that are gone are left out.

    + wanted: the present cluster, images and address
    + known: the answers on record
    + nodes: the nodes on which pods may run
    + reach, policies, admission: the new answers, for the nodes that were asked
    """
    before = of_the_same(known, wanted) or wanted
    found = {}
    for name in nodes:
        # A node that was not asked has an answer on record.
        one = reach.get(name) or before.nodes[name]
        old = before.nodes[name].policies if name in before.nodes else None
        found[name] = replace(one, policies=policies.get(name, old))
    return replace(wanted, nodes=found, admission=admission or before.admission)


def refused(problems: Iterable[Problem], accept: Set[str]) -> list[str]:
    """Return sentences about problems for which a cluster is refused: no lab can do without what is
    missing, or the lab file does not accept that it is missing.

    + accept: the names of what the lab does without
    """
    return [_sentence(problem) for problem in problems if problem.probe not in accept]


def _sentence(problem: Problem) -> str:
    anyway = f"; `accept: [{problem.probe}]` in the lab file goes on anyway"
    return f"{problem.found}: {problem.next_step}{anyway if problem.probe else ''}"


def accepted(problems: Iterable[Problem], accept: Set[str]) -> list[str]:
    """Return sentences about problems that the lab file accepts.

    + accept: the names of what the lab does without
    """
    return [problem.found for problem in problems if problem.probe in accept]
