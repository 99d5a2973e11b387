"""How the cost of a class grows, as far as this machine can go: 10, 30, 100 and 300 learners, each
time on a new lab without learners. This part takes so long that it is measured only if it is named.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench.classroom import begun, node_memory, up_with
from tests.bench.processor import measured, of_lab
from tests.bench.products import Product
from tests.bench.up import beside, timed
from tests.cluster.lab import Lab, run

SIZES = (10, 30, 100, 300)
IDLE_S = 60.0
_DATABASE = "/var/lib/etcd/member/snap/db"


def measure_growth(folder: Path, products: Sequence[Product]) -> Iterator[dict[str, Any]]:
    """Yield, as parts of the report, what each size takes, and the first size at which a run
    fails."""
    for product in products:
        sizes: list[dict[str, Any]] = []
        for learners in SIZES:
            try:
                yield from _of_size(product, folder, learners, sizes)
            except AssertionError as error:
                limit = {"learners": learners, "why": shortened(str(error))}
                yield product.figures({"growth": {"sizes": list(sizes), "limit": limit}})
                break


def shortened(words: str, most: int = 300) -> str:
    """Return the first line of a text, cut to `most` characters."""
    line = (words.splitlines() or [""])[0]
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _of_size(
    product: Product, folder: Path, learners: int, sizes: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Measure one size, add it to the smaller ones, and yield all of them, and two profiles."""
    with begun(product.lab(f"bench-of-{learners}", folder)) as classroom:
        lab, containers = classroom.lab, of_lab(classroom.lab)
        before = node_memory(lab)
        first, _ = up_with(classroom, learners, containers)
        after = node_memory(lab)
        second, changed = up_with(classroom, learners, containers)
        status = timed(lambda: lab.sopslab("status", "--json", check=False))
        idle = measured(lambda: time.sleep(IDLE_S), containers)
        sizes.append(
            {
                "learners": learners,
                "up": round(first.seconds, 1),
                "up_processor": round(first.processor, 1),
                "second_up": round(second.seconds, 1),
                "second_processor": round(second.processor, 1),
                "second_changes": changed,
                "status": round(status, 1),
                "node_mib_before": before,
                "node_mib": after,
                "etcd_mib": etcd_mib(lab),
                "idle_cores": round(idle.processor / idle.seconds, 2),
            }
        )
    yield product.figures({"growth": {"sizes": list(sizes)}})
    yield beside(f"growth_{learners}", {product.name: first.profile})
    yield beside(f"idle_{learners}", {product.name: idle.profile})


def etcd_mib(lab: Lab) -> float:
    """Return the size of etcd's file, in MiB."""
    size = run(["docker", "exec", lab.node, "stat", "--format=%s", _DATABASE]).stdout
    return round(int(size) / 2**20, 1)
