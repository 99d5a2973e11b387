"""The order of the checks, exit codes, and the forms in which results are shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typing_extensions import override

from sopslab.checks.rules.machine import HOOKS_PATH
from sopslab.checks.rules.table import Step
from sopslab.checks.snapshot import Cluster, GitServer, Guard, Part, Snapshot, Tool
from sopslab.checks.verification import NEEDS
from sopslab.cli import answers
from sopslab.cli import verification_report as report
from sopslab.cli.junit import as_junit
from sopslab.lab import verification as checks
from sopslab.lab.observe.observer import Observer, Viewpoint
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.results import Result, Status, Undecided, Verdict, exit_code, undecided
from sopslab.model.trouble import Trouble
from tests.marks import mostly_soak
from tests.unit.doctor.doctor_material import edited, facets, healthy
from tests.unit.verification.verification_material import verdict

LISTED = checks.checks(embedded_server=True)


class Looking:
    """An observer of a lab that is in one state at first, and in another after a wait for Flux."""

    def __init__(self, first: Snapshot, then: Snapshot | None = None) -> None:
        self.first, self.then = first, then or first
        self.waits: list[float] = []

    def inside(self, _viewpoint: Viewpoint) -> Snapshot:
        """Return the first state."""
        return self.first

    def await_flux(
        self, _seen: Snapshot, _reached: Callable[[Snapshot], bool], deadline: Deadline
    ) -> Snapshot:
        """Record the wait, and return the second state."""
        self.waits.append(deadline.left)
        return self.then


def run(
    first: Snapshot, then: Snapshot | None = None, wait: float = 0
) -> tuple[dict[str, Result], list[float]]:
    """Return the result of each check, and the seconds of each wait for Flux."""
    looking = Looking(first, then)
    told: list[Result] = []
    viewpoint = Viewpoint(first.environment, None, first.chapter)
    results = checks.verify(cast(Observer, looking), viewpoint, LISTED, wait, told.append)
    assert told == results
    return {one.id: one for one in results}, looking.waits


def test_a_lab_that_is_well_passes_every_check_without_a_wait() -> None:
    results, waits = run(healthy(), wait=60)

    assert list(results) == list(LISTED)
    assert {one.status for one in results.values()} == {Status.OK}
    assert waits == []


def test_what_needs_a_failed_check_is_not_run_and_says_which() -> None:
    results, _ = run(facets(cluster=Cluster(Trouble.REFUSED))(healthy()))

    assert results["cluster"].status is Status.FAILED
    for name in ("flux", "key", "source", "applied", "secret"):
        assert results[name].status is Status.NOT_RUN
        assert results[name].found == "not looked at, since cluster failed."
        assert results[name].next_step == results["cluster"].next_step
    assert results["encrypted"].status is Status.OK


def test_what_is_unknown_or_does_not_block_keeps_nothing_else_from_being_judged() -> None:
    other = Tool("sops", "3.13.3", "3.13.3", True, "/old/sops", "3.7.3")
    silent = Undecided("nobody answered", "ask again")
    results, _ = run(facets(tools=[other], cluster=silent)(healthy()))

    assert results["tools"].status is Status.FAILED
    assert results["cluster"].status is Status.UNKNOWN
    assert (results["cluster"].found, results["cluster"].next_step) == (
        "nobody answered.",
        "ask again",
    )
    assert results["key"].status is results["encrypted"].status is Status.OK


def _behind() -> Snapshot:
    old = {"revision": f"main@sha1:{'0' * 40}"}
    return edited("sources", "learner", lambda one: one["status"].update(artifact=old))(healthy())


def test_flux_is_given_time_for_what_it_has_not_done_and_no_more() -> None:
    results, waits = run(_behind(), healthy(), wait=60)
    assert {one.status for one in results.values()} == {Status.OK}
    assert len(waits) == 1 and 0 < waits[0] <= 60

    results, waits = run(_behind(), healthy())
    assert (results["source"].status, waits) == (Status.FAILED, [])


def test_what_flux_is_at_the_moment_is_waited_for_without_being_asked() -> None:
    ready = [{"type": "Ready", "status": "Unknown"}]
    busy = edited("sources", "learner", lambda one: one["status"].update(conditions=ready))
    results, waits = run(busy(healthy()), healthy())

    assert results["source"].status is Status.OK
    assert len(waits) == 1 and 0 < waits[0] <= 5


def test_each_check_is_told_as_it_turns_and_what_is_waited_for_before() -> None:
    told: list[str] = []

    class Turning(Looking):
        @override
        def await_flux(
            self, seen: Snapshot, reached: Callable[[Snapshot], bool], deadline: Deadline
        ) -> Snapshot:
            """Record the wait, and return the second state."""
            told.append("flux is given time")
            return super().await_flux(seen, reached, deadline)

    looking = Turning(_behind(), healthy())
    viewpoint = Viewpoint(looking.first.environment, None, looking.first.chapter)
    checks.verify(
        cast(Observer, looking), viewpoint, LISTED, 60,
        lambda result: told.append(f"{result.id} {result.status}"),
        lambda step, found, seconds: told.append(f"{step} waits {round(seconds)}: {found}"),
    )  # fmt: skip
    at = told.index("flux is given time")

    assert told[at - 2 : at + 3] == [
        "pushed ok",
        told[at - 1],
        "flux is given time",
        "source ok",
        "applied ok",
    ]
    assert told[at - 1].startswith("source waits 60: Flux has not read ")


def test_nothing_is_waited_for_that_time_does_not_bring() -> None:
    told: list[str] = []
    for first, wait in ((healthy(), 60.0), (_behind(), 0.0)):
        looking = Looking(first)
        viewpoint = Viewpoint(first.environment, None, first.chapter)
        checks.verify(
            cast(Observer, looking), viewpoint, LISTED, wait,
            tell_wait=lambda step, _found, _seconds: told.append(step),
        )  # fmt: skip
    assert told == []


def test_the_line_about_a_wait_says_what_for_and_for_how_long() -> None:
    line = report.waiting("source", "Flux has not read abc yet.", 59.6)
    assert line.plain == "… source    Flux has not read abc yet; waiting for up to 60 s"


def test_every_need_is_an_earlier_check() -> None:
    seen: set[Step] = set()
    for step in LISTED:
        assert set(NEEDS[step]) <= seen
        seen.add(step)
    assert seen == NEEDS.keys()
    assert [*checks.checks(embedded_server=False), Step.SERVER] == LISTED


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], 0),
        ([Status.OK], 0),
        ([Status.OK, Status.FAILED, Status.NOT_RUN], 1),
        ([Status.UNKNOWN, Status.OK], 2),
        ([Status.UNKNOWN, Status.FAILED], 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst_result(statuses: list[Status], code: int) -> None:
    assert exit_code(Result("x", status, "", "", 0) for status in statuses) == code


RESULTS = [
    Result("good", Status.OK, "all fine.", "", 0.5),
    Result("bad", Status.FAILED, 'a "wrong" <thing> & more.', "mend --it 'now'", 0.25),
    Result("later", Status.NOT_RUN, "not looked at, since bad failed.", "mend --it 'now'", 0),
    Result("odd", Status.UNKNOWN, "nobody answered.", "", 1),
]


def test_json_has_every_check_with_its_next_step() -> None:
    told = answers.of_checks(RESULTS, "/work")

    assert told["ok"] is False
    assert told["clone"] == "/work"
    assert told["exposed_for_ever"] == []
    assert told["checks"][1] == {
        "id": "bad",
        "status": "failed",
        "found": 'a "wrong" <thing> & more.',
        "next": "mend --it 'now'",
        "seconds": 0.25,
    }


BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def _assert_junit(text: str, results: list[Result]) -> ElementTree.Element:
    """Assert what the JUnit schema of Jenkins and the readers of GitLab and GitHub require."""
    suites = ElementTree.fromstring(text)
    (suite,) = suites
    assert (suites.tag, suite.tag) == ("testsuites", "testsuite")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [result.id for result in results]
    assert list(suite) == cases
    for tag, count in (
        ("tests", len(cases)),
        ("failures", len(suite.findall("testcase/failure"))),
        ("errors", len(suite.findall("testcase/error"))),
        ("skipped", len(suite.findall("testcase/skipped"))),
    ):
        assert suite.get(tag) == str(count)
    for case in cases:
        assert case.get("classname") == "sopslab.verify"
        assert float(case.get("time", "")) >= 0
        assert len(case) == 1
        assert case[0].tag in {"failure", "error", "skipped", "system-out"}
    return suite


def test_junit_tells_failed_unknown_and_not_run_apart() -> None:
    text = as_junit("sopslab.verify", RESULTS, BEGAN)
    suite = _assert_junit(text, RESULTS)
    failure, skipped, error = (
        suite.find(f"testcase/{tag}") for tag in ("failure", "skipped", "error")
    )

    assert failure is not None and error is not None and skipped is not None
    assert failure.get("message") == 'a "wrong" <thing> & more.'
    assert "mend --it 'now'" in (failure.text or "")
    assert error.get("type") == "unknown"
    assert suite.get("timestamp") == "2026-01-01T00:00:00+00:00"


@given(
    st.lists(
        st.builds(
            Result,
            st.text(st.characters(categories=["Ll"]), min_size=1),
            st.sampled_from(Status),
            st.text(),
            st.text(),
            st.floats(0, 1000),
        ),
        max_size=5,
    )
)
def test_whatever_is_found_the_reports_can_be_read(results: list[Result]) -> None:
    _assert_junit(as_junit("sopslab.verify", results, BEGAN), results)
    assert len(json.loads(json.dumps(answers.of_checks(results, None)))["checks"]) == len(results)
    for result in results:
        assert "\x1b" not in report.as_text(result).plain


def test_the_text_has_a_mark_a_sentence_and_the_command() -> None:
    out = StringIO()
    console = Console(file=out, highlight=False, width=40)
    for result in RESULTS:
        console.print(report.as_text(result), soft_wrap=True)
    console.print(report.conclusion(RESULTS), soft_wrap=True)

    assert out.getvalue().splitlines() == [
        "✓ good      all fine.",
        '✗ bad       a "wrong" <thing> & more.',
        "            → mend --it 'now'",
        "– later     not looked at, since bad failed.",
        "? odd       nobody answered.",
        "1 of 4 checks pass. Next: mend --it 'now'",
    ]


def test_the_last_line_of_a_finished_chapter_is_a_happy_one() -> None:
    assert report.conclusion(RESULTS[:1]).plain.startswith("Done:")


SOPS = Tool("sops", "3.13.3", "3.13.3")


@pytest.mark.parametrize(
    ("tool", "status", "found", "next_step", "blocking"),
    [
        (SOPS, Status.OK, "sops 3.13.3.", "", True),
        (Tool("sops", "3.13.3", None), Status.FAILED, "does not run", "sopslab up", True),
        (Tool("sops", "3.13.3", "3.7.3"), Status.FAILED, "is 3.7.3, and", "sopslab up", True),
        (
            Tool("sops", "3.13.3", "3.13.3", True, "/old/sops", "3.7.3"),
            Status.FAILED,
            "/old/sops is 3.7.3, not 3.13.3",
            'eval "$(sopslab env)"',
            False,
        ),
        (
            Tool("sops", "3.13.3", "3.13.3", True, "/odd/sops"),
            Status.FAILED,
            "of an unknown version",
            'eval "$(sopslab env)"',
            False,
        ),
        (Tool("sops", "3.13.3", "3.13.3", True, "/b/sops", "3.13.3"), Status.OK, "", "", True),
        (Tool("sops", "3.13.3", "3.13.3", False), Status.OK, 'eval "$(sopslab env)"', "", True),
    ],
)
def test_tools_are_the_pinned_ones_and_first_in_path(
    tool: Tool, status: Status, found: str, next_step: str, blocking: bool
) -> None:
    told = verdict(Step.TOOLS, facets(tools=[tool])(healthy()))

    assert (told.status, told.next_step, told.blocking) == (status, next_step, blocking)
    assert found in told.found


def _server(answer: int | None, hooks: str | None, hook: Part, policy: Part) -> Verdict:
    server = GitServer("http://git", answer, Guard(hooks, hook, policy))
    return verdict(Step.SERVER, facets(server=server)(healthy()))


@pytest.mark.parametrize(
    ("answer", "hooks", "hook", "policy", "found"),
    [
        (None, HOOKS_PATH, Part.SAME, Part.SAME, "does not answer"),
        (200, HOOKS_PATH, Part.SAME, Part.SAME, "answers 200"),
        (401, None, Part.SAME, Part.SAME, "not configured"),
        (401, HOOKS_PATH, Part.MISSING, Part.SAME, "hook: is missing"),
        (401, HOOKS_PATH, Part.OTHER, Part.SAME, "hook: is not what this"),
        (401, HOOKS_PATH, Part.SAME, Part.OTHER, "the Git server's hook: is not what this"),
    ],
)
def test_a_git_server_without_its_guard_is_not_ok(
    answer: int | None, hooks: str | None, hook: Part, policy: Part, found: str
) -> None:
    told = _server(answer, hooks, hook, policy)

    assert (told.status, told.next_step) == (Status.FAILED, "sopslab up")
    assert found in told.found


def test_a_guarded_git_server_is_well() -> None:
    assert _server(401, HOOKS_PATH, Part.SAME, Part.SAME).status is Status.OK


COMMAND = (
    "import sys; sys.argv[0] = 'sopslab'; from sopslab.cli.verbs.verify import verify; verify()"
)


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the command on a machine without a lab."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOPSLAB_")}
    environment = {**kept, "SOPSLAB_ROOT": str(tmp_path / "root"), "SOPSLAB_LAB": "none-here"}
    return lambda *arguments: subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        env={**environment, "PYTHONPATH": str(Path(report.__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_a_lab_everything_that_is_missing_is_said(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = command("--json", "--junit", str(tmp_path / "junit.xml"))
    told = {check["id"]: check for check in json.loads(done.stdout)["checks"]}

    assert (done.returncode, done.stderr) == (2, "")
    assert told["tools"]["status"] == "failed"
    assert "there is no cluster" in told["cluster"]["found"]
    assert told["cluster"]["next"] == "sopslab up"
    assert told["history"]["status"] == "unknown"
    assert "there is no clone" in told["history"]["found"]
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().get("tests") == "14"


@pytest.mark.parametrize(
    "arguments",
    mostly_soak(
        [
            ("--wait", "-1"),
            ("--wait", "soon"),
            ("--secret", "../escape"),
            ("--secret", "--json"),
            ("--junit", "."),
            ("--junit", "missing/junit.xml"),
        ],
        ("--wait", "soon"),
        ("--secret", "../escape"),
        ("--junit", "missing/junit.xml"),
    ),
)
def test_bad_input_ends_with_2_and_a_sentence(
    arguments: tuple[str, ...], command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = command(*arguments)

    assert done.returncode == 2
    assert done.stderr and "Traceback" not in done.stderr


def test_the_unknown_verdict_has_a_next_step_of_its_own() -> None:
    assert undecided("x.", "y") == Verdict(Status.UNKNOWN, "x.", "y")
