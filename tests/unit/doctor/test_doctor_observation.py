"""Looks at a real repository, with Git and sops, and at the mistakes that learners make in it."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.snapshot import Branches, Opened, Tree, known
from sopslab.config.environment import Environment, at_seat, bare_repository, solo
from sopslab.config.job import free_port
from sopslab.config.settings import Learner, Settings
from sopslab.course.chapter import Chapter
from sopslab.lab.observe import server, trees
from sopslab.lab.observe.environments import begun
from sopslab.lab.observe.mains import Mains
from sopslab.lab.observe.observer import Observer, viewpoint_of
from sopslab.lab.tools.programs import Answer
from sopslab.model.results import Undecided
from sopslab.model.trouble import Trouble
from sopslab.policy import sources
from sopslab.policy.output import Bounds
from tests.conftest import find_tool
from tests.repositories import make_identity
from tests.texts import write_files, write_program

FOLDER = "flux/secrets/develop"
LISTED = "resources:\n  - ./lab-canary.yaml\n  - backend-secrets.yaml\n"
UNLISTED = "resources:\n  - lab-canary.yaml\n  # - backend-secrets.yaml\n"
RULES = """creation_rules:
  - path_regex: ^flux/secrets/develop/.*
    encrypted_regex: {regex}
    age: {recipient}
"""
SECRET = """apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: develop}}
stringData: {{A: {name}, B: other}}
"""


@dataclass
class Lab:
    """A learner's repository, and a clone of it."""

    settings: Settings
    clone: Path
    environment: Environment
    recipient: str
    executor: ThreadPoolExecutor

    def git(self, *arguments: str) -> str:
        """Run git in the clone and return what it prints."""
        who = {
            f"GIT_{role}_{part}": "ada@example.org"
            for role in ("AUTHOR", "COMMITTER")
            for part in ("NAME", "EMAIL")
        }
        return subprocess.run(
            ["git", *arguments], cwd=self.clone, check=True, capture_output=True, text=True,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **who},
        ).stdout.strip()  # fmt: skip

    def bare(self, *arguments: str) -> None:
        """Run git in the repository on the Git server."""
        folder = bare_repository(self.settings, self.environment)
        subprocess.run(["git", "--git-dir", folder, *arguments], check=True)

    def write(self, path: str, text: str) -> None:
        """Write a file in the clone."""
        write_files(self.clone, {path: text})

    def rules(self, recipient: str = "", regex: str = "^(data|stringData)$") -> None:
        """Write the creation rules."""
        text = RULES.format(recipient=recipient or self.recipient, regex=regex)
        self.write(".sops.yaml", text)

    def encrypt(self, name: str) -> None:
        """Encrypt a Secret by the creation rules."""
        path = f"{FOLDER}/{name}.yaml"
        encrypted = subprocess.run(
            [find_tool("sops"), "encrypt", "--filename-override", path, "--input-type", "yaml",
             "--output-type", "yaml", "/dev/stdin"],
            input=SECRET.format(name=name), cwd=self.clone, check=True, capture_output=True,
            text=True,
        )  # fmt: skip
        self.write(path, encrypted.stdout)

    def push(self) -> str:
        """Commit all, push it to main and return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "x")
        self.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
        return self.git("rev-parse", "HEAD")

    def branches(self) -> Branches:
        """Return the branches that a look sees."""
        git = trees.bare(self.settings, self.environment)
        assert git is not None
        return trees.look_at_branches(git)[0]

    def look(self, *, may_open: bool = True) -> Tree:
        """Return the tree of main that a look sees."""
        opener = trees.Opener(self.settings, "learner", self.executor) if may_open else None
        seen = begun(self.settings, self.environment, Chapter("backend-secrets", "learner"))
        return known(Mains(self.settings, self.executor).look_closely(seen, opener).tree)


@pytest.fixture
def made(lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path) -> Iterator[Lab]:
    """Return a repository in which the exercise is done and nothing is wrong."""
    tools("sops", "age-keygen", "gitleaks")
    # A port at which nobody serves: a lab on this machine may use the default.
    settings = lab(git_port=free_port())
    environment = solo(settings)
    bare = Path(bare_repository(settings, environment))
    bare.mkdir(parents=True)
    recipient = make_identity(Path(settings.keys_dir) / "learner.agekey")
    clone = tmp_path / "clone"
    with ThreadPoolExecutor(4) as executor:
        repository = Lab(settings, clone, environment, recipient, executor)
        for folder, more in ((bare, ["--bare"]), (clone, [])):
            subprocess.run(
                ["git", "-c", "init.defaultBranch=main", "init", "-q", *more, str(folder)],
                check=True,
            )
        repository.git("remote", "add", "origin", str(bare))
        repository.rules()
        for name in ("lab-canary", "backend-secrets"):
            repository.encrypt(name)
        repository.write(f"{FOLDER}/kustomization.yaml", LISTED)
        repository.push()
        yield repository


def test_what_is_well_is_seen_so(made: Lab) -> None:
    found = made.look()
    assert found.commit == made.git("rev-parse", "HEAD") and not made.branches().empty
    assert (found.report.findings, found.report.undecided) == ([], [])
    assert found.files == {"lab-canary.yaml", "backend-secrets.yaml", "kustomization.yaml"}
    assert set(found.manifests) == {"lab-canary.yaml", "backend-secrets.yaml"}
    assert found.once_listed == {"lab-canary.yaml", "backend-secrets.yaml"}
    assert (found.rule.recipients, found.regex) == (
        frozenset({made.recipient}),
        "^(data|stringData)$",
    )
    for one in found.manifests.values():
        assert (one.recipients, one.plain) == (frozenset({made.recipient}), ())
        assert (one.regex, one.opened) == ("^(data|stringData)$", Opened.YES)
        assert set(one.digests) == one.keys == {"A", "B"} and one.namespace == "develop"


def test_without_the_key_nothing_is_opened(made: Lab) -> None:
    for one in made.look(may_open=False).manifests.values():
        assert isinstance(one.opened, Undecided)


def test_a_stranger_s_file_is_seen_by_its_recipients(made: Lab) -> None:
    stranger = make_identity(made.clone.with_name("stranger"))
    made.rules(stranger)
    made.encrypt("backend-secrets")
    made.push()
    one = made.look().manifests["backend-secrets.yaml"]
    assert (one.recipients, one.opened) == (frozenset({stranger}), Opened.KEY)


@pytest.mark.parametrize(
    ("old", "new", "opened"),
    [("data:", "data:A", Opened.NO), ("name: backend-secrets", "name: other", Opened.MAC)],
)
def test_what_was_edited_does_not_open(made: Lab, old: str, new: str, opened: Opened) -> None:
    path = f"{FOLDER}/backend-secrets.yaml"
    text = (made.clone / path).read_text()
    if opened is Opened.NO:
        at = text.index("ENC[AES256_GCM,data:") + len("ENC[AES256_GCM,data:")
        text = text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1 :]
    else:
        assert old in text
        text = text.replace(old, new)
    made.write(path, text)
    made.push()
    assert made.look().manifests["backend-secrets.yaml"].opened is opened


def test_a_slip_in_the_regex_leaves_values_that_are_seen_by_their_keys(made: Lab) -> None:
    made.rules(regex="^(data|stringDta)$")
    made.encrypt("backend-secrets")
    made.push()
    found = made.look()
    one = found.manifests["backend-secrets.yaml"]
    assert found.regex == one.regex == "^(data|stringDta)$"
    assert one.plain == ("stringData.A", "stringData.B")
    assert one.recipients == frozenset({made.recipient})


def test_a_secret_without_encryption_has_no_recipients(made: Lab) -> None:
    made.write(f"{FOLDER}/x.yaml", SECRET.format(name="x"))
    made.push()
    one = made.look().manifests["x.yaml"]
    assert (one.recipients, one.plain) == (None, ("stringData.A", "stringData.B"))


def test_what_was_listed_once_is_remembered_and_what_is_commented_was_not(made: Lab) -> None:
    made.write(f"{FOLDER}/kustomization.yaml", UNLISTED.replace("backend", "never"))
    made.push()
    found = made.look()
    assert found.once_listed == {"lab-canary.yaml", "backend-secrets.yaml"}
    assert found.kustomization is not None and "never" in found.kustomization


def test_a_list_that_was_changed_too_much_hides_nothing_but_what_it_had(
    made: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        made.write(f"{FOLDER}/kustomization.yaml", f"{UNLISTED}# {number}{'x' * 5000}\n")
        made.push()
    narrow = functools.partial(sources.Repository, bounds=Bounds(9999, 60))
    monkeypatch.setattr(trees, "Git", narrow)
    found = made.look()
    assert isinstance(found.once_listed, Undecided)
    assert "there is too much to look at at once: git log" in found.once_listed.found
    assert set(found.manifests) == {"lab-canary.yaml", "backend-secrets.yaml"}


@pytest.mark.parametrize(
    "text", ["", "a: [", "- 1\n- 2\n", "kind: ConfigMap\n", "a: 1\n---\nb: 2\n", "\x00"]
)
def test_what_is_no_secret_is_not_taken_for_one(made: Lab, text: str) -> None:
    made.write(f"{FOLDER}/odd.yaml", text)
    made.push()
    found = made.look()
    assert "odd.yaml" in found.files and "odd.yaml" not in found.manifests


@pytest.mark.parametrize(
    "text", ["", "creation_rules: 3\n", "creation_rules: [{path_regex: '('}]\n", "a: [", "[]\n"]
)
def test_rules_that_say_nothing_are_no_error(made: Lab, text: str) -> None:
    made.write(".sops.yaml", text)
    made.push()
    found = made.look()
    assert found.regex is None
    assert found.unruled or not found.rule.recipients


def test_a_repository_without_main_without_branches_or_gone(made: Lab) -> None:
    bare = Path(bare_repository(made.settings, made.environment))
    made.git("push", "--quiet", "origin", "HEAD:refs/heads/other")
    made.bare("update-ref", "-d", "refs/heads/main")
    assert made.branches() == Branches(main=None, empty=False)
    made.bare("update-ref", "-d", "refs/heads/other")
    assert made.branches() == Branches(main=None, empty=True)
    bare.rename(bare.with_suffix(".aside"))
    assert trees.bare(made.settings, made.environment) is None


def test_a_copy_stays_as_it_was_while_another_git_server_says_nothing(
    lab: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab(git_url="http://git.example", git_username="ada", git_password="not-a-secret")
    copy = Path(bare_repository(settings, solo(settings)))
    copy.mkdir(parents=True)
    write_program(tmp_path / "stand-ins" / "git", "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setenv("PATH", str(tmp_path / "stand-ins"), prepend=":")
    monkeypatch.setattr(trees, "_FETCH_S", 0.2)
    assert trees.bare(settings, solo(settings)) is not None


def test_who_looks_from_outside_sees_main_and_why_the_rest_is_not_seen(
    made: Lab, tmp_path: Path
) -> None:
    observer = Observer(made.settings, made.executor)
    viewpoint = viewpoint_of(made.settings, made.environment, tmp_path)
    seen = observer.outside(viewpoint)
    assert (known(seen.tree).commit, seen.there) == (made.git("rev-parse", "HEAD"), True)
    assert known(seen.identity).recipient == made.recipient
    assert {one.opened for one in known(seen.tree).manifests.values()} == {Opened.YES}
    assert known(seen.cluster).trouble is Trouble.NO_KUBECONFIG
    assert known(seen.server).answer is None
    for facet in (seen.sources, seen.live, seen.hooks, seen.commit, seen.history):
        assert isinstance(facet, Undecided)
    bare = Path(bare_repository(made.settings, made.environment))
    bare.rename(bare.with_suffix(".aside"))
    seen = observer.outside(viewpoint)
    assert seen.there is False and isinstance(seen.tree, Undecided)


def test_a_git_that_says_nothing_of_the_server_leaves_the_rest(
    made: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: Any) -> Answer:
        raise Undecided("git did not answer within 20 s")

    monkeypatch.setattr(server, "ask", silent)
    viewpoint = viewpoint_of(made.settings, made.environment, tmp_path)
    seen = Observer(made.settings, made.executor).outside(viewpoint)
    assert isinstance(seen.server, Undecided)
    assert known(seen.tree).commit == made.git("rev-parse", "HEAD")


def test_a_seat_has_no_clone_here_whose_hooks_could_be_missing(made: Lab, tmp_path: Path) -> None:
    ada = at_seat(Learner(id="ada", name="Ada", email="ada@example.org"))
    viewpoint = viewpoint_of(made.settings, ada, tmp_path)
    assert Observer(made.settings, made.executor).outside(viewpoint).hooks is None


def test_the_learner_s_own_look_is_at_the_clone_as_it_lies_there(made: Lab, tmp_path: Path) -> None:
    work = Path(made.settings.work_dir)
    bare = bare_repository(made.settings, made.environment)
    subprocess.run(["git", "clone", "--quiet", bare, str(work)], check=True)
    (work / FOLDER / "kustomization.yaml").write_text(UNLISTED)
    viewpoint = viewpoint_of(made.settings, made.environment, tmp_path)
    seen = Observer(made.settings, made.executor).inside(viewpoint)
    head = made.git("rev-parse", "HEAD")
    assert viewpoint.work == work
    assert known(seen.tree).kustomization == UNLISTED
    assert (known(seen.tree).commit, known(seen.commit).head) == (head, head)
    assert known(seen.commit).changes == (f"{FOLDER}/kustomization.yaml",)
    assert known(seen.tree).once_listed == {"lab-canary.yaml", "backend-secrets.yaml"}
    assert not known(seen.history).report.findings
    # No Git server answers here.
    for facet in (seen.there, seen.branches, seen.push):
        assert isinstance(facet, Undecided)
