"""Results as JUnit XML, as CI shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import click

from sopslab.errors import Exit, LabError
from sopslab.model.results import Result, Status
from sopslab.policy.printing import printable


def _writable(_: click.Context, __: click.Parameter, file: Path | None) -> Path | None:
    # Checked before the run, which takes minutes: its results would be lost at the end.
    if file is not None and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}")
    return file


junit_option = click.option(
    "--junit",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    callback=_writable,
    help="Write JUnit XML to a file.",
)


def write_junit(file: Path, suite: str, results: Sequence[Result], began: datetime) -> None:
    """Write results as JUnit XML. Raises LabError if the file cannot be written."""
    try:
        file.write_text(as_junit(suite, results, began), encoding="utf-8")
    except OSError as error:
        raise LabError(f"{file} cannot be written: {error.strerror}", Exit.INPUT) from None


def as_junit(suite: str, results: Sequence[Result], began: datetime) -> str:
    """Return results as JUnit XML: failed is a failure, unknown an error, not-run skipped.

    + suite: the name of what was tested
    + began: when the run began
    """
    count = {status: sum(result.status is status for result in results) for status in Status}
    totals = {
        "name": suite,
        "tests": str(len(results)),
        "failures": str(count[Status.FAILED]),
        "errors": str(count[Status.UNKNOWN]),
        "skipped": str(count[Status.NOT_RUN]),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }
    suites = ElementTree.Element("testsuites", {k: v for k, v in totals.items() if k != "skipped"})
    timed = {**totals, "timestamp": began.isoformat(timespec="seconds")}
    cases = ElementTree.SubElement(suites, "testsuite", timed)
    for result in results:
        case = ElementTree.SubElement(
            cases,
            "testcase",
            {"classname": suite, "name": result.id, "time": f"{result.seconds:.3f}"},
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
