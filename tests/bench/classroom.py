"""A class on a running lab: from no class to every learner's canary, a second run, and a run for
one more learner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.board import measure_board
from tests.bench.figures import spread
from tests.bench.flux_alone import measure_flux_alone
from tests.bench.processor import Spent, measured, of_lab
from tests.bench.products import Product
from tests.bench.profile import median
from tests.bench.up import beside, steps_of, timed
from tests.bench.watching import resident
from tests.cluster.classroom import Classroom
from tests.cluster.lab import Lab, run

SMALL, LARGE = 30, 100
ROUNDS = 3


def measure_class(folder: Path, products: Sequence[Product]) -> Iterator[dict[str, Any]]:
    """Yield, as parts of the report, what 30 and 100 learners take, what a second run and one more
    learner take, and the memory.

    The class of 30 is compared with as many learners given to Flux by hand, on the same lab just
    before.
    """
    smalls: dict[Product, Spent] = {}
    alone: list[Spent] = []
    for product in products:
        with begun(product.lab("bench-class", folder)) as classroom:
            if not product.key:
                alone = measure_flux_alone(classroom.lab, folder / "by-hand", SMALL, ROUNDS)
                print(f"{SMALL} learners by hand: {alone}", flush=True)
                yield beside("class_30", {"Flux alone": median(one.profile for one in alone)})
            smalls[product], _ = up_with(classroom, SMALL, of_lab(classroom.lab))
        spent = smalls[product]
        yield beside("class_30", {product.name: spent.profile})
        yield product.figures(
            {
                "class": {
                    **({} if product.key else against_flux_alone(spent, alone)),
                    "learners_30_processor": round(spent.processor, 1),
                    "learners_30": round(spent.seconds, 1),
                }
            }
        )
    for product, small in smalls.items():
        with begun(product.lab("bench-class", folder)) as classroom:
            yield from _large(product, classroom, small, folder)


def _large(
    product: Product, classroom: Classroom, small: Spent, folder: Path
) -> Iterator[dict[str, Any]]:
    containers = of_lab(classroom.lab)
    before = node_memory(classroom.lab)
    first, _ = up_with(classroom, LARGE, containers)
    after = node_memory(classroom.lab)
    yield beside("class_100", {product.name: first.profile})
    yield product.figures(
        {
            "class": {
                "learners_100_processor": round(first.processor, 1),
                "ratio_100_to_30": round(first.seconds / small.seconds, 2),
                "learners_100": round(first.seconds, 1),
                "node_mib_before": before,
                "node_mib_after": after,
                "mib_per_learner": round((after - before) / LARGE, 1),
            }
        }
    )
    second, changed = up_with(classroom, LARGE, containers)
    yield beside("second_100", {product.name: second.profile})
    yield product.figures(
        {
            "class": {
                "second_run_100_processor": round(second.processor, 1),
                "second_run_100": round(second.seconds, 1),
                "second_run_changes": changed,
            }
        }
    )
    more, _ = up_with(classroom, LARGE + 1, containers)
    yield beside("one_more", {product.name: more.profile})
    status = timed(lambda: classroom.lab.sopslab("status", "--json", check=False))
    yield product.figures(
        {"class": {"add_one": round(more.seconds, 1), "status_100": round(status, 1)}}
    )
    yield product.figures({"class": {"board_100": measure_board(classroom, classroom.lab.folder)}})


def against_flux_alone(first: Spent, alone: Sequence[Spent]) -> dict[str, Any]:
    """Return the ratios of a class to Flux alone, one for each round of Flux alone.

    + first: what `sopslab up` took for the class
    + alone: for each round, what one `kubectl apply` of as many learners took
    """
    return {
        "processor_vs_flux_alone": spread([first.processor / one.processor for one in alone], 2),
        "vs_flux_alone": spread([first.seconds / one.seconds for one in alone], 2),
        "flux_alone": {
            "processor": spread([one.processor for one in alone]),
            "seconds": spread([one.seconds for one in alone]),
        },
    }


@contextmanager
def begun(lab: Lab) -> Iterator[Classroom]:
    """Make a lab without a class for the block, and remove it afterwards."""
    with lab.made():
        # The canary arrives before the last pod is ready.
        lab.kubectl("wait", "pods", "-A", "--all", "--for=condition=Ready", "--timeout=60s")
        yield Classroom(lab)


def up_with(
    classroom: Classroom, learners: int, containers: Mapping[str, str]
) -> tuple[Spent, int]:
    """Run `sopslab up` for this number of learners; return what the run took, and the number of its
    changes.

    + containers: the containers that work for the class, and their groups
    """
    ids = tuple(f"seat-{number:03d}" for number in range(learners))
    answers: list[dict[str, Any]] = []
    spent = measured(
        lambda: answers.append(classroom.up(ids=ids)), containers, lambda: steps_of(answers[-1])
    )
    (answer,) = answers
    print(f"{learners} learners: {spent}, {steps_of(answer)}", flush=True)
    return spent, answer["changed"]


def node_memory(lab: Lab) -> float:
    """Return the memory of the node in MiB, without caches that the kernel can take back."""
    text = run(
        ["docker", "exec", lab.node, "sh", "-c",
         "cat /sys/fs/cgroup/memory/memory.stat /sys/fs/cgroup/memory.stat 2>/dev/null"],
        check=False,
    ).stdout  # fmt: skip
    return round(resident(text) / 2**20, 0)
