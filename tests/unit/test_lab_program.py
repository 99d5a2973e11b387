"""The program on the lab's machine, started as an operation starts it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.causes import OURS
from sopslab.config.environment import solo
from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.lab import __main__ as program
from sopslab.lab.act import checkpoints
from sopslab.layout import PROJECT
from sopslab.model.wire import encode
from sopslab.provision.command import acting

# Libraries that take longer to import than all of the program's work.
HEAVY = {"pydantic", "kubernetes", "pyinfra", "jinja2", "click"}


def start(what: str, order: dict[str, Any], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "sopslab.lab", what],
        input=json.dumps(order), capture_output=True, text=True, **more,
    )  # fmt: skip


def order(settings: Settings, **more: Any) -> dict[str, Any]:
    return {"lab": encode(settings.for_machine), **encode(more)}


def test_what_it_is_told_is_carried_out_and_answered(lab: Callable[..., Settings]) -> None:
    settings = lab()
    done = start(
        "observe.checkpoints.repository_states",
        order(settings, environments=[solo(settings)], checkpoint="start", saved="saved/x"),
    )
    assert done.returncode == 0
    assert "is gone" in json.loads(done.stdout)["learner"]["problem"]


def test_what_stands_in_the_way_is_said_in_a_sentence(lab: Callable[..., Settings]) -> None:
    settings = lab()
    environment = solo(settings)
    bare = Path(settings.git_dir, "repositories", f"{environment.repository}.git")
    bare.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--bare", str(bare)], check=True)
    told = order(settings, environment=environment, saved="saved/x")
    done = start("act.checkpoints.put_clone_back", told)
    # There is no clone: git's words go to the log, and are no sentence of ours.
    assert done.returncode == 1
    assert done.stderr and OURS not in done.stderr


@pytest.mark.parametrize("what", ["act.nothing.at_all", "act.checkpoints.no_such", "os.system"])
def test_nothing_else_can_be_started(what: str, lab: Callable[..., Settings]) -> None:
    done = start(what, order(lab()))
    assert done.returncode == 1
    assert f"LookupError: there is nothing called {what}" in done.stderr


def test_it_does_without_the_libraries_of_those_who_start_it() -> None:
    """These take longer to import than all of the program's work."""
    acts = [
        f"{folder}.{path.stem}"
        for folder in ("act", "store")
        for path in sorted((PROJECT / "sopslab" / "lab" / folder).glob("[a-z]*.py"))
    ]
    names = ["sopslab.lab.__main__", *(f"sopslab.lab.{name}" for name in acts)]
    assert len(acts) > 20
    done = subprocess.run(
        [
            sys.executable, "-c",
            f"import sys, {', '.join(names)}; sys.exit(bool({HEAVY!r} & set(sys.modules)))",
        ],
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert done.returncode == 0


def test_only_what_needs_certificates_waits_for_their_library() -> None:
    done = subprocess.run(
        [
            sys.executable, "-c",
            "import sys, sopslab.lab.__main__, sopslab.lab.act.access, sopslab.lab.act.logins;"
            " sys.exit('cryptography' in sys.modules)",
        ],
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert done.returncode == 0


def test_it_outlives_a_program_that_does_not_read_what_it_is_given(
    lab: Callable[..., Settings],
) -> None:
    text = """
import sys
from sopslab.config.places import Lab
from sopslab.lab import __main__ as program
from sopslab.lab.tools.programs import run

def give(lab: Lab) -> str:
    return run(["true"], {}, stdin=bytes(10**6)).decode()

program.find = lambda what: give
sys.exit(program.main())
"""
    done = subprocess.run(
        [sys.executable, "-c", text, "anything"],
        input=json.dumps(order(lab())), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, '""\n')


@pytest.mark.parametrize(
    ("number", "told"), [("ENOSPC", "the disk is full"), ("EROFS", "the disk is read-only")]
)
def test_what_the_machine_refuses_is_one_sentence_with_its_place(
    lab: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: str,
    told: str,
) -> None:
    def write(lab: Lab) -> None:
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)), "/some/file")

    monkeypatch.setattr(os, "umask", lambda mask: mask)
    monkeypatch.setattr(program, "find", lambda _what: write)
    monkeypatch.setattr("sys.argv", ["program", "anything", json.dumps(order(lab()))])

    assert program.main() == 1
    assert capsys.readouterr().err == f"sops-lab says: /some/file: {told}\n"


def test_an_order_travels_on_standard_input_only(lab: Callable[..., Settings]) -> None:
    settings = lab()
    command = acting(
        settings, checkpoints.put_back,
        environments=[solo(settings)], checkpoint="a-value", saved="saved",
    )  # fmt: skip
    assert "a-value" not in command.get_raw_value()
    assert "a-value" in str(command.connector_arguments["_stdin"])
