"""A class on a running lab: from nothing to the canary of every learner, again, and one more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.board import measure_board
from tests.bench.figures import spread
from tests.bench.flux_alone import measure_flux_alone
from tests.bench.processor import Spent, measured
from tests.cluster.classroom import Classroom
from tests.cluster.lab import Lab, lab_name, run

SMALL, LARGE = 30, 100
ROUNDS = 3


def measure_class(folder: Path) -> dict[str, Any]:
    """Return what 30 and 100 learners take, a second run and one learner more, and memory.

    The 30 are compared with the same number given to Flux by hand, just before, on the same lab.
    """
    small, alone, _ = _measure_first(folder / "small", SMALL, ROUNDS)
    small.lab.remove()
    large, _, report = _measure_first(folder / "large", LARGE, 0)
    try:
        second, changed = up_with(large, LARGE)
        add_one, _ = up_with(large, LARGE + 1)
        started = time.monotonic()
        large.lab.sopslab("status", "--json", check=False)
        status = time.monotonic() - started
        shown = measure_board(large, folder)
    finally:
        large.lab.remove()
    return {
        **against_flux_alone(small.first, alone),
        "learners_30_processor": round(small.first.processor, 1),
        "learners_100_processor": round(large.first.processor, 1),
        "ratio_100_to_30": round(large.first.seconds / small.first.seconds, 2),
        "learners_30": round(small.first.seconds, 1),
        "learners_100": round(large.first.seconds, 1),
        "second_run_100_processor": round(second.processor, 1),
        "second_run_100": round(second.seconds, 1),
        "second_run_changes": changed,
        "add_one": round(add_one.seconds, 1),
        "status_100": round(status, 1),
        "board_100": shown,
        **report,
    }


def against_flux_alone(first: Spent, alone: Sequence[Spent]) -> dict[str, Any]:
    """Return how many times what Flux alone takes a class takes, in every round of that.

    + first: what `sopslab up` took for the class
    + alone: what one `kubectl apply` of as many learners took
    """
    return {
        "processor_vs_flux_alone": spread([first.processor / one.processor for one in alone], 2),
        "vs_flux_alone": spread([first.seconds / one.seconds for one in alone], 2),
        "flux_alone": {
            "processor": spread([one.processor for one in alone]),
            "seconds": spread([one.seconds for one in alone]),
        },
    }


class _Measured(Classroom):
    first = Spent(0.0, 0.0)


def _measure_first(
    folder: Path, learners: int, rounds: int
) -> tuple[_Measured, list[Spent], dict[str, Any]]:
    classroom = _Measured(Lab(lab_name("bench-class"), folder, {}))
    classroom.lab.remove()
    classroom.lab.up()
    # A lab is running once all of it is: the canary arrives before the last pod is ready.
    classroom.lab.kubectl("wait", "pods", "-A", "--all", "--for=condition=Ready", "--timeout=60s")
    alone = []
    if rounds:
        alone = measure_flux_alone(classroom.lab, folder / "by-hand", learners, rounds)
        print(f"{learners} learners by hand: {alone}", flush=True)
    before = node_memory(classroom.lab)
    classroom.first, _ = up_with(classroom, learners)
    after = node_memory(classroom.lab)
    return (
        classroom,
        alone,
        {
            "node_mib_before": before,
            "node_mib_after": after,
            "mib_per_learner": round((after - before) / learners, 1),
        },
    )


def up_with(classroom: Classroom, learners: int, nodes: Sequence[str] = ()) -> tuple[Spent, int]:
    """Run `sopslab up` for so many learners, and return what that took and how much it changed.

    + nodes: the containers of the cluster's nodes; by default its only one
    """
    ids = tuple(f"seat-{number:03d}" for number in range(learners))
    answers: list[dict[str, Any]] = []
    containers = [*(nodes or [classroom.lab.node]), classroom.lab.git_server]
    spent = measured(lambda: answers.append(classroom.up(ids=ids)), containers)
    (answer,) = answers
    print(
        f"{learners} learners: {[(s['name'], s['seconds']) for s in answer['steps']]}", flush=True
    )
    return spent, answer["changed"]


def node_memory(lab: Lab) -> float:
    """Return what the node takes, in MiB, without the caches that it gives back."""
    text = run(
        ["docker", "exec", lab.node, "sh", "-c",
         "cat /sys/fs/cgroup/memory/memory.stat /sys/fs/cgroup/memory.stat 2>/dev/null"],
        check=False,
    ).stdout  # fmt: skip
    values = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    return round(int(values.get("total_rss") or values["anon"]) / 2**20, 0)
