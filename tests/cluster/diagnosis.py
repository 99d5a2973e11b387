"""What verbs say as JSON, and what the doctor names."""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.lab import Lab


def ask(lab: Lab, *arguments: str) -> tuple[int, Any]:
    """Run a verb with --json and return its exit code and its object."""
    done = lab.sopslab(arguments[0], "--json", *arguments[1:], check=False)
    assert done.stdout, done.stderr
    assert "AGE-SECRET-KEY" not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def diagnosed(lab: Lab, *learner: str) -> list[str]:
    """Return the ids of the causes that the doctor names."""
    code, answer = ask(lab, "doctor", *learner)
    assert answer["undecided"] == [], answer
    assert code == bool(answer["causes"]), answer
    assert answer["ok"] is not bool(answer["causes"])
    return [one["id"] for one in answer["causes"]]
