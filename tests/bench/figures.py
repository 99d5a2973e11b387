"""What the bench has measured, as lines to print and as the table in README.md.

    python -m tests.bench.figures            # build/bench.json into README.md

Processor seconds and ratios come first: seconds differ twofold between a good hour and a bad one.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sopslab.layout import PROJECT

BEGIN = "<!-- figures: made by `python -m tests.bench.figures` from build/bench.json -->"
END = "<!-- figures: end -->"
REPORT = PROJECT / "build" / "bench.json"
README = PROJECT / "README.md"


def spread(values: Sequence[float], digits: int = 1) -> dict[str, Any]:
    """Return the median of what was seen, its range, and all of it, rounded."""
    seen = [round(value, digits) for value in values]
    median = round(statistics.median(values), digits)
    return {"median": median, "range": [min(seen), max(seen)], "seen": seen}


def rows(report: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return what was measured: the work, its processor seconds, its ratio, and its seconds.

    What a report does not have gives no row.
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
        alone = taken["flux_alone"]
        found += [
            (
                "a class of 30 on a lab that is up, to the canary of each; the ratio is to the same"
                " 30 applied to Flux by hand with one `kubectl apply`",
                f"{taken['learners_30_processor']} (by hand {_of(alone['processor'])})",
                f"{_of(taken['processor_vs_flux_alone'])} of processor seconds,"
                f" {_of(taken['vs_flux_alone'])} of seconds",
                f"{taken['learners_30']} s (by hand {_of(alone['seconds'])} s)",
            ),
            (
                "a class of 100; the ratio is to one of 30",
                str(taken["learners_100_processor"]),
                str(taken["ratio_100_to_30"]),
                f"{taken['learners_100']} s",
            ),
            (
                "second run on a class of 100, nothing to do",
                str(taken["second_run_100_processor"]),
                str(round(taken["second_run_100"] / taken["learners_100"], 2)),
                f"{taken['second_run_100']} s",
            ),
        ]
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
    if room := report.get("room"):
        found += [
            (
                f"what tools and images a seat of a room is sent ({room['entries_mb']} MB); the"
                " ratio is to the same by `tar | zstd | ssh`",
                "",
                _of(room["delivery_vs_tar"]),
                f"{_of(room['delivery'])} s",
            ),
            (
                f"second run over {room['seats']} seats, nothing to do; the ratio is to one over"
                " the slowest seat",
                "",
                _of(room["second_run_vs_slowest_alone"]),
                f"{_of(room['second_run'])} s",
            ),
        ]
    if clusters := report.get("clusters"):
        small, large = clusters["small"], clusters["large"]
        found += [
            (
                f"a class of {clusters['learners_on_nodes']} on three nodes that somebody made; the"
                " ratio is to the same on one",
                "",
                f"{clusters['ratio_three_to_one']:g}",
                f"{clusters['three_nodes']} s",
            ),
            (
                f"a class of {large['learners']} in a cluster with {clusters['fake_nodes']} fake"
                f" nodes; the ratio is to one of {small['learners']}",
                f"{large['up_processor']}",
                f"{clusters['ratio_large_to_small']:g}",
                f"{large['up']} s",
            ),
            (
                f"second run with {clusters['fake_pods']} fake pods, nothing to do",
                "",
                f"{large['second_up'] / large['up']:.2g}",
                f"{large['second_up']} s",
            ),
        ]
    if policy := report.get("policy"):
        found += [
            (what, "", "", f"{policy[key]} s")
            for what, key in (
                ("the hook on a commit of 20 files", "commit_of_20_seconds"),
                ("the server's hook on a push of 1,000 files", "push_of_1000_seconds"),
            )
        ]
    return found


def _of(seen: Mapping[str, Any]) -> str:
    """Return a median with the range around it, where there is one."""
    low, high = seen["range"]
    if low == high:
        return f"{seen['median']:g}"
    return f"{seen['median']:g} ({low:g} to {high:g})"


def lines(report: Mapping[str, Any]) -> list[str]:
    """Return what the bench prints: processor seconds and ratios, then seconds."""
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
    """Return the same as a table of Markdown, ended by a newline."""
    head = ("what", "processor seconds", "ratio", "seconds on the clock")
    cells = [head, ("---",) * 4, *rows(report)]
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in cells)


def rewritten(text: str, report: Mapping[str, Any]) -> str:
    """Return a text with what was measured between the two marks.

    Raises ValueError if each of the marks is not there exactly once, the first one first.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise ValueError(f"one line `{BEGIN}` and after it one `{END}` are needed")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(report)}\n{END}{after}"


def main() -> int:
    """Put the figures of the last bench into README.md; return 0, or 1 where that cannot be."""
    try:
        report = json.loads(REPORT.read_text())
        README.write_text(rewritten(README.read_text(), report))
    except FileNotFoundError as error:
        print(f"{error.filename} is not there: `make bench` makes it", file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"{REPORT} has no {error}: it is an older one, `make bench` again", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"{README}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
