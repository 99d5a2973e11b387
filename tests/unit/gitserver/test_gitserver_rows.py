"""What the Git server reads of a published row, and which command is the learner's own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.board.judge import judge
from sopslab.course.chapter import Chapter
from sopslab.gitserver.rows import learners_own, published
from sopslab.model.rows import OwnRow, OwnStep
from sopslab.model.wire import encode
from tests.unit.board.board_material import ADA, fresh

DONE = OwnStep("access", "yes", "", "", stuck=False)
OPEN = OwnStep("wired", "no", "not listed", "git push", stuck=False)
STUCK = OwnStep("applied", "no", "Flux says no", "sopslab up", stuck=True)
ROW = OwnRow(1.0, [DONE, OPEN], "not listed", "git push", None)


def write(folder: Path, **changes: Any) -> Path:
    file = folder / "ada.json"
    file.write_text(json.dumps({**encode(ROW), **changes}))
    return file


def test_what_was_published_is_what_is_read(tmp_path: Path) -> None:
    assert published(write(tmp_path)) == ROW


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[]", "7", '"steps"', "{}", '{"steps": []}', "[" * 100_000, "\x00",
        "\udcff",
    ],
)  # fmt: skip
def test_what_is_no_row_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ada.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert published(file) is None


@pytest.mark.parametrize("name", ["seen", "steps", "next", "fix", "asked", "more"])
@pytest.mark.parametrize("strange", [True, {}, [1], [], "\ud800", [{"id": "wired"}]])
def test_a_row_of_another_form_is_none_or_text_that_can_be_shown(
    tmp_path: Path, name: str, strange: object
) -> None:
    row = published(write(tmp_path, **{name: strange}))
    if row is not None:
        assert name in ("next", "fix")
        assert getattr(row, name) == "\\ud800"


def test_nothing_but_a_plain_file_is_read(tmp_path: Path) -> None:
    """A link could lead to another learner's row, and a pipe would block everybody."""
    file = write(tmp_path)
    link, pipe, folder = tmp_path / "link.json", tmp_path / "pipe.json", tmp_path / "folder.json"
    link.symlink_to(file)
    os.mkfifo(pipe)
    folder.mkdir()

    assert [published(one) for one in (link, pipe, folder, tmp_path / "none")] == [None] * 4


def test_a_file_without_end_is_none(tmp_path: Path) -> None:
    assert published(write(tmp_path, next="x" * 300_000)) is None


def test_every_text_stays_in_its_line_and_ends(tmp_path: Path) -> None:
    hostile = "\x1b[2J\n\u202egit " + "x" * 1000
    step = {"id": hostile, "progress": "no", "found": hostile, "fix": "git \x1b", "stuck": True}
    row = published(write(tmp_path, steps=[step], next=hostile, fix="git \n"))
    assert row is not None and row.open is not None
    shown = (row.next, row.open.id, row.open.found)

    assert all(one.startswith("\\x1b[2J\\n\\u202egit ") for one in shown)
    assert all(len(one) < 700 for one in shown)
    assert (row.fix, row.open.fix) == ("git \\n", "git \\x1b")


def test_part_of_a_command_is_none(tmp_path: Path) -> None:
    row = published(write(tmp_path, fix=f"git add {'x' * 600} && git push"))
    assert row is not None
    assert row.fix == ""


@pytest.mark.parametrize(
    ("steps", "which"),
    [([DONE], None), ([DONE, OPEN], OPEN), ([DONE, OPEN, STUCK], STUCK), ([OPEN, STUCK], STUCK)],
)
def test_the_open_step_is_the_one_that_the_board_names(
    steps: list[OwnStep], which: OwnStep | None
) -> None:
    assert OwnRow(1.0, steps, "", "", None).open == which


@pytest.mark.parametrize(
    "command",
    [
        "git push",
        "git add flux/x.yaml && git commit && git push",
        "scripts/sops-encrypt-secret.sh develop backend-secrets --force",
        "${EDITOR:-vi} flux/secrets/develop/kustomization.yaml",
        Chapter("backend-secrets", "lab").restore(".sops.yaml"),
        "kubectl -n ada-develop get secret backend-secrets",
        "kubectl -n ada-develop describe resourcequota",
    ],
)
def test_a_command_that_works_at_a_seat_is_the_learners_own(command: str) -> None:
    assert learners_own(command, "ada") == command


@pytest.mark.parametrize(
    "command",
    [
        "",
        "sopslab up",
        "sopslab validate",
        "flux --namespace lab-ada-sys resume kustomization secrets-develop",
        "kubectl -n lab-ada-sys describe kustomization secrets-develop",
        "kubectl -n flux-system logs deployment/source-controller --tail 20",
        "kubectl -n bob-develop get secret backend-secrets",
        "kubectl describe node lab-control-plane",
        "kubectl -n ada-develop annotate secret x kustomize.toolkit.fluxcd.io/reconcile-",
        "git push && flux --namespace lab-ada-sys reconcile kustomization secrets-develop",
        "gitk",
    ],
)
def test_a_command_that_fails_at_a_seat_is_not(command: str) -> None:
    assert learners_own(command, "ada") == ""


def test_what_is_next_on_the_first_day_is_the_learners_own() -> None:
    fix = judge(ADA, fresh()).fix
    assert learners_own(fix, "ada") == fix == "git push"
