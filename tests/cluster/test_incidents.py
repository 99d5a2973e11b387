"""The chapter's incident on a real lab: staged, worked through, closed, and taken away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.drill import STEPS
from sopslab.incidents.leak import CLONE, KEY, LOG, PATH, SECRET, STATE, leak_dir
from tests.cluster.classroom import Classroom
from tests.cluster.interruption import kill_in
from tests.cluster.lab import Lab, run, wait_until
from tests.cluster.watching import CommandLines
from tests.marks import mostly_soak

pytestmark = [pytest.mark.soak, pytest.mark.every_provider]

WORDS = "leaked-api-key"


class Drill:
    """A drill in the lab's own clone, as its learner works it through."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.work = Path(lab.settings.work_dir)
        self.folder = Path(leak_dir(lab.settings, lab.settings.learner.id))

    @property
    def value(self) -> str:
        """The value that leaked, for tests alone."""
        matched = re.search(rf"{KEY}=(\S+)", (self.folder / LOG).read_text())
        assert matched
        return matched[1]

    def sopslab(self, *arguments: str, check: bool = True) -> Any:
        """Run `sopslab` in the clone, and assert that it does not show the value."""
        value = self.value if self.folder.exists() else None
        done = self.lab.run("sopslab", *arguments, cwd=self.work, check=check)
        assert value is None or value not in done.stdout + done.stderr
        return done

    def git(self, *arguments: str) -> str:
        return self.lab.run("git", *arguments, cwd=self.work).stdout.strip()

    def steps(self) -> dict[str, str]:
        """Return the status of each step of the drill."""
        told = json.loads(self.sopslab("drill", "status", "--json", check=False).stdout)
        assert [step["id"] for step in told["steps"]] == list(STEPS)
        return {step["id"]: step["status"] for step in told["steps"]}

    def done(self) -> set[str]:
        return {name for name, status in self.steps().items() if status == "ok"}

    def verified(self) -> dict[str, Any]:
        """Return what `verify` says, also about the drill."""
        told: dict[str, Any] = json.loads(self.sopslab("verify", "--json", check=False).stdout)
        return told

    def history(self) -> dict[str, str]:
        """Return what `verify` says about the history."""
        (check,) = [one for one in self.verified()["checks"] if one["id"] == "history"]
        return dict(check)

    def incident(self) -> str:
        """Return the id of the incident of the drill."""
        told = json.loads(self.sopslab("incident", "--json").stdout)
        (found,) = [one["id"] for one in told["incidents"] if one["id"].endswith(WORDS)]
        return str(found)

    def pull(self) -> None:
        self.git("pull", "--quiet", "--rebase", "origin", "main")

    def replace_value(self) -> None:
        """Give the key another value, as the chapter does it, and push."""
        self.lab.run(
            "scripts/sops-encrypt-secret.sh", "develop", SECRET, "--rotate-value", KEY,
            cwd=self.work, stdin="another-value-of-the-learners\n",
        )  # fmt: skip
        self.git("add", PATH)
        self.git("commit", "--quiet", "-m", f"Replace {KEY}")
        self.git("push", "--quiet", "origin", "HEAD:main")

    def live(self) -> str:
        return self.lab.kubectl(
            "-n", "develop", "get", "secret", SECRET, "--ignore-not-found",
            "-o", f"jsonpath={{.data.{KEY}}}",
        )  # fmt: skip


# Seconds. Nothing that is killed is done by then.
SOONEST = 0.1


@pytest.fixture
def unstaged(lab: Lab) -> Iterator[Drill]:
    """A drill that is not staged. Whatever is left of it at the end is removed."""
    yield Drill(lab)
    lab.sopslab("drill", "end")


@pytest.fixture
def drill(unstaged: Drill) -> Drill:
    """A staged drill."""
    with CommandLines() as seen:
        unstaged.sopslab("drill", "leak")
    assert not seen.contain(unstaged.value)
    return unstaged


def test_a_drill_is_worked_through_from_the_leak_to_the_closed_incident(drill: Drill) -> None:
    assert drill.steps() == dict.fromkeys(STEPS, "failed")
    assert drill.live(), "the leaked key is in the cluster"
    assert json.loads(drill.sopslab("drill", "leak", "--json").stdout)["changed"] == 0
    drill.pull()
    failed = drill.history()
    assert failed["status"] == "failed"
    assert f"{PATH}, line" in failed["found"]
    assert failed["next"] == "sopslab incident open leaked-value"

    drill.sopslab("incident", "open", WORDS)
    incident = drill.incident()
    assert drill.done() == {"found"}
    assert drill.history()["found"].startswith(f"the incident {incident} is open")
    due = json.loads(drill.sopslab("credentials", "--json").stdout)["credentials"]
    assert f"secret:learner/{SECRET}" in {
        one["id"] for one in due if one["incident"] == incident and one["urgency"] == "exposed"
    }
    assert incident in drill.sopslab("credentials", "plan").stdout

    refused = drill.sopslab("incident", "close", incident, check=False)
    assert refused.returncode == 1
    for reason in (f"{KEY} still has its exposed value", "the Secret payment-api", "--upstream"):
        assert reason in refused.stderr

    # The server looks at new commits only: a push on top of the leak goes through.
    old = drill.live()
    drill.replace_value()
    wait_until(lambda: drill.live() not in ("", old), "the new value is in the cluster")
    assert drill.done() == {"found", "rotated", "live"}

    drill.sopslab(
        "incident", "note", incident, "--remains", f"the log {LOG}", "--remains", f"{CLONE}",
        "--upstream", "the key at the payment provider",
    )  # fmt: skip
    assert drill.done() == {"found", "rotated", "live", "audited"}
    assert drill.sopslab("incident", "close", incident, check=False).returncode == 1
    drill.sopslab("incident", "note", incident, "--revoked", "the key at the payment provider")
    closed = drill.sopslab("incident", "close", incident)
    assert LOG in closed.stdout and "exposed for ever" in closed.stdout
    assert drill.done() == set(STEPS)
    told = drill.sopslab("drill", "status")
    assert told.returncode == 0 and CLONE in told.stdout
    verified = drill.verified()
    steps = {one["id"]: one["status"] for one in verified["checks"]}
    assert {f"drill-{name}" for name in STEPS} <= steps.keys()
    assert {steps[f"drill-{name}"] for name in STEPS} == {"ok"}
    assert any(CLONE in sentence for sentence in verified["exposed_for_ever"])

    passed = drill.history()
    assert passed["status"] == "ok"
    assert incident in passed["found"]
    # Records are no drift: laying out the platform leaves them alone, and has nothing to do.
    again = drill.lab.up()
    assert again["changed"] == 0, drill.lab.changes(again)
    platform = Path(drill.lab.settings.platform_dir)
    assert drill.value not in run(["git", "log", "--patch", "--all"], cwd=platform).stdout


@pytest.mark.soak
def test_what_is_in_plain_text_again_is_refused_on_top_of_a_leak(drill: Drill) -> None:
    drill.pull()
    leak = json.loads((drill.folder / STATE).read_text())["leak"]
    drill.git("-c", "core.hooksPath=/dev/null", "rm", "--quiet", PATH)
    drill.git("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "-m", "Take it out")
    drill.git("-c", "core.hooksPath=/dev/null", "checkout", "--quiet", leak, "--", PATH)
    drill.git("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "-m", "Leak it again")
    done = drill.lab.run("git", "push", "origin", "HEAD:main", cwd=drill.work, check=False)
    assert done.returncode != 0
    assert PATH in done.stderr and drill.value not in done.stderr


@pytest.mark.soak
def test_a_merge_on_top_of_a_leak_goes_through(drill: Drill) -> None:
    (drill.work / "mine.md").write_text("written before the pull\n")
    drill.git("add", "mine.md")
    drill.git("commit", "--quiet", "-m", "Write a note")
    drill.git("pull", "--quiet", "--no-rebase", "--no-edit", "origin", "main")
    assert len(drill.git("log", "-1", "--format=%P").split()) == 2
    drill.git("push", "--quiet", "origin", "HEAD:main")


@pytest.mark.parametrize("end", mostly_soak((("drill", "end"), ("reset",)), ("drill", "end")))
def test_the_end_of_a_drill_leaves_nothing_of_it(
    lab: Lab, unstaged: Drill, end: tuple[str, ...]
) -> None:
    drill, before = unstaged, lab.head()
    incidents = drill.sopslab("incident").stdout
    drill.sopslab("drill", "leak")
    drill.pull()
    drill.sopslab("incident", "open", WORDS)
    assert drill.sopslab("incident").stdout != incidents
    drill.sopslab(*end)

    assert not drill.folder.exists()
    assert drill.history()["status"] == "ok"
    assert drill.sopslab("incident").stdout == incidents
    assert drill.live() == ""
    if end == ("drill", "end"):
        assert lab.head() == before == drill.git("rev-parse", "HEAD")
    again = lab.up()
    assert again["changed"] == 0, lab.changes(again)


@pytest.mark.soak
@pytest.mark.parametrize("seconds", [SOONEST, 0.6])
def test_a_drill_that_is_killed_while_it_is_staged_or_ended_goes_on(
    lab: Lab, unstaged: Drill, tmp_path: Path, seconds: float
) -> None:
    drill = unstaged
    refs = run(["git", "for-each-ref"], cwd=lab.bare).stdout

    data = {"learners": json.dumps([lab.settings.learner.id])}

    staging = kill_in(lab, tmp_path, "deploys/drill.py", "Stage a leak in", seconds, data)
    drill.sopslab("drill", "leak")
    assert drill.steps() == dict.fromkeys(STEPS, "failed")
    ending = kill_in(lab, tmp_path, "deploys/drill_end.py", "End the drills", seconds, data)
    # A fast machine may be done before the later kill.
    assert (staging and ending) or seconds > SOONEST
    drill.sopslab("drill", "end")
    assert not drill.folder.exists()
    assert run(["git", "for-each-ref"], cwd=lab.bare).stdout == refs
    assert drill.live() == ""
    assert not list(Path(lab.settings.lab_dir).rglob(".new.*"))


def test_a_drill_at_a_seat_concerns_nobody_else(classroom: Classroom) -> None:
    lab = classroom.lab
    others = {seat: classroom.head(seat) for seat in ("bob", "eve")}
    before = classroom.head("ada")
    try:
        lab.sopslab("drill", "leak", "ada")
        assert classroom.head("ada") != before
        assert {seat: classroom.head(seat) for seat in others} == others
        lab.sopslab("incident", "open", WORDS, "ada")
        status = lab.sopslab("drill", "status", "ada", "--json", check=False)
        steps = {one["id"]: one["status"] for one in json.loads(status.stdout)["steps"]}
        assert (steps["found"], steps["rotated"], steps["live"]) == ("ok", "failed", "failed")
        bob = lab.sopslab("drill", "status", "bob", check=False)
        assert bob.returncode == 2 and "no leak is staged for bob" in bob.stderr
    finally:
        lab.sopslab("drill", "end", "ada")
    assert classroom.head("ada") == before
