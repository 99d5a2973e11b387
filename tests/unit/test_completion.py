"""What a shell completes: by click's protocol, as a shell asks, and in a real bash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sopslab.cli import completing
from sopslab.cli.main import VERBS, main
from sopslab.config.inputs import CI, CLASSROOM, LOCAL, SEATS
from sopslab.config.job import job_name
from sopslab.config.settings import Settings
from sopslab.course.faults import BY_ID
from sopslab.lab.observe import incidents
from tests.commands import enrol

SOPSLAB = Path(sys.executable).parent / "sopslab"
# Modules that validate, show, look and judge: each takes as long to import as a start may take.
HEAVY = {
    "cryptography", "jinja2", "pydantic", "pyinfra", "rich", "yaml",
    "sopslab.checks.snapshot", "sopslab.config.settings", "sopslab.lab.tools.kubectl",
    "sopslab.policy.engine",
}  # fmt: skip


@pytest.fixture
def in_class(
    lab: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A lab with ada and zoe in its class, which the shell's environment names."""
    settings = lab()
    enrol(settings, "ada", "zoe")
    monkeypatch.setenv("SOPSLAB_ROOT", settings.root)
    monkeypatch.chdir(tmp_path)
    return settings


def completed(*words: str, shell: str = "bash") -> list[str]:
    """Return the completions of the last word."""
    asked = {
        "_SOPSLAB_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(["sopslab", *words[:-1]]),
        # fish passes the word, other shells pass its number. A word that has begun is among the
        # words.
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words)),
    }
    if words[-1] and shell != "fish":
        asked["COMP_WORDS"] += f" {words[-1]}"
    done = CliRunner().invoke(main, prog_name="sopslab", env=asked)
    assert done.stderr == ""
    lines = done.stdout.strip().splitlines()
    if shell == "zsh":
        return lines[1::3]
    return [line.partition(",")[2].partition("\t")[0] for line in lines]


def test_verbs_and_options() -> None:
    assert completed("") == list(VERBS)
    assert completed("re") == ["restore", "reap", "reset", "reissue"]
    assert "--dry-run" in completed("reset", "--d")
    assert completed("reset", "--to", "") == ["start", "encrypted", "wired", "done"]
    assert completed("up", "inv") == [LOCAL, CLASSROOM, SEATS, CI]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_learners_are_those_of_the_lab(in_class: Settings, shell: str) -> None:
    assert completed("reset", "", shell=shell) == ["ada", "zoe", "learner"]
    assert completed("reset", "z", shell=shell) == ["zoe"]


def test_learners_of_a_room_are_those_on_its_roster(
    in_class: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "class.yaml").write_text("- {id: lei, name: 李雷, host: seat-1}\n")
    monkeypatch.setenv("SOPSLAB_INVENTORY", SEATS)
    monkeypatch.setenv("SOPSLAB_ROSTER", str(tmp_path / "class.yaml"))
    assert completed("reset", "") == completed("status", "--limit", "") == ["lei"]


@pytest.mark.parametrize("verb", ["reset", "fix", "doctor", "drill leak", "credentials plan"])
def test_every_verb_about_learners_completes_them(in_class: Settings, verb: str) -> None:
    assert completed(*verb.split(), "a") == ["ada"]


@pytest.mark.parametrize("verb", ["cards", "reissue"])
def test_who_has_no_seat_is_no_answer_where_seats_are_meant(in_class: Settings, verb: str) -> None:
    assert completed(verb, "") == ["ada", "zoe"]


def test_nobody_is_named_twice(in_class: Settings) -> None:
    assert completed("reset", "ada", "") == ["zoe", "learner"]
    assert completed("rotate", "learner-key", "zoe", "") == ["ada", "learner"]


def test_a_fault_comes_before_the_learner(in_class: Settings) -> None:
    assert completed("break", "") == list(BY_ID)
    assert completed("break", "wrong-key", "") == ["ada", "zoe", "learner"]
    assert completed("break", "--random", "") == ["ada", "zoe", "learner"]


def test_incidents_are_those_on_record(in_class: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    known = ["2026-11-25-leaked-api-key", "2026-11-26-lost-laptop"]
    monkeypatch.setattr(incidents, "incident_ids", lambda _clone: known)
    assert completed("incident", "show", "") == known
    assert completed("incident", "close", "2026-11-26") == known[1:]
    assert completed("rotate", "value-exposed", "--incident", "") == known


def test_the_lab_is_the_one_that_file_and_job_name(
    lab: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "lab.yaml"
    told.write_text(
        f"root: {tmp_path / 'root'}\nlearner: {{id: lin, name: Lin, email: lin@example.org}}\n"
    )
    monkeypatch.setenv("SOPSLAB_FILE", str(told))
    enrol(lab(), "ada")
    assert completed("reset", "") == ["ada", "lin"]
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_JOB": "e2e",
        "GITHUB_RUN_ID": "7",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SOPSLAB_LAB", raising=False)
    monkeypatch.setenv("SOPSLAB_INVENTORY", CI)
    enrol(lab(lab=job_name(os.environ)), "bob")
    assert completed("reset", "") == ["bob", "lin"]


@pytest.mark.parametrize(
    "record",
    [
        "[",
        "7",
        "[7]",
        "{}x",
        '[{"name": "Ada"}]',
        '[{"id": 7}]',
        r'[{"id": "\u001b[2Jada"}]',
        "[" * 9999,
    ],
)
def test_a_record_that_is_damaged_is_no_answer_and_no_message(
    in_class: Settings, record: str
) -> None:
    (Path(in_class.class_dir) / "roster.json").write_text(record)
    assert completed("reset", "") == completed("cards", "") == completed("assign", "") == []


@pytest.mark.parametrize("told", ["learner: ada", "lab: [a]", "lab: {}", "root: 7\nlab: ..", "["])
def test_a_lab_file_that_is_wrong_is_no_answer_and_no_message(
    in_class: Settings, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.yaml").write_text(told)
    monkeypatch.setenv("SOPSLAB_FILE", str(tmp_path / "wrong.yaml"))
    assert completed("reset", "") == []


def test_what_cannot_be_read_is_no_answer_and_no_message(
    in_class: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOPSLAB_LAB", "no label")
    assert completed("reset", "") == []
    assert completed("incident", "show", "") == []


def imported_for(*words: str) -> set[str]:
    """Return the modules that the command imports to complete the word after these."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", SOPSLAB],
        env={
            **os.environ,
            "_SOPSLAB_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["sopslab", *words]),
            "COMP_CWORD": str(len(words) + 1),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_little_is_imported_to_complete(in_class: Settings) -> None:
    modules = imported_for()
    assert completing.__name__ not in modules
    assert not HEAVY & modules
    assert not HEAVY & imported_for("reset")
    assert not HEAVY & imported_for("incident", "show")


def test_a_verb_imports_what_only_its_work_needs_once_it_works() -> None:
    """Help and completion import the module of a verb, and wait for its imports."""
    done = subprocess.run(
        [
            sys.executable, "-c",
            "import importlib, sys\n"
            "for name in sys.argv[1:]:\n"
            "    importlib.import_module(f'sopslab.cli.verbs.{name}')\n"
            "print(*sys.modules)",
            *VERBS.values(),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not HEAVY & set(done.stdout.split())


def test_a_real_bash_completes(in_class: Settings) -> None:
    program = """
    eval "$("$1" completion bash)"
    COMP_WORDS=(sopslab reset "") COMP_CWORD=2
    _sopslab_completion "$1"
    printf '%s\n' "${COMPREPLY[@]}"
    complete -p sopslab
    """
    done = subprocess.run(
        ["bash", "--norc", "-euc", program, "bash", SOPSLAB],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    *ids, registered = done.stdout.splitlines()
    assert ids == ["ada", "zoe", "learner"]
    assert "_sopslab_completion" in registered
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_that_of_the_shell(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"_SOPSLAB_COMPLETE={shell}_complete" in done.stdout


def test_only_a_seat_that_nobody_has_can_be_assigned(in_class: Settings) -> None:
    assert completed("assign", "") == []
    spare = {"id": "spare-1", "name": "Spare 1", "email": "s@lab.example", "listed": False}
    roster = Path(in_class.class_dir) / "roster.json"
    roster.write_text(json.dumps([*json.loads(roster.read_text()), spare]))
    assert completed("assign", "") == ["spare-1"]
