"""How far a learner is in the drill, step by step. Pure; the ids never change."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sopslab.config.environment import Environment
from sopslab.incidents.closing import Use
from sopslab.incidents.leak import CLONE, KEY, LOG, PATH, SECRET
from sopslab.incidents.records import Incident
from sopslab.model.drills import Staged
from sopslab.model.results import Result, Undecided, Verdict, failed, passed, undecided


@dataclass(frozen=True)
class Seen:
    """What was looked at.

    `incident` is the incident that names the leak, None if there is none. `main` and `live` are the
    present keys of the Secret in main and in the cluster, None if the Secret is not there. `uses`
    and `live_uses` say where the leaked value is still in use. `trouble` says, by step, why a step
    cannot be judged.
    """

    environment: Environment
    staged: Staged
    incident: Incident | None
    main: frozenset[str] | None = None
    uses: Sequence[Use] = ()
    live: frozenset[str] | None = None
    live_uses: Sequence[Use] = ()
    trouble: Mapping[str, Undecided] | None = None


def score(seen: Seen) -> list[Result]:
    """Return how far each step is, in the order in which to take the steps."""
    results = []
    for name, judge in _JUDGES.items():
        trouble = (seen.trouble or {}).get(name)
        verdict = (
            judge(seen) if trouble is None else undecided(f"{trouble.found}.", trouble.next_step)
        )
        results.append(Result(name, verdict.status, verdict.found, verdict.next_step, 0.0))
    return results


def exposed_for_ever(seen: Seen) -> Iterator[str]:
    """Yield the places where the old value stays readable for ever."""
    repository = seen.environment.repository
    leak, fixed = seen.staged.leak[:12], seen.staged.fixed[:12]
    yield f"the old {KEY}, in plain text in commit {leak} of {repository}, revert or not"
    yield f"the old {KEY}, encrypted in commit {fixed}, for whoever has a key to it"
    if _unnamed(seen):
        yield "every place that the audit has not found yet"
        return
    yield f"the log {LOG}, and wherever a CI system copies its logs to"
    yield f"{CLONE}, and every other clone that was made since: they cannot be listed"


def _found(seen: Seen) -> Verdict:
    learner = seen.environment.id
    if seen.incident is None:
        return failed(
            "no incident names the commit that has the value in plain text. The revert is on main,"
            " and the value is in the history all the same: find it.",
            f"sopslab incident open leaked-api-key {learner}",
        )
    return passed(f"the incident {seen.incident.id} names the commit {seen.staged.leak[:7]}.")


def _rotated(seen: Seen) -> Verdict:
    if seen.main is None or KEY not in seen.main:
        return failed(
            f"main has no {PATH} with {KEY}: whatever needs the key lacks it.",
            f"scripts/sops-encrypt-secret.sh develop {SECRET}, then push",
        )
    for use in seen.uses:
        return failed(
            f"{use.key} still has the leaked value in {use.place}: encrypting a value that was seen"
            " protects nothing.",
            use.fix,
        )
    return passed(f"{KEY} has another value in {PATH} on main.")


def _live(seen: Seen) -> Verdict:
    for use in seen.live_uses:
        return failed(f"{use.key} still has the leaked value in {use.place}.", use.fix)
    if seen.live is None or KEY not in seen.live:
        return failed(
            f"the namespace {seen.environment.namespace} has no Secret {SECRET} with {KEY}.",
            f"kubectl -n {seen.environment.system} describe kustomization"
            f" {seen.environment.kustomization}",
        )
    return passed(f"the cluster has another value in the Secret {SECRET}.")


def _audited(seen: Seen) -> Verdict:
    if seen.incident is None:
        return failed("there is no incident to note places in.", _found(seen).next_step)
    lacking = _unnamed(seen)
    if lacking:
        many = "places besides" if len(lacking) > 1 else "a place besides"
        return failed(
            f"the value lies in {many} the history that the incident does not name: look at the"
            " deploy's log, and ask who has cloned the repository.",
            f'sopslab incident note {seen.incident.id} --remains "WHERE, by its name"',
        )
    return passed("the incident names the log and the clone that hold the value.")


def _unnamed(seen: Seen) -> list[str]:
    """Return the places, besides the history, that the incident does not name."""
    told = () if seen.incident is None else seen.incident.remains
    return [name for name in (LOG, CLONE) if not any(name in sentence for sentence in told)]


def _revoked(seen: Seen) -> Verdict:
    if seen.incident is None or not seen.incident.upstream:
        what = '"the key at the payment provider"'
        option = f"--upstream {what}"
        if seen.incident is not None and seen.incident.closed is not None:
            # A closed incident only takes steps that are already done.
            option += f" --revoked {what}"
        return failed(
            "the record does not say where the leaked key has to be revoked. A new value here does"
            " not end the old one there.",
            _note(seen, option),
        )
    for what in seen.incident.unrevoked:
        return failed(f"{what} is not revoked yet.", _note(seen, f"--revoked {shlex.quote(what)}"))
    return passed("what has to be revoked elsewhere is revoked.")


def _note(seen: Seen, option: str) -> str:
    if seen.incident is None:
        return _found(seen).next_step
    return f"sopslab incident note {seen.incident.id} {option}"


def _closed(seen: Seen) -> Verdict:
    if seen.incident is None:
        return failed("there is no incident to close.", _found(seen).next_step)
    if seen.incident.closed is None:
        return failed(
            f"the incident {seen.incident.id} is open.",
            f"sopslab incident close {seen.incident.id}",
        )
    return passed(f"the incident {seen.incident.id} was closed on {seen.incident.closed}.")


_JUDGES: Mapping[str, Callable[[Seen], Verdict]] = {
    "found": _found,
    "rotated": _rotated,
    "live": _live,
    "audited": _audited,
    "revoked": _revoked,
    "closed": _closed,
}
STEPS = tuple(_JUDGES)
