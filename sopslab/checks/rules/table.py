"""The rules, in the order of a secret's way. The first failure on the way keeps a secret from going
on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial
from typing import Generic, TypeVar

from sopslab.checks.rules import content, delivery, key, machine, platform, source
from sopslab.checks.rules.reports import examine_applying, examine_reading
from sopslab.checks.rules.results import Cause
from sopslab.checks.snapshot import Snapshot, known
from sopslab.model.results import Undecided

P = TypeVar("P", bound=str)
Rule = Callable[[Snapshot], Iterator[Cause]]


class Step(StrEnum):
    """The checks of `sopslab verify`, in its order. Ids never change their meaning."""

    TOOLS = "tools"
    CLUSTER = "cluster"
    FLUX = "flux"
    KEY = "key"
    ENCRYPTED = "encrypted"
    WIRED = "wired"
    COMMITTED = "committed"
    PUSHED = "pushed"
    SOURCE = "source"
    APPLIED = "applied"
    SECRET = "secret"
    HISTORY = "history"
    HOOKS = "hooks"
    SERVER = "server"


# Each rule, and the check that fails if the rule yields a cause.
RULES: tuple[tuple[Step, Rule], ...] = (
    (Step.TOOLS, machine.examine_tools),
    (Step.TOOLS, machine.examine_access),
    (Step.TOOLS, machine.examine_kubeconfig),
    (Step.CLUSTER, platform.examine_cluster),
    (Step.FLUX, platform.examine_controllers),
    (Step.FLUX, platform.examine_versions),
    (Step.FLUX, platform.examine_kinds),
    (Step.FLUX, platform.examine_namespaces),
    (Step.FLUX, platform.examine_platform),
    (Step.SERVER, machine.examine_server),
    (Step.PUSHED, machine.examine_foreign_server),
    (Step.PUSHED, source.examine_repository),
    (Step.PUSHED, source.examine_branches),
    (Step.SOURCE, source.examine_login),
    (Step.FLUX, source.examine_source),
    (Step.SOURCE, source.examine_address),
    (Step.SOURCE, source.examine_artifact),
    (Step.FLUX, platform.examine_receivers),
    (Step.KEY, key.examine_store),
    (Step.KEY, key.examine_key),
    (Step.FLUX, delivery.examine_kustomization),
    (Step.APPLIED, delivery.examine_build),
    (Step.KEY, content.examine_rules),
    (Step.ENCRYPTED, content.examine_encryption),
    (Step.ENCRYPTED, content.examine_recipients),
    (Step.ENCRYPTED, content.examine_opened),
    (Step.ENCRYPTED, content.examine_policy),
    (Step.WIRED, content.examine_list),
    (Step.WIRED, content.examine_unlisted),
    (Step.SECRET, delivery.examine_live),
    (Step.SECRET, delivery.examine_values),
    (Step.HOOKS, machine.examine_hooks),
)
# Checks that are not on the secret's way: their causes cannot explain a report of Flux.
_BESIDE = frozenset({Step.TOOLS, Step.HOOKS})

_NO_ROOM = frozenset({"namespace-missing", "namespace-terminating", "kind-missing"})
_RULES_OF_SOPS = frozenset(
    {
        *("rule-unreadable", "rule-missing", "wrong-rule", "rule-without-instructor"),
        *("rule-with-stranger", "encrypted-regex-typo"),
    }
)
# Causes, each with those from which it follows: if one of those was found, the cause itself needs
# no repair.
_FOLLOWS_FROM: Mapping[str, Set[str]] = {
    # The platform is read with the same credential, from the same server.
    "platform-not-ready": {
        "git-server-down",
        "git-credential-missing",
        "git-credential-revoked",
        "controller-down",
        "controller-missing",
        "drifted-lockdown-flag",
        "artifact-lost",
    },
    "artifact-lost": {"controller-down", "controller-missing"},
    "source-missing": _NO_ROOM,
    "kustomization-missing": _NO_ROOM,
    "missing-key": _NO_ROOM,
    "git-credential-missing": _NO_ROOM,
    "deleted-secret": _NO_ROOM,
    "encrypted-otherwise": _RULES_OF_SOPS,
}
# Findings of the policy, which are left out if another cause says more about the same file.
_LESS_TOLD = frozenset({"encrypted-otherwise", "policy-violation"})


@dataclass(frozen=True)
class Examined(Generic[P]):
    """The causes that rules found, and what the rules could not decide, each with its place in the
    table of rules."""

    causes: Sequence[tuple[P, Cause]]
    undecided: Sequence[tuple[P, Undecided]]

    @cached_property
    def roots(self) -> list[tuple[P, Cause]]:
        """The causes that do not follow from others."""
        found = [one for _, one in self.causes]
        return [(place, one) for place, one in self.causes if not _follows(one, found)]

    def first(self, place: P) -> Cause | None:
        """Return the first cause at a place that does not follow from others, None if there is
        none."""
        return next((one for at, one in self.roots if at == place), None)

    def require(self, place: P) -> None:
        """Raise Undecided if a rule at a place could not answer."""
        for at, reason in self.undecided:
            if at == place:
                known(reason)


def ask(seen: Snapshot, rules: Iterable[tuple[P, Rule]]) -> Examined[P]:
    """Return what some rules say about what was seen.

    + rules: the rules, each with its place
    """
    causes: list[tuple[P, Cause]] = []
    undecided: list[tuple[P, Undecided]] = []
    for place, rule in rules:
        try:
            causes.extend((place, one) for one in rule(seen))
        except Undecided as reason:
            undecided.append((place, reason))
    return Examined(causes, undecided)


def examine(seen: Snapshot) -> Examined[Step]:
    """Return what all rules say about what was seen, and what only Flux reports."""
    looked = ask(seen, RULES)
    found = {one.id for step, one in looked.causes if step not in _BESIDE}
    all_seen = all(step in _BESIDE for step, _ in looked.undecided)
    told = ask(
        seen,
        (
            (Step.SOURCE, partial(examine_reading, found=found, all_seen=all_seen)),
            (Step.APPLIED, partial(examine_applying, found=found, all_seen=all_seen)),
        ),
    )
    return Examined([*looked.causes, *told.causes], [*looked.undecided, *told.undecided])


def _follows(one: Cause, found: Iterable[Cause]) -> bool:
    others = [other for other in found if other.id not in _LESS_TOLD]
    if one.id in _LESS_TOLD and _places(one) & {at for other in others for at in _places(other)}:
        return True
    return bool({other.id for other in others} & _FOLLOWS_FROM.get(one.id, frozenset()))


def _places(one: Cause) -> set[str]:
    return {evidence.what for evidence in one.evidence}
