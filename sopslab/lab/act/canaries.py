"""Canaries awaited: what was encrypted and pushed last is in the cluster, decrypted."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from sopslab.checks.canaries import is_hopeless, stuck
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import fail
from sopslab.lab.observe.canaries import Canaries
from sopslab.lab.observe.canary_way import broken_link
from sopslab.lab.observe.failures import seat_failures
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.waiting import Deadline
from sopslab.layout import GIT_REPOSITORIES, KUSTOMIZATIONS, SEAT_LABEL
from sopslab.model.canaries import PROVEN, CanaryState, Link, Progress
from sopslab.model.objects import reference

_LONGEST_S = 180
# For one that is alone, by what is not there yet.
_ALONE_S = {Link.BEGINNING: 120, Link.COMMIT: 60, Link.KEY: 30, Link.VALUE: 30}
_WHOLE_S = 210
_ASKED_AGAIN_S = 5
_LOOKED_AGAIN_S = 5

Found = Mapping[str, CanaryState]


def await_canaries(lab: Lab, environments: list[Environment]) -> None:
    """Return when the canaries of environments have arrived. A seat whose canary does not, fails.
    Alone on a lab nobody else goes on: LabError is raised with the first broken link of its way."""
    canaries = Canaries(lab)
    failed = seat_failures(lab)
    for one in environments:
        if not one.is_seat:
            _await_alone(lab, canaries, one)
    # Who has failed already is reported with the reason, and not waited for.
    seats = [one for one in environments if one.is_seat and one.id not in failed]
    # Looking costs what Flux needs on a small machine. It takes longer than this for any of them.
    time.sleep(0.4 * len(seats) / len(os.sched_getaffinity(0)))
    for who, state in _await(canaries, seats, _Together(lab)).items():
        fail(lab, who, f"its canary did not arrive: {state.said or state.progress}")


def _await_alone(lab: Lab, canaries: Canaries, environment: Environment) -> None:
    head = canaries.head(environment)
    if head is None:
        raise _lost(lab, environment, None)
    found = _await(canaries, [environment], _Alone(lab, environment, head))
    for state in found.values():
        raise _lost(lab, environment, state.link)


def _lost(lab: Lab, environment: Environment, link: Link | None) -> LabError:
    return LabError(f"the canary did not arrive: {broken_link(lab, environment, link)}")


class _Together:
    """How canaries of seats are waited for: all of them together."""

    def __init__(self, lab: Lab) -> None:
        self._kubectl = Kubectl(lab)
        self._longest = Deadline(_LONGEST_S)
        self._asked = Deadline(0)
        self._before: dict[str, Progress] = {}
        self._since = time.monotonic()

    def goes_on(self, found: Found) -> bool:
        """Return whether these are waited for; Flux is asked for those that are stuck."""
        # Not by what Flux says of a seat: there may be another name in it each time.
        after = {one: state.progress for one, state in found.items()}
        if after != self._before:
            self._before, self._since = after, time.monotonic()
        unchanged = time.monotonic() - self._since
        again = stuck(found, unchanged)
        if again and self._asked.is_over:
            self._asked = Deadline(_ASKED_AGAIN_S)
            self._kubectl.ask_flux_about(
                f"{GIT_REPOSITORIES},{KUSTOMIZATIONS}", f"{SEAT_LABEL} in ({','.join(again)})", 30
            )
        return not (is_hopeless(found, unchanged) or self._longest.is_over)

    def pause(self, found: Found) -> None:
        """Return when it is time to look again: soon for a few, later for many."""
        time.sleep(0.3 if len(found) < 8 else len(found) / 25)


class _Alone:
    """How the canary of a lab without a class is waited for: as long as its next link may take."""

    def __init__(self, lab: Lab, environment: Environment, head: str) -> None:
        self._environment = environment
        self._kubectl = Kubectl(lab)
        self._head = head
        self._link: Link | None = None
        self._longest, self._whole = Deadline(0), Deadline(_WHOLE_S)

    def goes_on(self, found: Found) -> bool:
        """Return whether it is waited for. If Flux was done already, it is asked to look again."""
        (state,) = found.values()
        if self._link is None and state.link is not Link.BEGINNING:
            self._ask()
        if state.link is not self._link and state.link is not None:
            self._link, self._longest = state.link, Deadline(_ALONE_S[state.link])
        return not (self._longest.is_over or self._whole.is_over)

    def _ask(self) -> None:
        one = self._environment
        own = reference("Kustomization", one.system, one.kustomization)
        self._kubectl.ask_flux([reference("GitRepository", one.system, one.source), own], 20)

    def pause(self, found: Found) -> None:
        """Return when Flux has applied something, or after a while."""
        (state,) = found.values()
        if state.link not in (Link.BEGINNING, Link.COMMIT) or not self._kubectl.succeeds(
            "--namespace", self._environment.system, "wait", f"--timeout={_LOOKED_AGAIN_S}s",
            f"--for=jsonpath={{.status.lastAppliedRevision}}=main@sha1:{self._head}",
            f"kustomization/{self._environment.kustomization}",
            patience=3 * _LOOKED_AGAIN_S,
        ):  # fmt: skip
            time.sleep(0.3)


def _await(
    canaries: Canaries, environments: Sequence[Environment], pace: _Together | _Alone
) -> Found:
    """Return the canaries that have not arrived while they were waited for."""
    left = list(environments)
    while left:
        seen = canaries.look(left)
        found = {who: state for who, state in seen.items() if state != PROVEN}
        left = [one for one in left if one.id in found]
        if not found or not pace.goes_on(found):
            return found
        pace.pause(found)
    return {}
