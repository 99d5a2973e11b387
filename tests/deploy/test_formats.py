"""Every deploy that changes a lab leaves labs of another format, or of a newer version, alone; such
a lab can be taken down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.takeover import FORMAT
from sopslab.config.settings import load_settings
from sopslab.layout import PROJECT
from sopslab.model.events import Started
from sopslab.model.formats import Format
from tests.fake import REFUSAL, Answers, Run
from tests.machines import Facts, machine, said

# `fetch` and `push` concern the store alone. The two deploys of a room concern labs on other
# machines, and each of these machines checks the format itself.
SPARED = {"fetch", "push", "seats", "teardown", "verb"}
DEPLOYS = {path.stem: path for path in sorted((PROJECT / "deploys").glob("*.py"))}
# The data without which a deploy does not begin.
TOLD = {"rotate": {"cause": "learner-key", "incident": "2026-11-25-lost-laptop"}}
REFUSALS = {REFUSAL: "refused"}


def run_on(path: Path, found: Format, data: dict[str, Any]) -> Run:
    settings = load_settings(data)
    answers = {**machine(settings), Facts(settings).format: said(found)}
    return Run(path, data, Answers(answers).failing(REFUSALS))


OTHERS = {
    "older": (Format(FORMAT - 1), f"the lab has format {FORMAT - 1}, "),
    "newer": (Format(FORMAT + 1), f"the lab has format {FORMAT + 1}, "),
    "of-a-newer-version": (Format(FORMAT, "9.1.0"), "the lab was brought up by sops-lab 9.1.0, "),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", sorted(DEPLOYS.keys() - SPARED))
def test_a_lab_of_another_version_is_changed_by_no_deploy(
    name: str, other: str, lab_data: Callable[..., dict[str, Any]]
) -> None:
    found, refused = OTHERS[other]
    run = run_on(DEPLOYS[name], found, lab_data(**TOLD.get(name, {})))
    assert run.failed and run.changed == []
    assert refused in run.commands[-1]
    last = run.events[-1]
    assert isinstance(last, Started) and str(last.operation) == "Version | Check the lab's format"


def test_a_lab_of_a_newer_format_can_be_taken_down(
    lab_data: Callable[..., dict[str, Any]],
) -> None:
    run = run_on(DEPLOYS["teardown"], Format(FORMAT + 1), lab_data())
    assert not run.failed
    assert not [command for command in run.commands if "lab_format" in command]
