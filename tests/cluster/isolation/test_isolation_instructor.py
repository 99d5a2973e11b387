"""What a learner's repository can do to the instructor's files and terminal."""

from __future__ import annotations

import json
import shutil
import unicodedata
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.model.hints import RECORD
from tests.bench.board import board
from tests.cluster.isolation.hostile import SECRETS, Hostile, manifest
from tests.cluster.lab import run

pytestmark = pytest.mark.every_provider

# Sets the window's title, clears the screen, overwrites the line, reverses the direction of text.
OBEYED = "\x1b]0;owned\x07\x1b[2J\rfine\u202e"
LIST = f"{SECRETS}/kustomization.yaml"


@pytest.fixture(autouse=True)
def _as_it_was(ada: Hostile) -> Iterator[None]:
    yield
    for verb in (["drill", "end", "ada"], ["reset", "ada"]):
        ada.lab.sopslab(*verb, check=False)
    for name in run(
        ["git", "for-each-ref", "--format=%(refname)", "refs/heads/saved", "refs/heads/beside"],
        cwd=ada.classroom.bare("ada"),
    ).stdout.split():
        run(["git", "update-ref", "-d", name], cwd=ada.classroom.bare("ada"))
    (ada.classroom.bare("ada") / RECORD).unlink(missing_ok=True)


def obeyed(text: str) -> list[str]:
    """Return the characters of a text that a terminal obeys, or that are invisible."""
    return [
        char for char in text if char not in "\n\t" and unicodedata.category(char) in {"Cc", "Cf"}
    ]


# Every verb that says something about a seat; `board`, which serves a page, is asked beside them.
VERBS = (
    "up",
    "status",
    "status --csv",
    "status --json",
    "doctor ada",
    "hint ada",
    "helped ada",
    "break wrong-recipient ada",
    "drill leak ada",
    "drill status ada",
    "credentials",
    "credentials plan ada",
    "incident open leaked-api-key ada",
    "incident",
    "rotate cluster-key ada --dry-run",
    "policy history {bare}",
    "cards",
    "class report --output {folder}",
    "support --output {report}",
    "reset ada --dry-run",
    "reset ada",
    "fix ada",
    "reissue ada",
)


def page(ada: Hostile) -> str:
    """Return what the board shows in a browser."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with board(ada.classroom) as served, opener.open(served.address, timeout=60) as answer:
        return str(answer.read().decode())


@pytest.mark.soak
def test_no_verb_shows_the_instructor_what_a_terminal_obeys(ada: Hostile, tmp_path: Path) -> None:
    # The name is escaped in YAML; kustomize decodes it, and repeats it in its error.
    (ada.work / LIST).write_text(
        f"resources:\n- lab-canary.yaml\n- {json.dumps(f'{OBEYED}.yaml')}\n"
    )
    run(["git", "add", "--all"], cwd=ada.work)
    run(["git", "-c", f"user.name={OBEYED}", "commit", "-qnm", f"Try {OBEYED}"], cwd=ada.work)
    ada.smuggle()
    assert "owned" in ada.failure()
    # A file that the policy has to name. It is on another branch, since Flux accepts no such names.
    plain = manifest("Secret", "plain", stringData={"value": "of no use to anybody"})
    (ada.work / SECRETS / f"plain{OBEYED}.yaml").write_text(json.dumps(plain))
    run(["git", "add", "--all"], cwd=ada.work)
    run(["git", "commit", "-qnm", "Put a Secret beside it"], cwd=ada.work)
    run(["git", "push", "-q", str(ada.classroom.bare("ada")), "HEAD:beside"], cwd=ada.work)
    ada.kubectl("delete", "secret", "lab-canary")
    ada.kubectl("create", "configmap", "mine")
    ada.kubectl("annotate", "configmap", "mine", f"example.org/x={OBEYED}")

    said = {"board": page(ada)}
    places = {
        "bare": ada.classroom.bare("ada"),
        "folder": tmp_path / "class",
        "report": tmp_path / "report.tar.gz",
    }
    misused = []
    for verb in VERBS:
        done = ada.lab.sopslab(*verb.format(**places).split(), check=False)
        said[verb] = done.stdout + done.stderr
        if "Usage:" in done.stderr:
            misused.append(verb)

    assert misused == [], "these verbs, or their options, do not exist"
    assert {verb: found for verb, text in said.items() if (found := obeyed(text))} == {}
    # The attack reached the output, or the test would prove nothing.
    history = said["policy history {bare}"]
    assert "owned" in history, history


@pytest.mark.soak
def test_no_verb_follows_a_link_of_a_learner(ada: Hostile, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for folder in ("secrets/develop", "develop"):
        (outside / folder).mkdir(parents=True)
        shutil.copy(ada.work / LIST, outside / folder)
        shutil.copy(ada.work / SECRETS / "lab-canary.yaml", outside / folder)
    shutil.copy(ada.work / LIST, outside)
    before = {path: path.is_file() and path.read_bytes() for path in outside.rglob("*")}

    for path, target in (
        ("flux", outside),
        (SECRETS, outside / "develop"),
        (LIST, outside / "kustomization.yaml"),
    ):
        ada.lab.sopslab("reset", "ada", "--to", "done")
        run(["git", "fetch", "-q"], cwd=ada.work)
        run(["git", "reset", "-q", "--hard", "origin/main"], cwd=ada.work)
        run(["git", "rm", "-rq", path], cwd=ada.work)
        (ada.work / path).parent.mkdir(parents=True, exist_ok=True)
        (ada.work / path).symlink_to(target)
        run(["git", "add", "--all"], cwd=ada.work)
        run(["git", "commit", "-qnm", "Link"], cwd=ada.work)
        ada.smuggle()
        said = ada.lab.sopslab("drill", "leak", "ada", check=False)
        assert said.returncode != 0 and f"{path} on main is not a file or folder" in (
            said.stdout + said.stderr
        )
        for verb in (
            "status",
            "doctor ada",
            "break not-wired ada",
            "rotate cluster-key ada --dry-run",
        ):
            ada.lab.sopslab(*verb.split(), check=False)
        ada.lab.sopslab("fix", "ada", check=False)

    ada.lab.sopslab("reset", "ada", "--to", "encrypted")
    ada.lab.sopslab("support", "--output", str(tmp_path / "report.tar.gz"), check=False)
    after = {path: path.is_file() and path.read_bytes() for path in outside.rglob("*")}
    assert after == before
