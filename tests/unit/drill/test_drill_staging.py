"""A drill staged and ended, on real repositories and with real tools."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sopslab.config.environment import Environment, solo
from sopslab.config.settings import Settings
from sopslab.incidents.leak import CLONE, KEY, LOG, PATH, STATE, leak_dir, read_staged
from sopslab.lab.act.branches import move
from sopslab.lab.observe.checkpoints import Repository
from sopslab.lab.tools.programs import Failed
from sopslab.layout import FLUX_NAMESPACE
from sopslab.provision.operations import drill
from tasks.drill import drill_text
from tests.conftest import find_tool
from tests.fake import Applied
from tests.repositories import (
    begin_repository,
    commit,
    decrypt,
    git,
    make_identity,
    overtake,
    was_overtaken,
)
from tests.texts import write_files

LISTED = "flux/secrets/develop/kustomization.yaml"
KUSTOMIZATION = "kind: Kustomization\nresources:\n  - lab-canary.yaml\n"
SAVED = "saved/20270301T090000Z"


@dataclass
class Alone:
    """A lab of one learner: the repository, the clone, and the folder of the drill."""

    settings: Settings
    environment: Environment

    @property
    def bare(self) -> Path:
        return Path(self.settings.git_dir) / "repositories" / f"{self.environment.repository}.git"

    @property
    def work(self) -> Path:
        return Path(self.settings.work_dir)

    @property
    def folder(self) -> Path:
        return Path(leak_dir(self.settings, self.environment.id))

    @property
    def value(self) -> str:
        """The value that leaked; only tests read it here."""
        matched = re.search(rf"{KEY}=(\S+)", (self.folder / LOG).read_text())
        assert matched
        return matched[1]

    def stage(self) -> Applied:
        return Applied(
            drill.leak,
            settings=self.settings,
            environment=self.environment,
            text=drill_text(self.settings, self.environment),
        )

    def end(self) -> Applied:
        return Applied(
            drill.end, settings=self.settings, environments=[self.environment], saved=SAVED
        )

    def commit(self, path: str, text: str, push: bool = True) -> str:
        write_files(self.work, {path: text})
        return commit(self.work, f"Write {path}", push=push)

    def main(self) -> str:
        return git(self.bare, "rev-parse", "refs/heads/main")

    def findings(self, repository: Path) -> list[str]:
        """Return the paths of the policy's findings in a history."""
        done = subprocess.run(
            [sys.executable, "-m", "sopslab.policy", "history", str(repository)],
            env={**os.environ, "SOPSLAB_GITLEAKS": find_tool("gitleaks")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return sorted(set(re.findall(r"^(\S+):\d+ \(commit", done.stdout, re.M)))


@pytest.fixture
def alone(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Alone:
    tools("sops", "age", "age-keygen")
    settings = lab()
    made = Alone(settings, solo(settings))
    begin_repository(made.bare, made.work)
    recipient = make_identity(Path(settings.keys_dir) / "learner.agekey")
    (made.work / LISTED).parent.mkdir(parents=True)
    (made.work / LISTED).write_text(KUSTOMIZATION)
    rules = (
        "creation_rules:\n  - path_regex: ^flux/secrets/develop/.*\\.yaml$\n"
        f"    encrypted_regex: ^(data|stringData)$\n    age: {recipient}\n"
    )
    start = made.commit(".sops.yaml", rules)
    git(made.bare, "update-ref", "refs/lab/start", start)
    return made


def test_the_leak_is_in_the_history_reverted_and_then_encrypted_as_it_was(alone: Alone) -> None:
    before = alone.main()
    assert alone.stage().changed
    staged = read_staged(alone.settings, "learner")
    assert staged is not None
    assert (staged.before, staged.fixed) == (before, alone.main())
    subjects = git(alone.bare, "log", "--format=%an: %s", f"{before}..main").splitlines()
    assert [line.split(":")[0] for line in subjects] == ["Robin Junior"] * 3
    assert subjects[1].startswith("Robin Junior: Revert ")
    assert alone.value in git(alone.bare, "show", f"{staged.leak}:{PATH}")
    assert git(alone.bare, "ls-tree", f"{staged.fixed}~1", PATH) == ""
    encrypted = git(alone.bare, "show", f"main:{PATH}")
    assert "ENC[AES256_GCM" in encrypted and alone.value not in encrypted
    assert "- payment-api.yaml" in git(alone.bare, "show", f"main:{LISTED}")
    assert staged.digest == hashlib.sha256(alone.value.encode()).hexdigest()
    identity = Path(alone.settings.keys_dir, "learner.agekey")
    assert decrypt(encrypted, identity, f'["stringData"]["{KEY}"]').stdout == alone.value
    assert alone.findings(alone.bare) == [PATH]


def test_log_and_clone_hold_the_value_and_nobody_else_may_read_them(alone: Alone) -> None:
    alone.stage()
    for path in (alone.folder, *alone.folder.rglob("*")):
        assert path.is_symlink() or path.stat().st_mode & 0o077 == 0, path
    assert alone.value in git(alone.folder / CLONE, "show", f"main:{PATH}")
    # Kim's clone is older than the revert.
    assert git(alone.folder / CLONE, "log", "--format=%s", "--all").count("Revert") == 0
    assert alone.value not in (alone.folder / "README.md").read_text()
    assert alone.value not in (alone.folder / STATE).read_text()


def test_the_value_is_in_no_output_and_in_no_command(alone: Alone) -> None:
    done = alone.stage()
    said = done.stdout + done.stderr
    for dress in (alone.value, base64.b64encode(alone.value.encode()).decode()):
        assert dress not in said


def test_a_second_run_changes_nothing(alone: Alone) -> None:
    alone.stage()
    before, state = alone.main(), (alone.folder / STATE).read_text()
    again = alone.stage()
    assert not again.changed and not again.failed
    assert (alone.main(), (alone.folder / STATE).read_text()) == (before, state)


def test_a_run_that_was_killed_before_main_moved_is_completed(alone: Alone) -> None:
    before = alone.main()
    alone.stage()
    git(alone.bare, "update-ref", "refs/heads/main", before)
    # A push between the two runs loses nothing.
    head = alone.commit("notes.md", "mine\n")
    assert alone.stage().changed
    staged = read_staged(alone.settings, "learner")
    assert staged is not None and staged.before == head
    assert git(alone.bare, "merge-base", "--is-ancestor", head, "main") == ""
    assert not list(Path(alone.settings.lab_dir).rglob(".new.*"))


def test_what_the_learner_has_under_that_name_is_not_overwritten(alone: Alone) -> None:
    head = alone.commit(PATH, "mine\n")
    done = alone.stage()
    assert done.failed
    assert "sopslab reset" in done.stderr
    assert alone.main() == head
    assert not alone.folder.exists()


def test_the_end_puts_everything_back_and_keeps_what_was_made(alone: Alone) -> None:
    mine = alone.commit("notes.md", "mine\n")
    alone.stage()
    git(alone.work, "pull", "--quiet", "--rebase", "origin", "main")
    pushed = alone.commit("after.md", "after the leak\n")
    git(alone.work, "push", "--quiet", "origin", "HEAD:refs/heads/topic")
    local = alone.commit("local.md", "never pushed\n", push=False)
    git(alone.work, "tag", "mine")
    (alone.work / "loose.md").write_text("never committed\n")

    assert alone.end().changed

    assert alone.main() == mine
    assert alone.findings(alone.bare) == []
    assert alone.findings(alone.work) == []
    assert git(alone.work, "rev-parse", "HEAD") == mine
    assert git(alone.work, "tag") == git(alone.work, "status", "--porcelain") == ""
    assert not alone.folder.exists()
    kept = sorted(Path(alone.settings.lab_dir, "drills", "kept").iterdir())
    assert [path.name.rsplit("-", 1)[0] for path in kept] == ["clone", "learner"]
    heads = [git(alone.bare, "bundle", "list-heads", str(path)) for path in kept]
    assert pushed in heads[1] and "refs/heads/topic" in heads[1]
    git(alone.work, "fetch", "--quiet", str(kept[0]), f"refs/heads/{SAVED}")
    assert git(alone.work, "show", "FETCH_HEAD:loose.md") == "never committed"
    assert git(alone.work, "merge-base", "--is-ancestor", local, "FETCH_HEAD") == ""
    again = alone.end()
    assert not again.changed and not again.failed


def test_a_tag_of_the_clone_does_not_keep_the_leak(alone: Alone) -> None:
    alone.stage()
    git(alone.work, "fetch", "--quiet", "origin", "main:refs/tags/mine")
    git(alone.work, "update-ref", "-d", "refs/remotes/origin/main")
    assert alone.end().changed
    assert alone.findings(alone.work) == []


def test_an_end_that_was_killed_halfway_is_completed(alone: Alone) -> None:
    before = alone.main()
    alone.stage()
    git(alone.work, "pull", "--quiet", "--rebase", "origin", "main")
    # The killed run had put back the branches on the server, and nothing else.
    git(alone.bare, "update-ref", "refs/heads/main", before)
    assert alone.end().changed
    assert git(alone.work, "rev-parse", "HEAD") == before
    assert alone.findings(alone.work) == []
    assert not alone.folder.exists()


@pytest.fixture
def elsewhere(lab: Callable[..., Settings], alone: Alone) -> Alone:
    """The same learner with the same repository, on a Git server other than the lab's."""
    settings = lab(
        git_url="http://git.example/course", git_username="ada", git_password="not-a-secret"
    )
    observed = Path(settings.lab_dir, "observed.git")
    git(alone.bare.parent, "clone", "--quiet", "--mirror", str(alone.bare), str(observed))
    git(observed, "config", "--unset", "remote.origin.mirror")
    here = f"file://{alone.bare.parent.parent}/"
    git(observed, "config", f"url.{here}.insteadOf", "http://git.example/course/")
    return Alone(settings, alone.environment)


def test_on_another_git_server_the_leak_is_pushed_and_taken_back(
    alone: Alone, elsewhere: Alone
) -> None:
    settings, observed = elsewhere.settings, Path(elsewhere.settings.lab_dir, "observed.git")
    before = alone.main()

    assert elsewhere.stage().changed
    staged = read_staged(settings, "learner")
    assert staged is not None and alone.main() == staged.fixed
    git(alone.bare, "update-ref", "refs/heads/topic", staged.fixed)

    assert elsewhere.end().changed
    assert alone.main() == before
    assert git(alone.bare, "for-each-ref", "--format=%(refname)", "refs/heads") == "refs/heads/main"
    assert alone.findings(alone.bare) == alone.findings(observed) == []


def test_a_drill_that_was_put_back_on_another_git_server_begins_anew(
    alone: Alone, elsewhere: Alone
) -> None:
    before = alone.main()
    assert elsewhere.stage().changed
    git(alone.bare, "update-ref", "refs/heads/main", before)
    assert elsewhere.stage().changed
    staged = read_staged(elsewhere.settings, "learner")
    assert staged is not None and alone.main() == staged.fixed
    assert not elsewhere.stage().changed


def test_every_branch_is_moved_on_another_git_server_too(alone: Alone, elsewhere: Alone) -> None:
    before = alone.main()
    after = alone.commit("notes.md", "mine\n")
    git(alone.bare, "update-ref", "refs/heads/topic", before)
    repository = Repository(elsewhere.settings.for_machine, elsewhere.environment)
    repository.refresh()
    move(repository, "refs/heads/topic", after, before)
    assert git(alone.bare, "rev-parse", "refs/heads/topic") == after
    with pytest.raises(Failed):
        move(repository, "refs/heads/topic", after, before)


@pytest.mark.parametrize(
    ("place", "moment"), [("alone", "update-ref"), ("elsewhere", ":refs/heads/main")]
)
@pytest.mark.parametrize("verb", ["stage", "end"])
def test_a_commit_that_came_meanwhile_is_not_passed_over(
    request: pytest.FixtureRequest, place: str, moment: str, verb: str
) -> None:
    made: Alone = request.getfixturevalue(place)
    if verb == "end":
        assert made.stage().changed
        git(made.work, "pull", "--quiet", "--rebase", "origin", "main")
    late = made.commit("late.md", "mine\n", push=False)
    tools = Path(made.settings.bin_dir)
    overtake(tools, moment, made.bare, made.work)
    {"stage": made.stage, "end": made.end}[verb]()
    assert was_overtaken(tools)
    assert made.main() == late
    # The next run builds on the learner's commit, or keeps it.
    assert {"stage": made.stage, "end": made.end}[verb]().changed
    if verb == "stage":
        assert git(made.bare, "merge-base", "--is-ancestor", late, "main") == ""
    else:
        kept = sorted(Path(made.settings.lab_dir, "drills", "kept").iterdir())
        assert any(late in git(made.bare, "bundle", "list-heads", str(path)) for path in kept)


def test_a_clone_that_never_saw_the_leak_is_left_alone(alone: Alone) -> None:
    alone.stage()
    (alone.work / "loose.md").write_text("mine\n")
    head = git(alone.work, "rev-parse", "HEAD")
    assert alone.end().changed
    assert (alone.work / "loose.md").exists()
    assert git(alone.work, "rev-parse", "HEAD") == head


@pytest.mark.parametrize("note", ["", "{", "{}", "null", '["a"]', '{"before": 1}'])
def test_a_drill_whose_note_is_damaged_can_be_ended(alone: Alone, note: str) -> None:
    alone.stage()
    (alone.folder / STATE).write_text(note)
    assert alone.end().changed
    assert not alone.folder.exists()


def test_the_text_says_what_happened_and_not_where_the_rest_lies(alone: Alone) -> None:
    text = drill_text(alone.settings, alone.environment)["README.md"].content.decode()
    assert alone.environment.system == FLUX_NAMESPACE
    assert LOG not in text and CLONE not in text
    assert "sopslab incident open leaked-api-key" in text
