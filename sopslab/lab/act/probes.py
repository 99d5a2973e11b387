"""Find out with pods and dry runs what an existing cluster gives, before Flux hears of a lab."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from sopslab.checks import causes, dry_runs, policy_pods, probe_pods
from sopslab.checks.class_clusters import find_enforcement_problems, questions
from sopslab.checks.clusters import find_reach_problems, recorded, refused
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.probe_space import ProbeSpace, probe_space
from sopslab.lab.observe.existing import reach_of, usable_nodes, wanted_reach
from sopslab.lab.tools import files
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed
from sopslab.model.clusters import Admission, NodeReach
from sopslab.model.objects import Object
from sopslab.model.wire import encode

# A node that has no image yet pulls three, of 60 MB together.
_STARTED_S = 180
# A pod gives up a dropped connection after 30 s. It tries twice, and perhaps once more.
_TRIED_S = 160
# It takes a moment until every API server of a cluster knows a new policy.
_REFUSED_S = 20


def probe(lab: Lab, accept: list[str], seats: list[str]) -> None:
    """Find out what is not yet on record about the cluster, and record it.

    Raises LabError with everything that the cluster lacks and the lab cannot do without; Undecided
    where the cluster cannot be asked, and Failed without Flux's command.

    + accept: the names of what the lab does without
    + seats: the ids of a class's seats; a class asks more of a cluster
    """
    wanted, known, nodes = wanted_reach(lab), reach_of(lab), usable_nodes(lab)
    asked = questions(nodes, wanted, known, accept, seats)
    try:
        with probe_space(lab) as space, ThreadPoolExecutor(3) as beside:
            reached = beside.submit(_reach, lab, space, asked.reach, wanted.images)
            shut = beside.submit(_policies, space, asked.policies, nodes, wanted.images)
            forbidden = beside.submit(_admission, space) if asked.admission else None
            reach, policies = reached.result(), shut.result()
            admission = forbidden.result() if forbidden is not None else None
    except Failed as failure:
        log(failure.words)
        raise LabError(
            f"the cluster refused the pods that ask its nodes: {causes.refused(failure.lines)}"
        ) from None
    found = recorded(wanted, known, nodes, reach, policies, admission)
    problems = find_reach_problems(found.nodes, wanted.git)
    if seats:
        problems += find_enforcement_problems(found.nodes, found.admission)
    if sentences := refused(problems, frozenset(accept)):
        raise LabError("\n".join(sentences))
    files.write(lab.reach_file, json.dumps(encode(found)))


def _reach(
    lab: Lab, space: ProbeSpace, nodes: Sequence[str], images: Sequence[str]
) -> dict[str, NodeReach]:
    """Return what pods find out on nodes, by node."""
    ca = files.read(lab.git_ca) if lab.git_ca is not None else None
    made = probe_pods.pods(nodes, images, lab.git_base_cluster_url, ca)
    space.put(made)
    names = {one["spec"]["nodeName"]: one["metadata"]["name"] for one in made}

    def found(pods: Mapping[str, Object]) -> dict[str, NodeReach | None]:
        return {node: probe_pods.reading(pods.get(name, {})) for node, name in names.items()}

    pods = space.await_pods(found, _STARTED_S)
    return {
        node: one or probe_pods.late(pods.get(names[node], {})) for node, one in found(pods).items()
    }


def _policies(
    space: ProbeSpace, nodes: Sequence[str], usable: Sequence[str], images: Sequence[str]
) -> dict[str, str]:
    """Return, by node, why network policies are not known to be enforced there, "" where they are.

    + usable: all nodes that pods may be put on; each node is tried together with another one of
      them
    """
    tried = policy_pods.trials(nodes, usable)
    if not tried:
        return {}
    space.put([policy_pods.deny_all(), *policy_pods.targets(tried, images)])
    names = {name for trial in tried for name in policy_pods.asked_of(trial)}

    def standing(pods: Mapping[str, Object]) -> dict[str, str | None]:
        return {name: policy_pods.standing(pods.get(name)) for name in names}

    pods = space.await_pods(standing, _STARTED_S)
    unasked = policy_pods.unasked(tried, standing(pods))
    left = [trial for trial in tried if trial.node not in unasked]
    space.put(policy_pods.askers(left, pods, images))

    def verdicts(pods: Mapping[str, Object]) -> dict[str, str | None]:
        return {trial.node: policy_pods.verdict(trial, pods) for trial in left}

    decided = verdicts(space.await_pods(verdicts, _TRIED_S))
    late = policy_pods.LATE
    return unasked | {node: late if one is None else one for node, one in decided.items()}


def _admission(space: ProbeSpace) -> Admission:
    """Return why the cluster is not known to refuse what a class forbids, "" for what it does
    refuse."""
    try:
        space.kubectl.apply(dry_runs.policy(space.name, space.seen()))
        judge = partial(dry_runs.refusal, who=dry_runs.policy_words(space.name))
        policies = space.await_refusal(dry_runs.forbidden_object(), judge, _REFUSED_S)
    except Failed as failure:
        log(failure.words)
        policies = dry_runs.no_policy(failure.lines)
    finally:
        kinds = ",".join(dry_runs.POLICY_KINDS)
        deletion = ("delete", kinds, space.name, "--ignore-not-found", "--wait=false")
        space.kubectl.succeeds(*deletion)
    judge = partial(dry_runs.refusal, who=dry_runs.POD_SECURITY)
    return Admission(space.await_refusal(dry_runs.privileged_pod(), judge, _REFUSED_S), policies)
