"""Looks at a class on disk: their findings, the number of processes, and which values stay
inside."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.board.judge import judge
from sopslab.checks.board.steps import Progress, Row
from sopslab.checks.objects import LEFT_ALONE
from sopslab.cli import answers
from sopslab.cli import board as show
from sopslab.config.environment import at_seat
from sopslab.lab.observe import everywhere, refs, trees
from sopslab.lab.observe.observer import Observer
from sopslab.model.hints import RECORD, Given, render_given
from sopslab.model.mark import MARK, render_mark
from sopslab.policy import regex
from tests.conftest import find_tool
from tests.marks import soak
from tests.unit.board.board_material import flux_object
from tests.unit.board.class_material import Class

SECRET = "flux/secrets/develop/backend-secrets.yaml"
PLAIN = (
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n  namespace: y\n"
    "stringData:\n  password: {}\n"
)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return a list that gets the command of every process started from here on."""
    commands: list[list[str]] = []

    class Counted(subprocess.Popen[Any]):
        def __init__(self, args: Sequence[str], *more: Any, **named: Any) -> None:
            commands.append(list(args))
            super().__init__(args, *more, **named)

    monkeypatch.setattr(subprocess, "Popen", Counted)
    return commands


def _rows(made: Class, observer: Observer) -> list[Row]:
    seen = observer.seats(list(map(at_seat, made.seats)))
    return [judge(seat, one) for seat, one in zip(made.seats, seen, strict=True)]


def _programs(commands: list[list[str]]) -> Counter[str]:
    return Counter(Path(command[0]).name for command in commands)


def _said(rows: list[Row]) -> str:
    console_text = "\n".join(text.plain for text in show.details(rows, time.time()))
    return json.dumps(answers.of_class(rows)) + answers.lines_of_class(rows) + console_text


def _open(rows: list[Row]) -> dict[str, tuple[str, str]]:
    return {row.seat.id: (row.open.id, row.open.found) for row in rows if row.open is not None}


@pytest.mark.parametrize(
    ("seats", "first", "again"), [(12, 36, 3), soak(100, 300, 3)], ids=["a-few", "a-hundred"]
)
def test_seats_take_three_processes_each_and_five_for_all(
    classroom: Callable[..., Class],
    executor: Executor,
    started: list[list[str]],
    seats: int,
    first: int,
    again: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refs, "_SETTLING_NS", 0)
    made = classroom([f"seat-{number:03}" for number in range(seats)])
    observer = Observer(made.settings, executor)
    started.clear()
    rows = _rows(made, observer)

    assert [row.seat.id for row in rows if row.done] == [seat.id for seat in made.seats]
    assert _programs(started) == {"git": first, "kubectl": 3, "age-keygen": 1, "gitleaks": 1}

    started.clear()
    made.push("seat-007", {"README.md": "more"})
    started.clear()
    rows = _rows(made, observer)

    # Repositories that have not changed are not read again.
    assert _programs(started) == {"git": again, "kubectl": 3, "gitleaks": 1}
    assert [row.seat.id for row in rows if not row.done] == ["seat-007"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_seat_that_waits_for_a_build_elsewhere_is_not_blamed_for_it(
    elsewhere: bool,
    classroom: Callable[..., Class],
    executor: Executor,
    started: list[list[str]],
) -> None:
    made = classroom(["ada", "bob"])
    told = {
        "type": "Reconciling",
        "reason": "Progressing",
        "message": f"Building manifests for revision main@sha1:{'a' * 40} with a timeout of 1m0s",
        "lastTransitionTime": "2026-11-28T10:00:05Z",
    }
    own = made.find("Kustomization", "ada", "secrets-develop")
    own["status"] = {"conditions": [told]}
    own["metadata"]["labels"]["sops-lab"] = made.settings.lab
    made.say()
    if elsewhere:
        earlier = {**told, "lastTransitionTime": "2026-11-28T10:00:00Z"}
        other = flux_object("Kustomization", "team-a", "apps", conditions=[earlier])
        # A cluster shows it only to those who do not ask by the label.
        made.kubectl.with_name("kubectl.kustomizations").write_text(
            json.dumps({"items": [*made.objects_of("Kustomization"), other]})
        )
    started.clear()
    seen = Observer(made.settings, executor).seats(list(map(at_seat, made.seats)))

    assert [one.snapshot.holder for one in seen] == ["" if elsewhere else "ada"] * 2
    assert _programs(started)["kubectl"] == 4


def test_each_repository_is_judged_by_itself(
    classroom: Callable[..., Class], executor: Executor
) -> None:
    # The policy knows some of these names as names of folders with examples.
    made = classroom(["ada", "bob", "docs", "eve", "tests"])
    made.push("bob", {SECRET: PLAIN.format("hunter2-hunter2")})
    made.push("tests", {"flux/secrets/deploy.py": 'password = "Tr0ub4dor-and-3"\n'})
    made.push("eve", {".sops.yaml": "creation_rules: [\n"})
    found = _open(_rows(made, Observer(made.settings, executor)))

    assert found["bob"][0] == "encrypted"
    assert found["bob"][1].startswith(f"{SECRET} is not encrypted at all")
    assert found["tests"][0] == "encrypted"
    assert found["tests"][1].startswith("flux/secrets/deploy.py holds what must not be")
    assert ".sops.yaml" in found["eve"][1]
    assert not {"ada", "docs"} & set(found)


def test_costly_expressions_of_one_learner_leave_the_others_judged(
    classroom: Callable[..., Class], executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regex, "Budget", functools.partial(regex.Budget, 100_000))
    made = classroom(["ada", "bob"])
    rules = "".join(
        f"- {{path_regex: '(.*a)*(.*a)*(.*b)*{number}!$', age: age1x}}\n" for number in range(200)
    )
    made.push("ada", {".sops.yaml": f"creation_rules:\n{rules}"})
    # What was searched before costs nothing.
    regex._searched.cache_clear()
    rows = _rows(made, Observer(made.settings, executor))

    assert [row.seat.id for row in rows if row.done] == ["bob"]


@pytest.mark.parametrize("name", ["x\u2028", "x\u2028y", "\x85", "übung"])
def test_a_branch_of_any_name_ends_nobodys_look(
    classroom: Callable[..., Class], executor: Executor, name: str
) -> None:
    made = classroom(["ada", "bob"])
    bare = ["git", "--git-dir", str(made.bare("bob"))]
    subprocess.run([*bare, "update-ref", f"refs/heads/{name}", made.heads["bob"]], check=True)

    assert all(row.done for row in _rows(made, Observer(made.settings, executor)))


@pytest.mark.parametrize("value", ["disabled", "enabled", None])
def test_an_annotation_stays_in_its_field_of_its_secrets_line(
    tmp_path: Path, value: str | None
) -> None:
    """The annotation is the learner's, and may be any text."""
    forged = "x\nbob-develop\tbackend-secrets\t\t\tmore\u2028y"
    named = {} if value is None else {LEFT_ALONE: value}
    said = "".join(
        _asked_locally(tmp_path, {"note": "x", **annotations})
        for annotations in (named, {LEFT_ALONE: forged})
    )
    live = everywhere._live(said)

    assert set(live) == {"ada-develop"}
    assert len(said.splitlines()) == 2
    left = [one.left_alone for one in everywhere._live(said.split("\n")[0])["ada-develop"].values()]
    assert left == [value == "disabled"]


def _asked_locally(folder: Path, annotations: dict[str, str]) -> str:
    """Return what kubectl prints about a Secret with these annotations, without a cluster."""
    file = folder / "secret.json"
    metadata = {"namespace": "ada-develop", "name": "a", "annotations": annotations}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"k": "eA=="}}
    file.write_text(json.dumps(secret))
    template = f"go-template={everywhere._SECRET}"
    command = [find_tool("kubectl"), "annotate", "--local", "-f", str(file), "a=b", "-o", template]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_no_value_is_shown_or_passed_on(
    classroom: Callable[..., Class], executor: Executor, started: list[list[str]]
) -> None:
    made = classroom(["ada", "bob"])
    made.push("bob", {SECRET: PLAIN.format("hunter2-hunter2")})
    started.clear()
    rows = _rows(made, Observer(made.settings, executor))
    said = _said(rows) + repr(rows) + repr(started)

    assert "hunter2" not in said
    assert "correct-horse" not in said
    for identity in made.identities:
        assert identity not in said


def test_kubectl_is_asked_for_no_value_of_a_learner(
    classroom: Callable[..., Class], executor: Executor, started: list[list[str]]
) -> None:
    made = classroom(["ada"])
    started.clear()
    _rows(made, Observer(made.settings, executor))
    asked = [command for command in started if Path(command[0]).name == "kubectl"]

    assert len(asked) == 3
    for command in asked:
        assert ("--context", made.settings.lab_context) in pairwise(command)
        (template,) = [part for part in command if part.startswith("go-template=")] or [""]
        if template:
            assert '{{$value}}{{end}}{{"\\t"}}{{range $key' in template
            assert "$key}}{{end}}" in template
        elif "secrets" in command:
            assert "metadata.name=sops-age" in command


@pytest.mark.parametrize(
    ("break_it", "step", "found"),
    [
        (
            lambda made: shutil.rmtree(made.bare("ada")),
            "access",
            "The Git server has no repository ada/lab",
        ),
        (
            lambda made: Path(made.settings.seat_dir("ada"), "kubeconfig").unlink(),
            "access",
            "The seat has no kubeconfig yet (the kubeconfig of ada: is not made).",
        ),
        (
            lambda made: (made.bare("ada") / "HEAD").unlink(),
            "key",
            "the repository cannot be read: ",
        ),
        (
            lambda made: Path(made.settings.keys_dir, "ada.pub").write_text("age1before\n"),
            "key",
            "but it was age1before when it was made",
        ),
        (
            lambda made: Path(made.settings.keys_dir, "ada.agekey").unlink(),
            "key",
            "ada.agekey is not there",
        ),
        (
            lambda made: Path(made.settings.keys_dir, "ada.agekey").write_text("AGE-SECRET-KEY-1X"),
            "key",
            "does not hold one valid age identity",
        ),
        (
            lambda made: made.kubectl.with_name("kubectl.keys").write_text('{"items": []}'),
            "key",
            "there is no Secret sops-age in lab-ada-sys",
        ),
        (
            lambda made: made.kubectl.with_name("kubectl.secrets").write_text(""),
            "secret",
            "does not exist",
        ),
        (
            lambda made: made.kubectl.with_name("kubectl.secrets").write_text(
                "ada-develop\tbackend-secrets\t\t\tpassword\n"
            ),
            "secret",
            "was not made by Flux",
        ),
        (
            lambda made: made.kubectl.with_name("kubectl.objects").write_text("no JSON"),
            "access",
            "the cluster did not answer in JSON.",
        ),
        (
            lambda made: made.kubectl.write_text("#!/bin/sh\necho was refused >&2\nexit 1\n"),
            "access",
            "nothing answers at the address of the cluster's API server.",
        ),
        (
            lambda made: made.push(
                "ada", {f"flux/secrets/many/{number}.md": "x" for number in range(200)}
            ),
            "key",
            "more than 100 files",
        ),
    ],
)
def test_what_is_broken_at_one_seat_is_found_there_only(
    break_it: Callable[[Class], object],
    step: str,
    found: str,
    classroom: Callable[..., Class],
    executor: Executor,
) -> None:
    made = classroom(["ada"])
    break_it(made)
    (row,) = _rows(made, Observer(made.settings, executor))

    assert row.open is not None
    assert row.open.id == step
    assert found in row.next


def test_without_gitleaks_nothing_counts_as_encrypted(
    classroom: Callable[..., Class], executor: Executor
) -> None:
    made = classroom(["ada", "bob"])
    Path(made.settings.bin_dir, "gitleaks").unlink()
    rows = _rows(made, Observer(made.settings, executor))

    assert len(rows) == 2
    for row in rows:
        progress = {step.id: step.progress for step in row.steps}
        assert progress["encrypted"] is Progress.UNKNOWN
        assert "gitleaks cannot be started" in row.next


def test_without_age_keygen_the_repositories_are_judged_all_the_same(
    classroom: Callable[..., Class], executor: Executor
) -> None:
    made = classroom(["ada"])
    Path(made.settings.bin_dir, "age-keygen").unlink()
    (row,) = _rows(made, Observer(made.settings, executor))

    progress = {step.id: step.progress for step in row.steps}
    assert (progress["key"], progress["pushed"]) == (Progress.UNKNOWN, Progress.YES)
    assert "age-keygen cannot be run" in row.next


def test_a_branch_that_is_gone_is_the_learners(
    classroom: Callable[..., Class], executor: Executor
) -> None:
    made = classroom(["ada"])
    subprocess.run(
        ["git", "--git-dir", made.bare("ada"), "update-ref", "-d", "refs/heads/main"], check=True
    )
    (row,) = _rows(made, Observer(made.settings, executor))

    assert row.open is not None and row.open.id == "pushed"
    assert "has no branch" in row.next


def test_a_git_of_another_repository_does_not_lead_astray(
    classroom: Callable[..., Class],
    executor: Executor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hook has GIT_DIR in its environment, set by Git."""
    made = classroom(["ada"])
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "other")], check=True)
    monkeypatch.setitem(os.environ, "GIT_DIR", str(tmp_path / "other"))

    assert _rows(made, Observer(made.settings, executor))[0].done


@pytest.mark.parametrize("where", ["files_of", "read_tree"])
def test_a_mistake_about_one_repository_hides_no_other(
    classroom: Callable[..., Class], executor: Executor, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    made = classroom(["ada", "bob"])
    does, bare = getattr(trees, where), str(made.bare("ada"))

    def mistaken(first: Any, *more: Any, **named: Any) -> Any:
        if made.heads["ada"] in (first, *more) or getattr(first, "_folder", "") == bare:
            raise TypeError("a secret")
        return does(first, *more, **named)

    monkeypatch.setattr(trees, where, mistaken)
    ada, bob = _rows(made, Observer(made.settings, executor))

    assert bob.done
    assert not ada.done
    assert "TypeError" in ada.next and "a secret" not in ada.next


def test_who_asks_for_help_is_seen_without_another_process(
    classroom: Callable[..., Class],
    executor: Executor,
    started: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refs, "_SETTLING_NS", 0)
    made = classroom(["ada", "bob", "eve"])
    observer = Observer(made.settings, executor)
    started.clear()
    before = _rows(made, observer)
    usual = _programs(started)
    assert [(row.asked, row.hints) for row in before] == [(None, 0)] * 3

    (made.bare("bob") / MARK).write_text(render_mark(1_800_000_000.5))
    (made.bare("bob") / RECORD).write_text(render_given(Given({"key": (1.0, 2.0)})))
    (made.bare("eve") / MARK).write_text("{")
    started.clear()
    rows = _rows(made, observer)

    assert [(row.asked, row.hints) for row in rows] == [(None, 0), (1_800_000_000.5, 2), (None, 0)]
    assert [row.steps for row in rows] == [row.steps for row in before]
    # The policy has judged all commits already, and nothing is read again.
    assert _programs(started) == Counter({"kubectl": 3})
    assert usual["git"] > 0
