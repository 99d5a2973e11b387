"""Every deploy that changes a lab leaves labs of another format alone; such a lab can be taken
down."""

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
from tests.fake import Answers, Run
from tests.machines import Facts, machine, said

# `fetch` and `push` concern the store alone. The two deploys of a room concern labs on other
# machines, and each of these machines checks the format itself.
SPARED = {"fetch", "push", "seats", "teardown", "verb"}
DEPLOYS = {path.stem: path for path in sorted((PROJECT / "deploys").glob("*.py"))}
# The data without which a deploy does not begin.
TOLD = {"rotate": {"cause": "learner-key", "incident": "2026-11-25-lost-laptop"}}
REFUSALS = {'say "$1"; exit 1': "refused"}


def run_on(path: Path, found: Format, data: dict[str, Any]) -> Run:
    settings = load_settings(data)
    answers = {**machine(settings), Facts(settings).format: said(found)}
    return Run(path, data, Answers(answers).failing(REFUSALS))


@pytest.mark.parametrize("found", [Format(FORMAT - 1), Format(FORMAT + 1)], ids=["older", "newer"])
@pytest.mark.parametrize("name", sorted(DEPLOYS.keys() - SPARED))
def test_a_lab_of_another_format_is_changed_by_no_deploy(
    name: str, found: Format, lab_data: Callable[..., dict[str, Any]]
) -> None:
    run = run_on(DEPLOYS[name], found, lab_data(**TOLD.get(name, {})))
    assert run.failed and run.changed == []
    assert f"the lab has format {found.number}, " in run.commands[-1]
    last = run.events[-1]
    assert isinstance(last, Started) and str(last.operation) == "Format | Check the lab's format"


def test_a_lab_of_a_newer_format_can_be_taken_down(
    lab_data: Callable[..., dict[str, Any]],
) -> None:
    run = run_on(DEPLOYS["teardown"], Format(FORMAT + 1), lab_data())
    assert not run.failed
    assert not [command for command in run.commands if "lab_format" in command]
