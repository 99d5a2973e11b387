"""From what was seen to what is wrong: every cause, in the order in which to mend them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set

from sopslab.checks.doctor.examination import content, delivery, key, platform, source
from sopslab.checks.doctor.examination.reports import examine_reports
from sopslab.checks.doctor.results import Cause, Diagnosis
from sopslab.checks.doctor.seen import Seen
from sopslab.model.results import Undecided

# Along the way that a secret goes: what comes first keeps all that follows from arriving.
_EXAMINATIONS: tuple[Callable[[Seen], Iterator[Cause]], ...] = (
    platform.examine_cluster,
    platform.examine_controllers,
    platform.examine_platform,
    source.examine_server,
    source.examine_source,
    key.examine_store,
    key.examine_key,
    delivery.examine_kustomization,
    content.examine_rules,
    content.examine_manifests,
    content.examine_list,
    delivery.examine_live,
)

# What is a consequence of something else that was found, and nothing to mend by itself.
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
    "source-missing": {"namespace-missing", "namespace-terminating"},
    "kustomization-missing": {"namespace-missing", "namespace-terminating"},
    "missing-key": {"namespace-missing", "namespace-terminating"},
    "git-credential-missing": {"namespace-missing", "namespace-terminating"},
    "deleted-secret": {"namespace-missing", "namespace-terminating"},
}


def diagnose(seen: Seen) -> Diagnosis:
    """Return what is wrong; what follows from another cause is left out, and nothing else."""
    found: list[Cause] = []
    undecided: list[str] = []

    def keep(examination: Iterator[Cause]) -> None:
        try:
            found.extend(examination)
        except Undecided as reason:
            undecided.append(f"{reason.found}.")

    for examine in _EXAMINATIONS:
        keep(examine(seen))
    keep(examine_reports(seen, found))
    ids = {one.id for one in found}
    causes = [one for one in found if not ids & _FOLLOWS_FROM.get(one.id, frozenset())]
    if seen.cluster.trouble is not None:
        # That nothing of it could be seen is said by its cause.
        undecided = [reason for reason in undecided if reason != _unseen(seen)]
    return Diagnosis(tuple(causes), tuple(dict.fromkeys(undecided)))


def _unseen(seen: Seen) -> str:
    return f"{seen.objects.found}." if isinstance(seen.objects, Undecided) else ""
