"""Measure the lab beside the same work done by hand, and write build/bench.json and bench.html.

    python -m tests.bench [--base COMMIT] [PART…]

Both sides of a ratio are measured in the same run, so that the state of the machine affects both.
Each figure comes with the range of what was measured. The report is written after each finding, and
keeps the parts that are not measured this time.
`python -m tests.bench.docs` puts the figures into README.md and docs/.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests import bytecode
from tests.bench import figures, report
from tests.bench.classroom import measure_class
from tests.bench.clusters import measure_clusters
from tests.bench.growth import measure_growth, shortened
from tests.bench.policy import measure_policy
from tests.bench.products import Product, earlier, present
from tests.bench.room import measure_room
from tests.bench.up import measure_up
from tests.cluster.lab import SOPSLAB, run

Part = Callable[[Path, Sequence[Product]], Iterator[dict[str, Any]]]
# The parts that are measured if none is named. The other ones take too long for that.
USUAL: dict[str, Part] = {
    "up": measure_up,
    "class": measure_class,
    "room": measure_room,
    "policy": measure_policy,
}
LONG: dict[str, Part] = {"growth": measure_growth, "clusters": measure_clusters}
PARTS = USUAL | LONG


def main(words: Sequence[str]) -> int:
    """Measure the named parts, and return 0, or 1 if an error ended one of them."""
    arguments = parser().parse_args(words)
    bytecode.keep()
    run([SOPSLAB, "fetch"])
    products = [present(), *([earlier(arguments.base)] if arguments.base else [])]
    try:
        parts = report.load(report.REPORT)
    except (FileNotFoundError, KeyError):
        parts = {}
    for name in arguments.part or USUAL:
        with tempfile.TemporaryDirectory(prefix="sops-lab-bench-") as folder:
            parts = measure(name, Path(folder), products, parts)
    print("\n".join(figures.lines(report.together(parts))))
    print(f"{report.REPORT.with_suffix('.html')} shows where the time goes")
    failed = [name for name in arguments.part or USUAL if "problem" in parts[name]]
    return int(bool(failed))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = argparse.ArgumentParser(prog="python -m tests.bench")
    made.add_argument(
        "part", nargs="*", choices=[*PARTS, []], metavar="PART",
        help=f"what to measure: {', '.join(PARTS)}; without any, {', '.join(USUAL)}",
    )  # fmt: skip
    made.add_argument("--base", metavar="COMMIT", help="measure an earlier commit beside it")
    return made


def measure(
    name: str, folder: Path, products: Sequence[Product], parts: dict[str, Any]
) -> dict[str, Any]:
    """Measure a part, write the report after each of its findings, and return all parts. If an
    error ends the measurement, it is in the report and on standard error."""
    present, *before = products
    part: dict[str, Any] = {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": present.commit,
        **({figures.BASE: before[0].commit} if before else {}),
    }
    started = time.monotonic()
    try:
        for found in PARTS[name](folder, products):
            part = report.added(part, found) | {"seconds": round(time.monotonic() - started)}
            report.save(parts | {name: part}, report.REPORT)
    except Exception as error:
        traceback.print_exc()
        part |= {"problem": shortened(f"{type(error).__name__}: {error}")}
    part |= {"seconds": round(time.monotonic() - started)}
    parts = parts | {name: part}
    report.save(parts, report.REPORT)
    return parts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
