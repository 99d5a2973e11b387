"""The command on labs of other formats: what refuses, with which code, and what `up` says first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sopslab import __version__
from sopslab.checks.takeover import FORMAT, takeover_plan
from sopslab.cli.main import main
from sopslab.config.settings import Settings
from sopslab.errors import Exit
from sopslab.model.formats import Format, render_format
from tests.texts import write_program

CHANGING = {
    "break": ("wrong-key",),
    "cards": (),
    "credentials record": ("registry.yaml",),
    "drill end": (),
    "drill leak": (),
    "fix": (),
    "incident close": ("2026-11-25-a-leak",),
    "incident open": ("a-leak",),
    "incident note": ("2026-11-25-a-leak",),
    "reissue": ("ada",),
    "reset": ("--dry-run",),
    "rotate": ("learner-key", "--dry-run"),
}
Sopslab = Callable[..., Result]


@pytest.fixture
def sopslab(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sopslab:
    """Return a function that runs the command on the lab of this test, without Docker."""
    docker = write_program(tmp_path / "stand-ins" / "docker", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
    return lambda *arguments: CliRunner().invoke(main, arguments)


def make_lab(settings: Settings, number: int, product: str = "9.1.0") -> Path:
    """Make a lab with keys, in a format that a version has brought it to; return its folder."""
    Path(settings.keys_dir).mkdir(parents=True)
    if number:
        Path(settings.format_file).write_text(render_format(Format(number, product)))
    return Path(settings.lab_dir)


OTHERS = {
    FORMAT - 1: f"the lab has format {FORMAT - 1}, ",
    FORMAT: "the lab was brought up by sops-lab 9.1.0, ",
    FORMAT + 1: f"the lab has format {FORMAT + 1}, ",
}


@pytest.mark.parametrize("number", OTHERS, ids=["older", "of-a-newer-version", "newer"])
@pytest.mark.parametrize("verb", CHANGING)
def test_a_verb_that_changes_a_lab_leaves_one_of_another_version_alone(
    sopslab: Sopslab, settings: Settings, verb: str, number: int
) -> None:
    folder = make_lab(settings, number)
    before = sorted(folder.rglob("*"))
    done = sopslab(*verb.split(), *CHANGING[verb])
    assert done.exit_code == Exit.FORMAT, done.output
    assert done.stderr.startswith(OTHERS[number])
    assert done.stdout == ""
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("number", [FORMAT, FORMAT + 1], ids=["version", "format"])
def test_an_up_leaves_a_newer_lab_alone(
    sopslab: Sopslab, settings: Settings, number: int, as_json: bool
) -> None:
    folder = make_lab(settings, number)
    for options in ((), ("--dry-run",), ("--recreate",)):
        done = sopslab("up", *options, *(["--json"] if as_json else []))
        assert done.exit_code == Exit.FORMAT, done.output
        said = json.loads(done.stdout)["problems"] if as_json else done.stderr.splitlines()
        assert len(said) == 1 and "9.1.0" in said[0]
    assert not (folder / "log").exists()


@pytest.mark.parametrize("verb", ["down", "env", "status"])
def test_what_looks_at_a_newer_lab_or_takes_it_down_does_its_work(
    sopslab: Sopslab, settings: Settings, verb: str
) -> None:
    make_lab(settings, FORMAT + 1)
    done = sopslab(verb)
    assert done.exit_code == (Exit.FAILED if verb == "status" else Exit.OK), done.output
    assert Path(settings.keys_dir).is_dir()


def test_a_dry_run_says_what_a_takeover_would_change_and_changes_nothing(
    sopslab: Sopslab, settings: Settings
) -> None:
    folder = make_lab(settings, FORMAT - 1)
    (folder / ".cluster.lock").touch()
    before = sorted(folder.rglob("*"))
    done = sopslab("up", "--dry-run", "--json")
    assert json.loads(done.stdout) == {
        "ok": True,
        "changed": 0,
        "plan": {settings.lab: takeover_plan(Format(FORMAT - 1))},
    }
    shown = sopslab("up", "--dry-run")
    assert shown.exit_code == Exit.OK
    assert [line.strip() for line in shown.stdout.splitlines()][1:] == takeover_plan(
        Format(FORMAT - 1)
    )
    assert sorted(folder.rglob("*")) == before


def test_a_dry_run_on_a_lab_of_this_version_has_nothing_to_say(
    sopslab: Sopslab, settings: Settings
) -> None:
    make_lab(settings, FORMAT, __version__)
    done = sopslab("up", "--dry-run", "--json")
    assert json.loads(done.stdout)["plan"] == {settings.lab: []}
