"""The run over the checks of `sopslab verify`: one look, and time for what Flux does by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from sopslab.checks import exercise
from sopslab.checks.objects import kustomization, source
from sopslab.checks.rules.table import Step, examine
from sopslab.checks.snapshot import Snapshot
from sopslab.checks.verification import NEEDS, judge
from sopslab.lab.observe.observer import Observer, Viewpoint
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.objects import Object, is_busy
from sopslab.model.results import Result, Status, Undecided, Verdict

# A Kustomization is reconciled every minute, and for a moment of that it is not Ready.
_SETTLING_S = 5.0
# What Flux does by itself, given time: what still has to be done, and which of its objects does it.
_AWAITED: Mapping[
    Step, tuple[Callable[[Snapshot], Verdict | None], Callable[[Snapshot], Object | None]]
] = {
    Step.SOURCE: (exercise.read, source),
    Step.APPLIED: (exercise.applied, kustomization),
}


def checks(*, embedded_server: bool) -> list[Step]:
    """Return the checks of a lab, in order.

    + embedded_server: whether the Git server is the lab's own
    """
    return [step for step in Step if embedded_server or step is not Step.SERVER]


def verify(
    observer: Observer,
    viewpoint: Viewpoint,
    listed: list[Step],
    wait: float,
    tell: Callable[[Result], None] = lambda _result: None,
    tell_wait: Callable[[Step, str, float], None] = lambda _step, _found, _seconds: None,
) -> list[Result]:
    """Judge one check after the other; what needs a failed one is not judged.

    + wait: seconds that Flux is given to reach the commit of the clone
    + tell: is given each result as soon as there is one
    + tell_wait: is given the check that Flux gets time for, what is not so yet, and the most
        seconds that it may take
    """
    started, deadline = time.monotonic(), Deadline(wait)
    seen = observer.inside(viewpoint)
    examined = examine(seen)
    results: list[Result] = []
    blocked: dict[Step, Result] = {}
    for step in listed:
        root = next((blocked[need] for need in NEEDS[step] if need in blocked), None)
        if root is not None:
            found = f"not looked at, since {root.id} failed."
            verdict = Verdict(Status.NOT_RUN, found, root.next_step)
        else:
            verdict = judge(step, seen, examined)
            if step in _AWAITED and verdict.status is not Status.OK:
                told = partial(tell_wait, step, verdict.found)
                seen = _await(observer, step, seen, deadline, told)
                examined = examine(seen)
                verdict = judge(step, seen, examined)
        ended = time.monotonic()
        result = Result(
            step.value, verdict.status, verdict.found, verdict.next_step, round(ended - started, 3)
        )
        started = ended
        results.append(result)
        if root is not None:
            blocked[step] = root
        elif verdict.status is Status.FAILED and verdict.blocking:
            blocked[step] = result
        tell(result)
    return results


def _await(
    observer: Observer,
    step: Step,
    seen: Snapshot,
    deadline: Deadline,
    tell_wait: Callable[[float], None],
) -> Snapshot:
    """Return a look after the time that Flux is given for one check.

    + tell_wait: is given the most seconds that it may take, if there is anything to wait for
    """
    lack, doer = _AWAITED[step]
    try:
        found = doer(seen)
        done = lack(seen) is None
    except Undecided:
        return seen
    if found is not None and is_busy(found):
        deadline = max(deadline, Deadline(_SETTLING_S), key=lambda one: one.left)
    if done or deadline.is_over:
        return seen
    tell_wait(deadline.left)
    return observer.await_flux(seen, lambda now: lack(now) is None, deadline)
