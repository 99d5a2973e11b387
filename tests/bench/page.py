"""The bench's report as a page that needs no other file: build/bench.html. Pure text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from tests.bench.figures import BASE, rows
from tests.bench.flame import colour_of, drawn, flame
from tests.bench.profile import Profile

# The titles of works whose profiles are shown side by side, by the keys in the report.
TITLES = {
    "up": "From nothing to the canary",
    "second_up": "Second run, nothing to do",
    "class_30": "A class of 30 on a lab that is up",
    "class_100": "A class of 100 on a lab that is up",
    "second_100": "Second run on a class of 100, nothing to do",
    "one_more": "One learner more beside 100",
}
# The titles of works on a class of some size, by the beginning of the key.
_OF_SIZE = {"growth_": "A class of {}, as it grows", "idle_": "A class of {}, and nothing is done"}
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d5d9de; --pale: #59636e;
  --plain: #e4e7eb; --first: #bcd7f7; --second: #f7d3b0; --third: #c5e6c8; --fourth: #e3cdf3; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --paper: #16191d; --line: #3a4047; --pale: #a3abb5;
    --plain: #343a42; --first: #1f4a7a; --second: #74441a; --third: #245c2c; --fourth: #573277; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 75rem; padding: 1rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { max-width: 45rem; } .pale { color: var(--pale); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
th:first-child, td:first-child { text-align: left; min-width: 11rem; }
.words th, .words td { text-align: left; min-width: 7rem; }
.words th:first-child { min-width: 14rem; } .runs th:first-child { min-width: 5rem; }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
.flame { display: block; min-width: 34rem; }
.flame text { font: 12px system-ui, sans-serif; fill: var(--ink); }
""" + "".join(
    f".flame .{name} {{ fill: var(--{name}); }} .key.{name} {{ background: var(--{name}); }}\n"
    for name in ("plain", "first", "second", "third", "fourth")
)  # fmt: skip


def page(report: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """Return the report as HTML.

    + report: what all parts have found
    + parts: by name, when each part was measured, and for which commit
    """
    compared = {
        key: {name: Profile.of_dict(kept) for name, kept in found.items()}
        for key, found in report.get("profiles", {}).items()
    }
    # A group has the same colour everywhere.
    groups = sorted(
        {
            group
            for profiles in compared.values()
            for one in profiles.values()
            for (group,) in one.by(1)
        }
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>sops-lab: bench</title><style>{_STYLE}</style></head><body>",
            "<h1>Where the time goes</h1>",
            *_runs(parts),
            *_figures(report),
            *(
                line
                for key, profiles in compared.items()
                for line in _compared(title_of(key), profiles, groups)
            ),
            "</body></html>\n",
        ]
    )


def title_of(key: str) -> str:
    """Return the title of some work, by the key of its profiles in the report."""
    for beginning, title in _OF_SIZE.items():
        if key.startswith(beginning):
            return title.format(key.removeprefix(beginning))
    return TITLES.get(key, key)


def _runs(parts: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table of when each part was measured, with the problem that ended it, if any."""
    if not parts:
        return
    heads = ("part", "measured", "commit", "beside", "minutes", "problem")
    cells = [
        (name, one["at"], one["commit"], one.get(BASE, ""), f"{one['seconds'] / 60:.1f}",
         one.get("problem", ""))
        for name, one in parts.items()
    ]  # fmt: skip
    yield from _table(heads, cells, "words runs")
    yield (
        '<p class="pale">Processor seconds are those of the containers and of what the command'
        " starts; Docker’s own daemon is left out. Compare what was measured in the same part"
        " only.</p>"
    )


def _figures(report: Mapping[str, Any]) -> Iterator[str]:
    heads = ["what", "processor seconds", "ratio", "seconds on the clock"]
    found = {row[0]: list(row) for row in rows(report)}
    base = {row[0]: row for row in rows(report.get(BASE, {}))}
    if base:
        heads += ["processor seconds before", "seconds before"]
        for what, row in found.items():
            _, processor, _, seconds = base.get(what, ("",) * 4)
            row += [processor, seconds]
    if found:
        yield "<h2>Figures</h2>"
        yield from _table(heads, found.values(), "words")


def _compared(title: str, profiles: Mapping[str, Profile], groups: Sequence[str]) -> Iterator[str]:
    """Yield what some work took in each run, and the flame of each run."""
    yield f"<h2>{escape(title)}</h2>"
    yield from _totals(profiles, groups)
    yield from _steps(profiles)
    full = max(one.processor for one in profiles.values())
    for name, profile in profiles.items():
        yield f'<h3>{escape(name)}</h3><div class="wide">'
        yield drawn(flame(name, profile, groups), full).replace("\n", "")
        yield "</div>"
    yield from _components(profiles, groups)


def _totals(profiles: Mapping[str, Profile], groups: Sequence[str]) -> Iterator[str]:
    keys = {
        group: f'<span class="key {colour_of(group, groups)}"></span>{escape(group)}'
        for group in groups
        if any((group,) in one.by(1) for one in profiles.values())
    }
    yield '<div class="wide"><table><tr><th></th>'
    yield from (f"<th>{escape(name)}</th>" for name in profiles)
    lines: list[tuple[str, list[str]]] = [
        ("seconds on the clock", [f"{one.seconds:.1f}" for one in profiles.values()]),
        ("processor seconds", [f"{one.processor:.1f}" for one in profiles.values()]),
        *(
            (key, [_number(one.by(1).get((group,))) for one in profiles.values()])
            for group, key in keys.items()
        ),
        *(
            (f"{key}, MiB at most", [
                _number(one.peaks.get((group, "")), 0) for one in profiles.values()
            ])
            for group, key in keys.items()
        ),
    ]  # fmt: skip
    for head, cells in lines:
        yield f"</tr><tr><td>{head}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}"
    yield "</tr></table></div>"


def _steps(profiles: Mapping[str, Profile]) -> Iterator[str]:
    """Yield a table of the steps' seconds and processor seconds, for runs with steps."""
    stepped = {name: one for name, one in profiles.items() if len(one.steps) > 1}
    if not stepped:
        return
    heads = ["step"]
    for name in stepped:
        heads += [f"{name}: seconds", "processor"]
    names = dict.fromkeys(step for one in stepped.values() for step in one.steps)
    cells = []
    for step in names:
        cell = [step]
        for one in stepped.values():
            cell += [_number(one.steps.get(step)), _number(one.by(0).get((step,)))]
        cells.append(cell)
    yield from _table(heads, cells)


def _components(profiles: Mapping[str, Profile], groups: Sequence[str]) -> Iterator[str]:
    """Yield a table of the components' processor seconds and memory, by group and largest first."""
    heads = ["component"]
    for name in profiles:
        heads += [f"{name}: processor", "MiB"]
    cells = []
    for group in groups:
        names = dict.fromkeys(
            name
            for one in profiles.values()
            for (its, name), _ in sorted(one.by(1, 2).items(), key=lambda item: -item[1])
            if its == group
        )
        for name in names:
            cell = [f"{group}: {name}"]
            for one in profiles.values():
                seconds = one.by(1, 2).get((group, name))
                cell += [_number(seconds), _number(one.peaks.get((group, name)), 0)]
            if any(cell[1::2]):
                cells.append(cell)
    yield from _table(heads, cells)


def _number(value: float | None, digits: int = 2) -> str:
    """Return a number as text, "" for None and for what would be shown as 0."""
    return "" if value is None or not round(value, digits) else f"{value:.{digits}f}"


def _table(
    heads: Iterable[str], cells: Iterable[Sequence[str]], kind: str = "numbers"
) -> Iterator[str]:
    yield f'<div class="wide"><table class="{kind}"><tr>'
    yield "".join(f"<th>{escape(head)}</th>" for head in heads)
    for row in cells:
        yield f"</tr><tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}"
    yield "</tr></table></div>"
