"""Wait until canaries arrive: until what was last encrypted and pushed is decrypted in the
cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from sopslab.checks.canaries import is_hopeless, stuck
from sopslab.checks.delivery import Ask
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.delivery import ask
from sopslab.lab.act.failures import fail
from sopslab.lab.observe.canaries import Canaries
from sopslab.lab.observe.canary_way import broken_link
from sopslab.lab.observe.failures import seat_failures
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.canaries import PROVEN, CanaryState, Link

_LONGEST_S = 180
_ASKED_AGAIN_S = 5
# How long kubectl waits for a commit to be applied. After that, the next look sees whether Flux is
# stuck.
_APPLIED_S = 5
_WAY = (Ask.TENANT, Ask.SOURCE, Ask.OWN)
_ON_ITS_WAY = (Link.BEGINNING, Link.COMMIT)

Found = Mapping[str, CanaryState]


def await_canaries(lab: Lab, environments: list[Environment]) -> None:
    """Wait until the canaries of environments have arrived, and record a failure for each
    environment whose canary does not arrive. If only the canary of the lab's own learner does not,
    raise LabError instead, with the first broken link of its way."""
    canaries, failed = Canaries(lab), seat_failures(lab)
    # An environment that has failed already is reported with its reason, and not waited for.
    left = [one for one in environments if one.id not in failed]
    lost: dict[Environment, Link | None] = {
        one: None for one in left if not one.is_seat and canaries.head(one) is None
    }
    left = [one for one in left if one not in lost]
    # No canary arrives sooner than this, and looking takes processor time that Flux needs on a
    # small machine.
    time.sleep(0.4 * len(left) / len(os.sched_getaffinity(0)))
    found = _await(canaries, left, _Pace(lab, canaries))
    for one in left:
        if one.id not in found:
            continue
        state = found[one.id]
        if one.is_seat:
            fail(lab, one.id, f"its canary did not arrive: {state.said or state.progress}")
        else:
            lost[one] = state.link
    # LabError ends the run, and nobody would be told which other environments have failed.
    others = bool(seat_failures(lab))
    for one, link in lost.items():
        broken = broken_link(lab, one, link)
        if not others:
            raise LabError(f"the canary did not arrive: {broken}")
        fail(lab, one.id, f"its canary did not arrive: {broken}")


class _Pace:
    """How canaries are waited for: all of them together; Flux is asked to look again at those that
    are stuck."""

    def __init__(self, lab: Lab, canaries: Canaries) -> None:
        self._lab = lab
        self._canaries = canaries
        self._kubectl = Kubectl(lab)
        self._longest = Deadline(_LONGEST_S)
        self._asked = Deadline(0)
        self._before: dict[str, object] | None = None
        self._since = time.monotonic()

    def goes_on(self, left: Sequence[Environment], found: Found) -> bool:
        """Return whether to go on waiting for the canaries of these environments."""
        # What Flux says about a canary is not compared: it may have another name in it each time.
        after: dict[str, object] = {who: (one.progress, one.link) for who, one in found.items()}
        if self._before is None:
            # Where Flux has applied something before, it is not about to look again by itself.
            self._ask([one for one in left if found[one.id].link is not Link.BEGINNING])
        if after != self._before:
            self._before, self._since = after, time.monotonic()
        unchanged = time.monotonic() - self._since
        again = stuck(found, unchanged)
        if again and self._asked.is_over:
            self._ask([one for one in left if one.id in again])
        is_first = any(not one.is_seat for one in left)
        return not (is_hopeless(found, unchanged, is_first=is_first) or self._longest.is_over)

    def _ask(self, environments: Sequence[Environment]) -> None:
        if environments:
            self._asked = Deadline(_ASKED_AGAIN_S)
            ask(self._lab, dict.fromkeys(environments, _WAY))

    def pause(self, left: Sequence[Environment], found: Found) -> None:
        """Wait until it is time to look again. A single canary on its way is looked at as soon as
        Flux has applied its commit. Otherwise the pause is short for a few canaries, and longer for
        many."""
        if len(left) == 1 and found[left[0].id].link in _ON_ITS_WAY and self._is_applied(left[0]):
            return
        time.sleep(0.3 if len(left) < 8 else len(left) / 25)

    def _is_applied(self, environment: Environment) -> bool:
        head = self._canaries.head(environment)
        return self._kubectl.succeeds(
            "--namespace", environment.system, "wait", f"--timeout={_APPLIED_S}s",
            f"--for=jsonpath={{.status.lastAppliedRevision}}=main@sha1:{head}",
            f"kustomization/{environment.kustomization}",
            patience=3 * _APPLIED_S,
        )  # fmt: skip


def _await(canaries: Canaries, environments: Sequence[Environment], pace: _Pace) -> Found:
    """Wait for canaries, and return those that have not arrived by the end."""
    left = list(environments)
    while left:
        seen = canaries.look(left)
        found = {who: state for who, state in seen.items() if state != PROVEN}
        left = [one for one in left if one.id in found]
        if not found or not pace.goes_on(left, found):
            return found
        pace.pause(left, found)
    return {}
