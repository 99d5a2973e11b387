"""How results are shown: for people, as JSON, and as JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.etree import ElementTree

from rich.text import Text

from sopslab.model.results import Result, Status, exit_code
from sopslab.policy.printing import printable

SUITE = "sopslab.verify"

_MARKS = {
    Status.OK: ("✓", "green"),
    Status.FAILED: ("✗", "red"),
    Status.NOT_RUN: ("–", "dim"),
    Status.UNKNOWN: ("?", "yellow"),
}
_WIDTH = 10


def as_json(results: Sequence[Result], work: str | None, exposed: Sequence[str] = ()) -> str:
    """Return the results as one JSON object.

    + work: the clone that was looked at
    + exposed: what stays exposed for ever, of a drill
    """
    answer = {
        "ok": exit_code(results) == 0,
        "clone": work,
        "exposed_for_ever": list(exposed),
        "checks": [
            {
                "id": result.id,
                "status": result.status.value,
                "found": result.found,
                "next": result.next_step,
                "seconds": result.seconds,
            }
            for result in results
        ],
    }
    return json.dumps(answer, indent=2)


def as_text(result: Result) -> Text:
    """Return a result for people: a mark and a sentence, and below it the next step."""
    mark, style = _MARKS[result.status]
    text = Text.assemble(
        (mark, style), " ", f"{result.id:<{_WIDTH}}", (printable(result.found), _tone(result))
    )
    if result.next_step and result.status is not Status.NOT_RUN:
        text.append(f"\n{'':{_WIDTH + 2}}→ ")
        text.append(printable(result.next_step), "bold")
    return text


def _tone(result: Result) -> str:
    return "dim" if result.status is Status.NOT_RUN else ""


def conclusion(results: Sequence[Result]) -> Text:
    """Return the last line: how far the learner is, and what comes next."""
    done = sum(result.status is Status.OK for result in results)
    if done == len(results):
        return Text("Done: the secret went the whole way, and nobody saw its value.", "green")
    first = next(
        (result for result in results if result.status is Status.FAILED and result.next_step),
        next((result for result in results if result.status is Status.UNKNOWN), None),
    )
    text = Text(f"{done} of {len(results)} checks pass.")
    if first is not None and first.next_step:
        text.append(" Next: ")
        text.append(printable(first.next_step), "bold")
    return text


def as_junit(results: Sequence[Result], timestamp: str) -> str:
    """Return the results as JUnit XML: failed is a failure, unknown an error, not-run skipped.

    + timestamp: when the run began, in ISO 8601
    """
    count = {status: sum(result.status is status for result in results) for status in Status}
    totals = {
        "name": SUITE,
        "tests": str(len(results)),
        "failures": str(count[Status.FAILED]),
        "errors": str(count[Status.UNKNOWN]),
        "skipped": str(count[Status.NOT_RUN]),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }
    suites = ElementTree.Element("testsuites", {k: v for k, v in totals.items() if k != "skipped"})
    suite = ElementTree.SubElement(suites, "testsuite", {**totals, "timestamp": timestamp})
    for result in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {"classname": SUITE, "name": result.id, "time": f"{result.seconds:.3f}"},
        )
        found = printable(result.found)
        told = f"{found}\nNext: {printable(result.next_step)}" if result.next_step else found
        match result.status:
            case Status.FAILED:
                kind = {"message": found, "type": result.status.value}
                ElementTree.SubElement(case, "failure", kind).text = told
            case Status.UNKNOWN:
                kind = {"message": found, "type": result.status.value}
                ElementTree.SubElement(case, "error", kind).text = told
            case Status.NOT_RUN:
                ElementTree.SubElement(case, "skipped", {"message": found})
            case Status.OK:
                ElementTree.SubElement(case, "system-out").text = found
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
