"""A class on a running lab: from nothing to the canary of every learner, again, and one more."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.cluster.classroom import Classroom
from tests.cluster.lab import Lab, lab_name, run

SMALL, LARGE = 30, 100


def measure_class(folder: Path) -> dict[str, Any]:
    """Return seconds for 30 and 100 learners, a second run and one learner more, and memory."""
    small, _ = _measure_first(folder / "small", SMALL)
    small.lab.remove()
    large, report = _measure_first(folder / "large", LARGE)
    try:
        second, changed = _up(large, LARGE)
        add_one, _ = _up(large, LARGE + 1)
        started = time.monotonic()
        large.lab.sopslab("status", "--json", check=False)
        status = time.monotonic() - started
    finally:
        large.lab.remove()
    return {
        "learners_30": small.seconds,
        "learners_100": large.seconds,
        "ratio_100_to_30": round(large.seconds / small.seconds, 2),
        "second_run_100": second,
        "second_run_changes": changed,
        "add_one": add_one,
        "status_100": round(status, 1),
        **report,
    }


class _Measured(Classroom):
    seconds = 0.0


def _measure_first(folder: Path, learners: int) -> tuple[_Measured, dict[str, Any]]:
    classroom = _Measured(Lab(lab_name("bench-class"), folder, {}))
    classroom.lab.remove()
    classroom.lab.up()
    # A lab is running once all of it is: the canary arrives before the last pod is ready.
    classroom.lab.kubectl("wait", "pods", "-A", "--all", "--for=condition=Ready", "--timeout=60s")
    before = node_memory(classroom.lab)
    classroom.seconds, _ = _up(classroom, learners)
    after = node_memory(classroom.lab)
    return classroom, {
        "node_mib_before": before,
        "node_mib_after": after,
        "mib_per_learner": round((after - before) / learners, 1),
    }


def _up(classroom: Classroom, learners: int) -> tuple[float, int]:
    ids = tuple(f"seat-{number:03d}" for number in range(learners))
    started = time.monotonic()
    answer = classroom.up(ids=ids)
    print(
        f"{learners} learners: {[(s['name'], s['seconds']) for s in answer['steps']]}", flush=True
    )
    return round(time.monotonic() - started, 1), answer["changed"]


def node_memory(lab: Lab) -> float:
    """Return what the node takes, in MiB, without the caches that it gives back."""
    text = run(
        ["docker", "exec", lab.node, "sh", "-c",
         "cat /sys/fs/cgroup/memory/memory.stat /sys/fs/cgroup/memory.stat 2>/dev/null"],
        check=False,
    ).stdout  # fmt: skip
    values = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    return round(int(values.get("total_rss") or values["anon"]) / 2**20, 0)
