"""`sopslab rotate`: its learners and values, which rotation it continues, and how values travel."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sopslab.cli.main import main
from sopslab.cli.verbs._shared import asked_secret
from sopslab.config.settings import Settings
from sopslab.errors import Exit
from sopslab.incidents.rotation.record import Rotation, render_rotation
from sopslab.model.incidents import Cause
from sopslab.run.runner import Result as RunResult
from tests.commands import enrol, say_format
from tests.repositories import begin_repository, commit, git, make_identity
from tests.texts import write_files

Data = dict[str, Any]
# A Secret that looks like one that sops has encrypted to a recipient.
SECRET = """apiVersion: v1
kind: Secret
metadata: {{name: a}}
data: {{TOKEN: "ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]"}}
sops:
  age: [{{recipient: {}, enc: wrapped}}]
"""


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Data]:
    """Record the file, the data and the input of each deploy instead of running it."""
    seen: list[Data] = []

    def deploy(
        file: str, _settings: Settings, data: Data, *_more: Any, stdin: str = ""
    ) -> RunResult:
        lists = {key: json.loads(data[key]) for key in ("learners", "exposed", "given")}
        seen.append({**data, **lists, "deploy": file, "stdin": stdin})
        return RunResult(Exit.OK, 3.0, [], [], Path("log"))

    monkeypatch.setattr("sopslab.cli.verbs.rotate.deploy_or_exit", deploy)
    return seen


def rotate(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["rotate", *arguments], input=stdin)


def begun(settings: Settings, *learners: str, **changes: Any) -> Rotation:
    given = {"cause": Cause.LEARNER_KEY, "incident": "2026-11-24-lost", **changes}
    rotation = Rotation(opened=date(2026, 11, 24), subjects=learners, **given)
    path = Path(settings.lab_dir) / "rotations" / f"{rotation.incident}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    say_format(settings)
    path.write_text(render_rotation(rotation))
    return rotation


@pytest.mark.parametrize(
    ("enrolled", "asked", "learners"),
    [
        ((), ("learner-key",), ["learner"]),
        (("ada", "bob"), ("cluster-key", "bob", "bob"), ["bob"]),
        (("ada", "bob"), ("cluster-key", "--all"), ["ada", "bob"]),
        (("ada", "bob"), ("instructor-key",), ["ada", "bob", "learner"]),
        (("ada",), ("git-credential", "ada"), ["ada"]),
    ],
)
def test_who_is_meant(
    settings: Settings,
    runs: list[Data],
    enrolled: tuple[str, ...],
    asked: tuple[str, ...],
    learners: list[str],
) -> None:
    if enrolled:
        enrol(settings, *enrolled)
    done = rotate(*asked, "--yes")
    assert done.exit_code == 0, done.output
    (run,) = runs
    assert run["deploy"] == "deploys/rotate.py"
    assert run["learners"] == learners
    assert run["incident"].endswith(asked[0])


@pytest.mark.parametrize("asked", [("--yes",), ("--dry-run",)])
def test_an_instructors_identity_that_is_elsewhere_is_not_replaced_here(
    settings: Settings,
    runs: list[Data],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tools: Callable[..., Path],
    asked: tuple[str],
) -> None:
    tools("age-keygen")
    file = tmp_path / "lab.yaml"
    file.write_text(f"instructor_recipient: {make_identity(tmp_path / 'elsewhere.agekey')}\n")
    monkeypatch.setenv("SOPSLAB_FILE", str(file))
    refused = rotate("instructor-key", *asked)
    assert refused.exit_code == Exit.INPUT
    assert "make another one where it is, set instructor_recipient" in refused.stderr
    assert runs == []
    assert rotate("learner-key", *asked).exit_code == Exit.OK


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("learner-key",), "name the learners concerned, or --all: ada, bob"),
        (("learner-key", "joe"), "there is no environment of joe"),
        (("learner-key", "ada", "--all"), "--all goes without IDs"),
        (("instructor-key", "ada"), "instructor-key goes without IDs"),
        (("value-exposed", "ada"), "name what leaked"),
        (("learner-key", "ada", "--exposed", "a"), "--exposed goes with value-exposed"),
        (("git-credential", "ada", "--value", "a/B"), "git-credential has none"),
        (("value-exposed", "ada", "--value", "a"), "a: NAME/KEY is needed"),
        (("value-exposed", "ada", "bob", "--value", "a/B"), "a value is given to one environment"),
        (("value-exposed", "ada", "--exposed", "A B"), "the name of a Secret or NAME/KEY"),
        (("learner-key", "ada", "--incident", "lost"), "such as 2026-11-25-leaked-api-key"),
        (("learner-key", "ada", "--incident", "2026-13-01-x"), "there is no day 2026-13-01"),
    ],
)
def test_bad_input_touches_nothing(
    settings: Settings, runs: list[Data], asked: tuple[str, ...], said: str
) -> None:
    enrol(settings, "ada", "bob")
    done = rotate(*asked, "--yes", stdin="x\n")
    assert done.exit_code == Exit.INPUT, done.output
    assert said in done.output
    assert runs == []


def test_all_problems_are_told_at_once(settings: Settings, runs: list[Data]) -> None:
    done = rotate("git-credential", "joe", "--all", "--value", "a/B", "--json")
    assert done.exit_code == Exit.INPUT
    assert len(json.loads(done.output)["problems"]) == 3
    assert runs == []


def test_a_rotation_under_way_goes_on(settings: Settings, runs: list[Data]) -> None:
    enrol(settings, "ada", "bob")
    begun(settings, "ada", "bob")
    for asked in (("learner-key",), ("learner-key", "ada"), ("learner-key", "--all")):
        assert rotate(*asked, "--yes").exit_code == 0
    assert {run["incident"] for run in runs} == {"2026-11-24-lost"}
    assert all(run["learners"] == ["ada", "bob"] for run in runs)
    rotate("cluster-key", "ada", "--yes")
    assert runs[-1]["incident"] != "2026-11-24-lost"


def test_whoever_was_archived_meanwhile_is_not_asked_for(
    settings: Settings, runs: list[Data]
) -> None:
    enrol(settings, "bob")
    begun(settings, "ada", "bob")
    assert rotate("learner-key", "--yes").exit_code == 0
    assert (runs[0]["incident"], runs[0]["learners"]) == ("2026-11-24-lost", ["bob"])


def test_one_that_is_over_does_not(settings: Settings, runs: list[Data]) -> None:
    begun(settings, "learner", proven=("learner",))
    rotate("learner-key", "--yes")
    assert runs[0]["incident"] != "2026-11-24-lost"
    rotate("learner-key", "--yes", "--incident", "2026-11-24-lost")
    assert runs[1]["incident"] == "2026-11-24-lost"
    wrong = rotate("cluster-key", "--yes", "--incident", "2026-11-24-lost")
    assert wrong.exit_code == Exit.INPUT and "is about learner-key" in wrong.output


def test_a_rotation_that_is_named_is_not_taken_for_one_of_others(
    settings: Settings, runs: list[Data]
) -> None:
    """It would go on without them, and what leaked of theirs would still open what it did."""
    enrol(settings, "ada", "bob")
    key = begun(settings, "ada").incident
    value = begun(
        settings, "ada", cause=Cause.VALUE_EXPOSED, incident="2026-11-24-value", exposed=("a",)
    ).incident
    for asked, other in (
        (("learner-key", "ada", "bob", "--incident", key), "bob"),
        (("learner-key", "--all", "--incident", key), "bob"),
        (("value-exposed", "--exposed", "b", "--incident", value), "b"),
        (("value-exposed", "ada", "--value", "b/KEY", "--incident", value), "b/KEY"),
    ):
        refused = rotate(*asked, "--yes", stdin="x\n")
        assert refused.exit_code == Exit.INPUT
        assert f" is not about {other}: without --incident" in refused.stderr
    assert runs == []
    for goes_on in (("ada",), (), ("--value", "a/KEY")):
        assert (
            rotate("value-exposed", *goes_on, "--incident", value, "--yes", stdin="x\n").exit_code
            == 0
        )
    assert [run["incident"] for run in runs] == [value] * 3


def test_a_value_that_no_rotation_is_about_begins_another(
    settings: Settings, runs: list[Data]
) -> None:
    enrol(settings, "ada")
    left = {"ada": ("b/TOKEN",)}
    known = begun(settings, "ada", cause=Cause.VALUE_EXPOSED, exposed=("a",), pending=left)
    for value in ("a/KEY", "b/TOKEN", "b/KEY"):
        assert rotate("value-exposed", "ada", "--value", value, "--yes", stdin="x\n").exit_code == 0
    assert [run["incident"] == known.incident for run in runs] == [True, True, False]
    assert runs[2]["exposed"] == ["b/KEY"]


def test_a_second_rotation_of_a_day_has_a_number(settings: Settings, runs: list[Data]) -> None:
    rotate("learner-key", "--yes")
    begun(settings, "learner", incident=runs[0]["incident"], proven=("learner",))
    rotate("learner-key", "--yes")
    assert runs[1]["incident"] == f"{runs[0]['incident']}-2"


def test_a_value_travels_on_standard_input_only(settings: Settings, runs: list[Data]) -> None:
    done = rotate(
        "value-exposed", "--value", "backend-secrets/TOKEN", "--yes", stdin="not-to-be-seen\n"
    )
    assert done.exit_code == 0, done.output
    (run,) = runs
    assert json.loads(run.pop("stdin")) == {"backend-secrets/TOKEN": "not-to-be-seen"}
    assert run["given"] == run["exposed"] == ["backend-secrets/TOKEN"]
    assert "not-to-be-seen" not in str(run) + done.output


def test_a_value_that_is_missing_ends_it(settings: Settings, runs: list[Data]) -> None:
    done = rotate("value-exposed", "--value", "a/B", "--yes", stdin="")
    assert done.exit_code == Exit.INPUT and "a/B: no value was given" in done.output
    assert runs == []


def test_a_value_that_is_no_text_is_refused_and_not_shown(
    settings: Settings, runs: list[Data]
) -> None:
    asked = ["rotate", "value-exposed", "--value", "a/B", "--yes"]
    done = CliRunner().invoke(main, asked, input=b"not-to-be-seen\xff\n")
    assert done.exit_code == Exit.INPUT and runs == []
    assert done.output == "a/B: standard input is not UTF-8\n"


def test_the_end_of_a_line_is_no_part_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    # As Python opens standard input, and not as click's runner does.
    lines = io.TextIOWrapper(io.BytesIO(b"of Windows\r\nof Linux\nwithout an end"), newline="\n")
    monkeypatch.setattr("sys.stdin", lines)
    asked = [asked_secret("value", confirm=True) for _ in range(3)]
    assert asked == ["of Windows", "of Linux", "without an end"]


def test_it_asks_before_it_begins(settings: Settings, runs: list[Data]) -> None:
    assert rotate("learner-key", stdin="n\n").exit_code == 1
    assert runs == []
    assert rotate("learner-key", stdin="y\n").exit_code == 0
    assert len(runs) == 1


@pytest.fixture
def encrypted(settings: Settings, tools: Callable[..., Path], tmp_path: Path) -> Path:
    """The repository of the lab's learner, with a Secret that is encrypted to the learner's key."""
    tools("age-keygen")
    say_format(settings)
    own = make_identity(Path(settings.keys_dir) / "learner.agekey")
    bare = Path(settings.git_dir) / "repositories/learner/lab.git"
    begin_repository(bare, tmp_path / "clone")
    write_files(tmp_path / "clone", {".sops.yaml": f"age: {own}\n", "a.yaml": SECRET.format(own)})
    git(bare, "update-ref", "refs/lab/start", commit(tmp_path / "clone", "Begin the lab"))
    return bare


def test_a_dry_run_tells_the_phases_and_the_files(
    settings: Settings, runs: list[Data], encrypted: Path
) -> None:
    before = git(encrypted, "for-each-ref")
    done = rotate("learner-key", "--dry-run")
    assert done.exit_code == 0, done.output
    files = [
        ".sops.yaml names another recipient",
        "a.yaml: another data key, other values for TOKEN",
    ]
    assert done.stdout.splitlines()[-3:] == ["learner", *(f"  {file}" for file in files)]
    told = json.loads(rotate("learner-key", "--dry-run", "--json").output)
    assert list(told["phases"])[:2] == ["inventory", "identity"]
    assert told["plan"] == {"learner": files}
    none = rotate("git-credential", "--dry-run").stdout.splitlines()
    assert none[-2:] == ["learner", "  no file changes"]
    assert runs == [] and git(encrypted, "for-each-ref") == before
    assert not (Path(settings.lab_dir) / "rotations").exists()
