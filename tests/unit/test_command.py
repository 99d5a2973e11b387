"""Commands: what comes from outside is never code, and secrets are in no command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pyinfra.api import StringCommand

from sopslab.checks.causes import told
from sopslab.config.settings import Settings
from sopslab.provision.command import lab_script, refusal, script
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


@pytest.mark.parametrize("value", LITERALS)
def test_a_variable_arrives_literally(value: str, tmp_path: Path) -> None:
    done = run(script('printf %s "$VALUE"', environment={"VALUE": value}), tmp_path)
    assert (done.returncode, done.stdout) == (0, value)
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


@pytest.fixture
def odd(lab: Callable[..., Settings], tmp_path: Path) -> Settings:
    """A lab whose root has a blank and an umlaut in it."""
    settings = lab(root=str(tmp_path / "Übung eins"))
    Path(settings.bin_dir).mkdir(parents=True)
    return settings


def test_a_lab_script_finds_the_labs_tools_first(odd: Settings, tmp_path: Path) -> None:
    tool = Path(odd.bin_dir) / "kubectl"
    tool.write_text("#!/bin/sh\necho ours\n")
    tool.chmod(0o755)
    assert run(lab_script(odd, "kubectl"), tmp_path).stdout == "ours\n"


def test_a_lab_script_sees_the_labs_cluster_and_not_the_users(
    odd: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/ada/.kube/production")
    done = run(lab_script(odd, 'printf "%s|%s" "$KUBECONFIG" "$LAB_CONTEXT"'), tmp_path)
    assert done.stdout == f"{odd.lab_kubeconfig}|kind-lab"


def test_nothing_that_configures_git_for_the_user_reaches_a_lab_script(
    odd: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gitconfig").write_text("[user]\n\tname = Mallory\n[core]\n\thooksPath = /evil\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Mallory\n")
    done = run(lab_script(odd, "git config --list && echo listed"), tmp_path)
    assert "listed" in done.stdout
    assert "Mallory" not in done.stdout
    assert "evil" not in done.stdout


@pytest.mark.parametrize("value", LITERALS)
def test_an_argument_of_a_lab_script_arrives_literally(
    value: str, odd: Settings, tmp_path: Path
) -> None:
    done = run(lab_script(odd, 'printf "%s|%s" "$1" "$#"', value), tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{value}|1")


def test_loopback_needs_no_authority_and_no_exception(lab: Callable[..., Settings]) -> None:
    text = str(lab_script(lab(), "true"))
    assert "GIT_SSL_CAINFO" not in text
    assert "NO_PROXY" not in text


@pytest.mark.parametrize(
    ("given", "seen"), [(None, ",192.0.2.10"), ("a.example", "a.example,192.0.2.10")]
)
def test_over_the_network_git_trusts_the_labs_authority_past_every_proxy(
    given: str | None,
    seen: str,
    lab: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_PROXY", "no_proxy", "GIT_SSL_CAINFO"):
        monkeypatch.delenv(name, raising=False)
    if given is not None:
        monkeypatch.setenv("no_proxy", given)
    settings = lab(git_bind="192.0.2.10")
    shown = 'sh -c \'printf "%s|%s|%s" "$NO_PROXY" "$no_proxy" "$GIT_SSL_CAINFO"\''
    done = run(lab_script(settings, shown), tmp_path)
    assert done.stdout == f"{seen}|{seen}|{settings.tls_dir}/ca.crt"


def test_the_parts_of_a_command_can_be_told_apart() -> None:
    command = script('echo "$1"', "a b", environment={"X": "y"})
    assert (text_of(command), arguments_of(command)) == ('echo "$1"', ["a b"])
