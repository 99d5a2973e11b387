"""Exit codes and output of both entries of the policy, and that it fails closed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sopslab.cli.verbs.policy import policy
from sopslab.policy import __main__, callers
from sopslab.policy.findings import Report
from tests.texts import write_program
from tests.unit.policy import policy_material
from tests.unit.policy.conftest import Repo

SECRET = "apiVersion: v1\nkind: Secret\nstringData:\n  password: hunter2\n"


@pytest.fixture
def bad(tmp_path: Path, gitleaks: str) -> Path:
    """A file with a finding."""
    target = tmp_path / "a.yaml"
    target.write_text(SECRET)
    return target


@pytest.fixture
def good(tmp_path: Path, gitleaks: str) -> Path:
    """A file without a finding."""
    target = tmp_path / "good" / "b.yaml"
    target.parent.mkdir()
    target.write_text("a: b\n")
    return target


def test_both_entries_answer_alike(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = __main__.main(["check", "--json", str(bad)])
    plain = capsys.readouterr().out
    clicked = CliRunner().invoke(policy, ["check", "--json", str(bad)])
    assert (code, clicked.exit_code) == (1, 1)
    assert json.loads(plain) == json.loads(clicked.output)
    (finding,) = json.loads(plain)["findings"]
    assert finding["path"] == str(bad)
    assert (finding["line"], finding["rule"]) == (4, "secret-plaintext")


def test_both_entries_read_a_list_of_refs_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a ref may have characters at which Python, but not git, ends a line."""
    line = f"{'0' * 40} {'1' * 40} refs/heads/a\u2028b"
    given: list[list[str]] = []

    def judge(lines: Iterable[str]) -> Report:
        given.append(list(lines))
        return Report()

    monkeypatch.setattr(callers, "pre_receive", judge)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{line}\n"))
    assert __main__.main(["pre-receive"]) == 0
    assert CliRunner().invoke(policy, ["pre-receive"], input=f"{line}\n").exit_code == 0
    assert given == [[line], [line]]


def test_clean_is_0(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["check", str(good)]) == 0
    assert "1 files checked, none holds a secret" in capsys.readouterr().out


def test_findings_are_1_with_place_and_fix(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["check", str(bad)]) == 1
    shown = capsys.readouterr().out
    assert f"{bad}:4: stringData.password is in plain text [secret-plaintext]" in shown
    assert "fix: encrypt the file" in shown
    assert "hunter2" not in shown


def test_missing_path_is_2(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["check", str(good), str(good) + ".none"]) == 2
    assert "does not exist" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["check"], ["nonsense"], ["check", "--nonsense", "a"]])
def test_usage_errors_are_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        __main__.main(arguments)
    assert stop.value.code == 2
    if arguments:
        assert CliRunner().invoke(policy, arguments).exit_code == 2


def test_findings_and_undecided_are_2(bad: Path, good: Path) -> None:
    good.write_text("a: &a [1]\nb: &b [*a, *a]\n" + "c: &c [*c]\n")
    answer = callers.check([str(bad), str(good)])
    assert answer.exit_code == 2
    assert len(answer.findings) == 1
    assert "contains itself" in answer.undecided[0]


def test_bomb_cannot_be_decided(good: Path) -> None:
    levels = ["a0: &a0 [x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    good.write_text("\n".join(levels))
    answer = callers.check([str(good)])
    assert "expands to too much" in answer.undecided[0]


def test_unforeseen_errors_cannot_be_decided_and_show_nothing(
    bad: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("hunter2")

    monkeypatch.setattr("sopslab.policy.keys.scan", fail)
    answer = callers.check([str(bad)])
    assert answer.exit_code == 2
    assert answer.undecided == [f"{bad} cannot be judged: ValueError"]


def test_missing_gitleaks_cannot_be_decided(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOPSLAB_GITLEAKS")
    monkeypatch.setenv("PATH", str(good.parent))
    answer = callers.check([str(good)])
    assert answer.exit_code == 2
    assert answer.undecided == [
        "gitleaks is not installed, so general secrets cannot be looked for"
    ]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 1", "gitleaks failed with exit code 1"),
        ("cat >/dev/null; exit 0", "gitleaks gave no readable report"),
        ("cat >/dev/null; echo '[{}]'; exit 42", "gitleaks gave no readable report"),
        ("kill -9 $$", "gitleaks failed with exit code -9"),
    ],
)
def test_crashing_gitleaks_cannot_be_decided(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    program = write_program(tmp_path / "fake", f"#!/bin/sh\n{script}\n")
    monkeypatch.setenv("SOPSLAB_GITLEAKS", str(program))
    # The file is larger than a pipe, so that the policy also writes to a process that is dead.
    good.write_text("# text\n" * 40_000)
    answer = callers.check([str(good)])
    assert answer.undecided == [reason]


def test_gitleaks_that_cannot_run_cannot_be_decided(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOPSLAB_GITLEAKS", str(good))
    assert "cannot be started" in callers.check([str(good)]).undecided[0]


def test_lines_of_gitleaks_lead_to_the_right_file(tmp_path: Path, gitleaks: str) -> None:
    expected = []
    for number in range(60):
        lines = [f"x{n} = {n}" for n in range(number * 20)]
        if number % 7 == 3:
            lines.append(f'T = "{policy_material.render("{{ github }}")}"')
            expected.append((str(tmp_path / f"{number:03}.py"), len(lines)))
        (tmp_path / f"{number:03}.py").write_text("\n".join([*lines, *["y = 1"] * number]))
    answer = callers.check([str(tmp_path)])
    assert [(finding.path, finding.line) for finding in answer.findings] == expected


def test_text_of_one_file_never_joins_with_the_next(tmp_path: Path, gitleaks: str) -> None:
    (tmp_path / "a.py").write_text("api_key =")
    (tmp_path / "b.py").write_text(f'"{policy_material.render("{{ token }}")}"')
    assert callers.check([str(tmp_path)]).findings == []


def test_policy_needs_the_standard_library_and_yaml_only(repo: Repo) -> None:
    code = (
        "import sys, sopslab.policy.__main__\n"
        "files = {getattr(module, '__file__', None) or '' for module in sys.modules.values()}\n"
        "print([f for f in files if 'site-packages' in f and 'yaml' not in f])"
    )
    site_packages = str(Path(yaml.__file__).parents[1])
    path = os.pathsep.join([repo.environment["PYTHONPATH"], site_packages])
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**repo.environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
