"""What the bench has measured, as lines to print and as tables in README.md and the docs.

`python -m tests.bench.docs` puts the tables there. Processor seconds and ratios come first, because
seconds on the clock double between a good hour and a bad one.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

# The key in a report below which the same figures of an earlier commit are.
BASE = "base"


def spread(values: Sequence[float], digits: int = 1) -> dict[str, Any]:
    """Return the median of some values, their range, and the values themselves, all rounded."""
    seen = [round(value, digits) for value in values]
    median = round(statistics.median(values), digits)
    return {"median": median, "range": [min(seen), max(seen)], "seen": seen}


def rows(report: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return a row for each work that was measured: its name, its processor seconds, its ratio, and
    its seconds.

    Work that a report does not have gives no row.
    """
    found = []
    if up := report.get("up_vs_by_hand"):
        found.append(
            (
                "from nothing to the canary, store filled; the ratio is to the stock commands one"
                " after the other",
                f"{_of(up['up_processor'])} (by hand {_of(up['by_hand_processor'])})",
                f"{_of(up['processor_ratio'])} of processor seconds, {_of(up['ratio'])} of seconds",
                f"{_of(up['up'])} s (by hand {_of(up['by_hand'])} s)",
            )
        )
    if second := report.get("second_up"):
        found.append(
            (
                "second run, nothing to do",
                _of(second["processor"]),
                f"{_of(second['ratio'])} of the first run's seconds",
                f"{_of(second['seconds'])} s",
            )
        )
    if push := report.get("push_to_secret"):
        found.append(
            (
                "`git push` to the new value in the cluster",
                "",
                "",
                f"{push['p95']} s (95th percentile of {push['pushes']};"
                f" {push['min']} to {push['max']})",
            )
        )
    if taken := report.get("class"):
        found += _of_class(taken)
    if room := report.get("room"):
        found.append(
            (
                f"what tools and images a seat of a room is sent ({room['entries_mb']} MB); the"
                " ratio is to the same by `tar | zstd | ssh`",
                "",
                _of(room["delivery_vs_tar"]),
                f"{_of(room['delivery'])} s",
            )
        )
        if "second_run" in room:
            found.append(
                (
                    f"second run over {room['seats']} seats, nothing to do; the ratio is to one"
                    " over the slowest seat",
                    "",
                    _of(room["second_run_vs_slowest_alone"]),
                    f"{_of(room['second_run'])} s",
                )
            )
    if clusters := report.get("clusters"):
        found += _of_clusters(clusters)
    if policy := report.get("policy"):
        found += [
            (what, "", "", f"{policy[key]} s")
            for what, key in (
                ("the hook on a commit of 20 files", "commit_of_20_seconds"),
                ("the server's hook on a push of 1,000 files", "push_of_1000_seconds"),
            )
        ]
    return found


def _of_class(taken: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the rows of a class. Figures may be missing: Flux alone is measured only beside the
    present product, and the class of 100 is measured after the class of 30."""
    alone = taken.get("flux_alone")
    hand = {
        key: f" (by hand {_of(alone[key])}{unit})" if alone else ""
        for key, unit in (("processor", ""), ("seconds", " s"))
    }
    ratios = (
        f"{_of(taken['processor_vs_flux_alone'])} of processor seconds,"
        f" {_of(taken['vs_flux_alone'])} of seconds"
        if alone
        else ""
    )
    found = [
        (
            "a class of 30 on a lab that is up, to the canary of each; the ratio is to the same"
            " 30 applied to Flux by hand with one `kubectl apply`",
            f"{taken['learners_30_processor']}{hand['processor']}",
            ratios,
            f"{taken['learners_30']} s{hand['seconds']}",
        )
    ]
    if "learners_100" in taken:
        found.append(
            (
                "a class of 100; the ratio is to one of 30",
                str(taken["learners_100_processor"]),
                str(taken["ratio_100_to_30"]),
                f"{taken['learners_100']} s",
            )
        )
    if "second_run_100" in taken:
        found.append(
            (
                "second run on a class of 100, nothing to do",
                str(taken["second_run_100_processor"]),
                str(round(taken["second_run_100"] / taken["learners_100"], 2)),
                f"{taken['second_run_100']} s",
            )
        )
    if seen := taken.get("board_100"):
        found.append(
            (
                f"the board of a class of 100 with {seen['viewers']} viewers and a push every"
                f" 20 s, to the change on the page ({seen['page_kib']:g} KiB)",
                f"{seen['cores']:g} of a core",
                "",
                f"{_of(seen['push_to_page'])} s",
            )
        )
    return found


def _of_clusters(taken: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    found = []
    if "three_nodes" in taken:
        found.append(
            (
                f"a class of {taken['learners_on_nodes']} on three nodes that somebody made; the"
                " ratio is to the same on one",
                "",
                f"{taken['ratio_three_to_one']:g}",
                f"{taken['three_nodes']} s",
            )
        )
    if "large" in taken:
        small, large = taken["small"], taken["large"]
        found += [
            (
                f"a class of {large['learners']} in a cluster with {taken['fake_nodes']} fake"
                f" nodes; the ratio is to one of {small['learners']}",
                f"{large['up_processor']}",
                f"{taken['ratio_large_to_small']:g}",
                f"{large['up']} s",
            ),
            (
                f"second run with {taken['fake_pods']} fake pods, nothing to do",
                "",
                f"{large['second_up'] / large['up']:.2g}",
                f"{large['second_up']} s",
            ),
        ]
    return found


def _of(seen: Mapping[str, Any]) -> str:
    """Return a median, with the range if the values differ."""
    low, high = seen["range"]
    if low == high:
        return f"{seen['median']:g}"
    return f"{seen['median']:g} ({low:g} to {high:g})"


def lines(report: Mapping[str, Any]) -> list[str]:
    """Return the lines that the bench prints: processor seconds and ratios, then seconds."""
    return [
        f"{work}: " + ", ".join(
            part
            for part in (
                f"processor seconds {processor}" if processor else "",
                f"ratio {ratio}" if ratio else "",
                seconds,
            )
            if part
        )
        for work, processor, ratio, seconds in rows(report)
    ]  # fmt: skip


def table(report: Mapping[str, Any]) -> str:
    """Return the report as a table of Markdown that ends with a newline."""
    head = ("what", "processor seconds", "ratio", "seconds on the clock")
    return markdown([head, *rows(report)])


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """Return rows as a table of Markdown that ends with a newline. The first row is its head."""
    head, *others = cells
    found = [head, ("---",) * len(head), *others]
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in found)
