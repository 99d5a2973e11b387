"""The checks, in the order in which one thing depends on another, and the run over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sopslab.checks.verification import cluster, delivery, machine, repository
from sopslab.lab.observe.observer import Observer
from sopslab.model.results import Result, Status, Undecided, Verdict, undecided

Judge = Callable[[Observer], Verdict]


@dataclass(frozen=True)
class Check:
    """One check: its id, which never changes its meaning, and what must not have failed."""

    id: str
    judge: Judge
    needs: tuple[str, ...] = ()


def checks(*, embedded_server: bool) -> list[Check]:
    """Return the checks of a lab, in order.

    + embedded_server: whether the Git server is the lab's own
    """
    listed = [
        Check("tools", lambda lab: machine.judge_tools(lab.tools())),
        Check("cluster", lambda lab: cluster.judge_cluster(lab.cluster())),
        Check("flux", lambda lab: cluster.judge_flux(lab.flux(), lab.chapter), ("cluster",)),
        Check("key", lambda lab: cluster.judge_key(lab.keys(), lab.chapter), ("tools", "cluster")),
        Check(
            "encrypted", lambda lab: repository.judge_encrypted(lab.file(), lab.chapter), ("tools",)
        ),
        Check(
            "wired",
            lambda lab: repository.judge_wired(lab.kustomization(), lab.chapter),
            ("encrypted",),
        ),
        Check(
            "committed",
            lambda lab: repository.judge_committed(lab.commit(), lab.chapter),
            ("wired",),
        ),
        Check(
            "pushed", lambda lab: repository.judge_pushed(lab.push(), lab.chapter), ("committed",)
        ),
        Check(
            "source",
            lambda lab: delivery.judge_source(lab.source(), lab.head, lab.chapter),
            ("flux", "pushed"),
        ),
        Check(
            "applied",
            lambda lab: delivery.judge_applied(lab.applied(), lab.head, lab.chapter),
            ("key", "source"),
        ),
        Check(
            "secret",
            lambda lab: delivery.judge_secret(lab.live(), lab.file().digests, lab.chapter),
            ("applied",),
        ),
        Check("history", lambda lab: repository.judge_history(lab.history(), lab.chapter)),
        Check("hooks", lambda lab: repository.judge_hooks(lab.hooks(), lab.chapter)),
    ]
    if embedded_server:
        listed.append(Check("server", lambda lab: machine.judge_server(lab.server())))
    return listed


def run(
    listed: Sequence[Check], lab: Observer, tell: Callable[[Result], None] = lambda _result: None
) -> list[Result]:
    """Judge one check after the other; what needs a failed one is not run.

    + tell: is given each result as soon as there is one
    """
    results: dict[str, Result] = {}
    blocked: dict[str, Result] = {}
    for check in listed:
        started = time.monotonic()
        root = next((blocked[need] for need in check.needs if need in blocked), None)
        if root is not None:
            verdict = Verdict(
                Status.NOT_RUN, f"not looked at, since {root.id} failed.", root.next_step
            )
        else:
            verdict = _verdict(check, lab)
        seconds = round(time.monotonic() - started, 3)
        result = Result(check.id, verdict.status, verdict.found, verdict.next_step, seconds)
        results[check.id] = result
        if root is not None:
            blocked[check.id] = root
        elif verdict.status is Status.FAILED and verdict.blocking:
            blocked[check.id] = result
        tell(result)
    return list(results.values())


def _verdict(check: Check, lab: Observer) -> Verdict:
    try:
        return check.judge(lab)
    except Undecided as reason:
        return undecided(f"{reason.found}.", reason.next_step)
