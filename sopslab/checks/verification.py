"""Whether the secret went the chapter's whole way, check by check, for `sopslab verify`. Pure.

A check fails with the first cause that the rules find for it. If they find none, it fails with what
the exercise still lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sopslab.checks.exercise import LACKS, USE_THE_LAB
from sopslab.checks.rules.table import Examined, Step
from sopslab.checks.snapshot import Snapshot, known
from sopslab.incidents.coverage import cover
from sopslab.layout import KEY_SECRET
from sopslab.model.objects import is_ready
from sopslab.model.results import Undecided, Verdict, failed, passed, undecided
from sopslab.model.words import counted
from sopslab.policy.recipients import CONFIG
from sopslab.policy.sops import short

# For each check, the checks that must not have failed before it can be judged.
NEEDS: Mapping[Step, tuple[Step, ...]] = {
    Step.TOOLS: (),
    Step.CLUSTER: (),
    Step.FLUX: (Step.CLUSTER,),
    Step.KEY: (Step.TOOLS, Step.CLUSTER),
    Step.ENCRYPTED: (Step.TOOLS,),
    Step.WIRED: (Step.ENCRYPTED,),
    Step.COMMITTED: (Step.WIRED,),
    Step.PUSHED: (Step.COMMITTED,),
    Step.SOURCE: (Step.FLUX, Step.PUSHED),
    Step.APPLIED: (Step.KEY, Step.SOURCE),
    Step.SECRET: (Step.APPLIED,),
    Step.HISTORY: (),
    Step.HOOKS: (),
    Step.SERVER: (),
}


def judge(step: Step, seen: Snapshot, examined: Examined[Step]) -> Verdict:
    """Return the result of one check.

    + seen: what was seen
    + examined: the results of the rules for the same snapshot
    """
    cause = examined.first(step)
    if cause is not None:
        return failed(cause.told, cause.next_step)
    try:
        lack = LACKS[step](seen) if step in LACKS else None
        if lack is not None:
            return lack
        examined.require(step)
        return passed(_PASSED[step](seen))
    except Undecided as reason:
        return undecided(f"{reason.found}.", reason.next_step)


def _tools(seen: Snapshot) -> str:
    tools = known(seen.tools)
    named = ", ".join(f"{tool.name} {tool.wanted}" for tool in tools)
    if all(tool.in_path for tool in tools):
        return f"{named}."
    return f"{named}; this shell does not find them before {USE_THE_LAB}."


def _cluster(seen: Snapshot) -> str:
    nodes = known(seen.cluster).nodes
    ready = ", ".join(node["metadata"]["name"] for node in nodes if is_ready(node))
    lost = ", ".join(node["metadata"]["name"] for node in nodes if not is_ready(node))
    return f"the API server answers; ready: {ready}{lost and f'; not ready: {lost}'}."


def _key(seen: Snapshot) -> str:
    own = short(known(seen.identity).recipient or "")
    return f"the key file, {KEY_SECRET} in the cluster and {CONFIG} agree on {own}."


def _secret(seen: Snapshot) -> str:
    keys = counted(len(known(seen.live)[seen.chapter.secret].keys), "key")
    return f"{seen.chapter.live} holds what the file holds: {keys}, the same SHA-256 each."


def _history(seen: Snapshot) -> str:
    history = known(seen.history)
    closed = cover(history.report.findings, history.incidents, history.repository).closed
    if closed:
        named = " and ".join(f"{one.id} (closed on {one.closed})" for one in closed)
        return (
            f"what the history holds in plain text is dealt with in {named}; it stays readable for"
            " ever."
        )
    return (
        f"none of the {history.report.checked} file versions in the history holds a secret in plain"
        " text or a key."
    )


def _commit(seen: Snapshot) -> str:
    return (known(seen.tree).commit or "")[:7]


_PASSED: Mapping[Step, Callable[[Snapshot], str]] = {
    Step.TOOLS: _tools,
    Step.CLUSTER: _cluster,
    Step.FLUX: lambda _: "the controllers run, locked down, and nothing is suspended.",
    Step.KEY: _key,
    Step.ENCRYPTED: lambda seen: (
        f"every value of {seen.chapter.file} is encrypted, and its MAC fits."
    ),
    Step.WIRED: lambda seen: f"{seen.chapter.kustomization} lists {seen.chapter.secret}.yaml.",
    Step.COMMITTED: lambda seen: (
        f"{CONFIG} and everything below flux/secrets is committed in {_commit(seen)}."
    ),
    Step.PUSHED: lambda seen: f"the Git server's main is your commit {_commit(seen)}.",
    Step.SOURCE: lambda seen: f"Flux has read your commit {_commit(seen)}.",
    Step.APPLIED: lambda seen: f"Flux has decrypted and applied your commit {_commit(seen)}.",
    Step.SECRET: _secret,
    Step.HISTORY: _history,
    Step.HOOKS: lambda _: (
        "pre-commit runs no-secrets and flux-kustomize-validate before each commit."
    ),
    Step.SERVER: lambda _: (
        "the Git server checks every push with the policy, and asks who is pushing."
    ),
}
