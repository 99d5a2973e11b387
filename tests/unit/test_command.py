"""Commands: what comes from outside is never code, and secrets are in no command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pyinfra.api import StringCommand

from sopslab.checks.causes import told
from sopslab.provision.command import refusal, script
from tests.fake import arguments_of, text_of

LITERALS = [
    "plain",
    "two words",
    "it's",
    'say "hi"',
    "line\nbreak",
    "$(touch gone)",
    "`touch gone`",
    "; touch gone",
    "a && touch gone",
    "${HOME}",
    "-rf",
    "--",
    "{{ 7 * 7 }}",
    "{0}%s%%",
    "\\n\\",
    "*",
    "~",
    "",
    "Zoë 李雷 🔑",
    "'\"'\"'",
]


def run(command: StringCommand, folder: Path) -> subprocess.CompletedProcess[str]:
    stdin = command.connector_arguments.get("_stdin")
    return subprocess.run(
        ["sh", "-c", command.get_raw_value()],
        input=None if stdin is None else str(stdin),
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize("value", LITERALS)
def test_an_argument_arrives_literally(value: str, tmp_path: Path) -> None:
    done = run(script('printf "%s|%s" "$1" "$#"', value), tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{value}|1")
    assert not list(tmp_path.iterdir())


def test_many_arguments_keep_their_order(tmp_path: Path) -> None:
    done = run(script('for word; do printf "%s|" "$word"; done', *LITERALS), tmp_path)
    assert done.stdout == "|".join([*LITERALS, ""])


def test_a_script_stops_at_the_first_failure_and_at_an_unset_variable(tmp_path: Path) -> None:
    assert run(script("false; echo on"), tmp_path).stdout == ""
    assert run(script('echo "$nothing"; echo on'), tmp_path).returncode != 0


def test_a_secret_on_standard_input_is_not_in_the_command(tmp_path: Path) -> None:
    command = script("cat", "argument", stdin="hidden-value")
    assert run(command, tmp_path).stdout == "hidden-value"
    for shown in (command.get_raw_value(), command.get_masked_value(), str(command), repr(command)):
        assert "hidden-value" not in shown


def test_only_a_script_that_asks_for_it_runs_as_root() -> None:
    assert "_sudo" not in script("id").connector_arguments
    assert script("id", sudo=True).connector_arguments["_sudo"] is True


def test_a_refusal_says_its_sentence_and_fails(tmp_path: Path) -> None:
    sentence = 'it\'s "odd": $(touch gone)\nand more %s'
    done = run(refusal(sentence), tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert told(done.stderr.splitlines()) == sentence.splitlines()
    assert not list(tmp_path.iterdir())


def test_the_parts_of_a_command_can_be_told_apart() -> None:
    command = script('echo "$1"', "a b")
    assert (text_of(command), arguments_of(command)) == ('echo "$1"', ["a b"])
