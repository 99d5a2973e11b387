"""Where the time of a test run went: each test's, and each verb's that the tests ran."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from sopslab.layout import PROJECT

FOLDER = Path(PROJECT) / "build" / "durations"
_VERBS = "verbs.jsonl"


def note_verb(verb: str, seconds: float, folder: Path = FOLDER) -> None:
    """Note that a test ran `sopslab VERB`, and for how long."""
    folder.mkdir(parents=True, exist_ok=True)
    # In one write, because several workers append to the same file.
    with (folder / _VERBS).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"verb": verb, "seconds": round(seconds, 2)}) + "\n")


def slowest_tests(count: int, folder: Path = FOLDER) -> list[tuple[float, str]]:
    """Return seconds and id of the slowest tests in the folder's JUnit files, slowest first.

    The seconds of a test include those of its own fixtures.
    """
    found = [
        (float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')}")
        for path in folder.glob("*.xml")
        for case in ElementTree.parse(path).iter("testcase")
    ]
    return sorted(found, reverse=True)[:count]


def verbs(folder: Path = FOLDER) -> list[tuple[float, int, str]]:
    """Return seconds, number of runs and name of each verb that was noted, longest first."""
    path = folder / _VERBS
    runs: dict[str, list[float]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        record = json.loads(line)
        runs[record["verb"]].append(record["seconds"])
    return sorted(((sum(one), len(one), verb) for verb, one in runs.items()), reverse=True)
