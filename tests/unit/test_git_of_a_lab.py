"""The repositories of a lab on its own Git server, which is asked over HTTP: the learner's, the
clone of it, and the platform's records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sopslab.config.environment import solo
from sopslab.config.places import INSTRUCTOR, Lab
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act import learners_clone, records, seeds
from sopslab.lab.act.identities import generate
from sopslab.lab.observe.begun import begun_environments
from sopslab.lab.observe.records import recorded_documents
from sopslab.lab.tools.git import Author, login_helper
from sopslab.lab.tools.programs import Failed
from sopslab.layout import CANARY_PATH, TEMPLATES
from sopslab.model.repositories import Beginning
from sopslab.provision.operations import git as operations
from tasks.learners import learner_variables
from tests.fake import Applied
from tests.repositories import decrypt, git, public_key
from tests.unit.gitserver.gitserver_material import serving, write_gate

REPOSITORIES = ("platform", "learner/lab")
RECORD = "docs/incidents/2026-11-25-leak.yaml"
AUTHOR = Author("Zoë; $(id)", "zoe@example.org")
SERVING = "exec git http-backend"


@pytest.fixture
def settings(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Iterator[Settings]:
    """A lab with keys and a Git server, whose repositories are empty."""
    tools("sops", "age-keygen")
    data, keys = Path(lab().git_dir), lab().keys_dir
    write_gate(data, SERVING)
    with serving(data) as port:
        found = lab(git_port=port)
        generate(found.for_machine, "x25519", [f"{keys}/learner", f"{keys}/{INSTRUCTOR}"])
        assert Applied(operations.users, settings=found, users=(INSTRUCTOR, "learner")).changed
        wanted = {"settings": found, "repositories": REPOSITORIES}
        assert Applied(operations.repositories, **wanted).changed
        yield found


def seed(settings: Settings) -> Applied:
    return Applied(
        operations.seeds,
        settings=settings,
        environments=[solo(settings)],
        template=str(TEMPLATES / "learner"),
        variables={"learner": learner_variables(settings, solo(settings))},
    )


def bare(settings: Settings, repository: str = "learner/lab") -> Path:
    return Path(settings.git_dir, "repositories", f"{repository}.git")


def test_the_learners_repository_begins_with_one_commit_and_a_canary_of_its_own(
    settings: Settings,
) -> None:
    assert seed(settings).changed
    folder = bare(settings)
    assert git(folder, "log", "--all", "--format=%an <%ae> %s") == (
        "Learner <learner@example.org> Begin the lab"
    )
    # A reset goes back to this start.
    assert git(folder, "rev-parse", "main") == git(folder, "rev-parse", "refs/lab/start")
    assert git(folder, "ls-tree", "main", "scripts/sops-setup.sh").startswith("100755")
    manifest = git(folder, "show", f"main:{CANARY_PATH}")
    opened = {}
    for key in ("learner", INSTRUCTOR):
        identity = Path(settings.keys_dir, f"{key}.agekey")
        opened[key] = decrypt(manifest, identity).stdout
        assert public_key(identity) in manifest
    assert opened["learner"] == opened[INSTRUCTOR]
    assert "namespace: develop" in opened["learner"]
    assert not list(Path(settings.lab_dir).glob(".new.*"))
    assert not seed(settings).changed


def test_what_a_push_left_where_a_repository_was_archived_is_in_nobodys_way(
    settings: Settings,
) -> None:
    folder = bare(settings, "ada/lab")
    left = folder / "objects" / "tmp_objdir-incoming-Z38Q16"
    (left / "pack").mkdir(parents=True)
    assert Applied(operations.repositories, settings=settings, repositories=("ada/lab",)).changed
    assert git(folder, "fsck", "--strict") == ""
    assert not left.exists()


def test_elsewhere_the_repository_is_filled_by_a_push_and_what_is_there_stays(
    settings: Settings, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "elsewhere/learner/lab.git")
    elsewhere = replace(settings.for_machine, git_url=str(tmp_path / "elsewhere"))
    text = "commit refs/lab/new\ncommitter A <a@b> now\ndata 14\nBegin the lab\n"
    text += "M 100644 inline a\ndata 2\n"
    recipient = public_key(Path(settings.keys_dir, "learner.agekey"))
    rules = f"creation_rules:\n  - encrypted_regex: ^stringData$\n    age: {recipient}\n"
    beginning = Beginning(f"{text}a\n\n", rules)
    environment = solo(settings)
    assert begun_environments(elsewhere, [environment]) == {}
    seeds.seed(elsewhere, [environment], {environment.id: beginning})
    folder = tmp_path / "elsewhere" / "learner" / "lab.git"
    assert git(folder, "show", "main:a") == "a"
    assert "lab-canary" in git(folder, "show", f"main:{CANARY_PATH}")
    assert begun_environments(elsewhere, [environment]) == {environment.id: [recipient]}
    before = git(folder, "for-each-ref")
    with pytest.raises(Failed):
        seeds.seed(elsewhere, [environment], {"learner": replace(beginning, commit=f"{text}b\n\n")})
    assert git(folder, "for-each-ref") == before


def clone(settings: Settings, hook: str) -> Applied:
    return Applied(operations.clone, settings=settings, repository="learner/lab", hook=hook)


def test_a_clone_works_with_nothing_of_the_users_configuration(settings: Settings) -> None:
    seed(settings)
    assert clone(settings, "#!/bin/sh\nexit 0\n").changed
    work = Path(settings.work_dir)
    hook = work / ".git" / "hooks" / "pre-commit"
    assert (hook.read_text(), hook.stat().st_mode & 0o777) == ("#!/bin/sh\nexit 0\n", 0o755)
    assert work.stat().st_mode & 0o777 == 0o755
    login = f"{settings.account_dir('learner')}/git-credentials"
    for name, value in (
        ("user.name", "Learner"), ("user.email", "learner@example.org"), ("http.proxy", ""),
        ("credential.helper", login_helper(login)),
    ):  # fmt: skip
        assert git(work, "config", "--local", name) == value
    (work / "mine").write_text("")
    for command in (("add", "."), ("commit", "--quiet", "-m", "Mine"), ("push", "--quiet")):
        git(work, *command)
    assert git(bare(settings), "rev-parse", "main") == git(work, "rev-parse", "HEAD")
    assert not clone(settings, "").changed
    hook.unlink()
    assert clone(settings, "#!/bin/sh\n").changed
    assert (work / "mine").exists() and hook.read_text() == "#!/bin/sh\n"
    # A hook that sops-lab did not install stays, whatever else the clone lacks.
    git(work, "config", "--unset-all", "credential.helper")
    assert clone(settings, "#!/bin/sh\nexit 1\n").changed
    assert hook.read_text() == "#!/bin/sh\n"


def test_what_is_in_the_place_of_a_clone_stays(settings: Settings) -> None:
    seed(settings)
    kept = Path(settings.work_dir, "notes")
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(OSError):
        learners_clone.complete(settings.for_machine, "learner/lab", AUTHOR, "")
    assert kept.read_text() == "mine"
    assert not list(Path(settings.lab_dir).glob(".new.*"))


def test_a_name_is_taken_as_it_is_written(settings: Settings) -> None:
    seed(settings)
    learners_clone.complete(settings.for_machine, "learner/lab", AUTHOR, "")
    assert git(Path(settings.work_dir), "config", "user.name") == AUTHOR.name


@pytest.fixture
def machine(settings: Settings, tmp_path: Path) -> Lab:
    """A lab whose platform repository has one commit."""
    work = tmp_path / "platform"
    git(tmp_path, "clone", "--quiet", str(bare(settings, "platform")), str(work))
    (work / "flux").write_text("as it is\n")
    for command in (("add", "."), ("commit", "--quiet", "-m", "Begin"), ("push", "--quiet")):
        git(work, *command)
    return settings.for_machine


def test_records_are_pushed_and_the_labs_own_clone_follows(
    settings: Settings, machine: Lab
) -> None:
    assert recorded_documents(machine, "docs") == {}
    odd = "docs/ein Übel\t.yaml"
    records.record(machine, {RECORD: "id: x\n", odd: "ü\n"}, [])
    assert recorded_documents(machine, "docs") == {RECORD: "id: x\n", odd: "ü\n"}
    assert recorded_documents(machine, "docs/incidents") == {RECORD: "id: x\n"}
    records.record(machine, {"docs/b.yaml": "b: 1\n"}, [RECORD, "docs/never-there"])
    folder = bare(settings, "platform")
    assert recorded_documents(machine, "docs") == {odd: "ü\n", "docs/b.yaml": "b: 1\n"}
    assert git(folder, "log", "-1", "--format=%an <%ae> %s") == (
        f"sops-lab <sops-lab@localhost> Record docs/b.yaml {RECORD}"
    )
    assert git(folder, "ls-tree", "main", "docs/b.yaml").startswith("100644")
    assert git(folder, "show", "main:flux") == "as it is"
    assert git(Path(machine.platform_dir), "status", "--porcelain") == ""
    assert git(folder, "rev-parse", "main") == git(Path(machine.platform_dir), "rev-parse", "HEAD")
    assert not list(Path(machine.lab_dir).glob(".new.*"))


def test_records_that_say_so_already_make_no_commit(settings: Settings, machine: Lab) -> None:
    records.record(machine, {RECORD: "id: x\n"}, [])
    before = git(bare(settings, "platform"), "rev-parse", "main")
    records.record(machine, {RECORD: "id: x\n"}, [])
    assert git(bare(settings, "platform"), "rev-parse", "main") == before


def test_a_platform_that_cannot_be_cloned_is_named_and_nothing_is_lost(
    settings: Settings, machine: Lab
) -> None:
    records.record(machine, {RECORD: "id: x\n"}, [])
    Path(machine.account_dir(INSTRUCTOR), "git-credentials").write_text("")
    with pytest.raises(LabError, match=r"could not be cloned from http://.*/platform\.git: \w"):
        records.record(machine, {RECORD: "id: y\n"}, [])
    assert recorded_documents(machine, "docs") == {RECORD: "id: x\n"}


def test_what_is_not_pushed_is_not_on_record(machine: Lab) -> None:
    records.record(machine, {RECORD: "id: x\n"}, [])
    work = Path(machine.platform_dir)
    (work / RECORD).write_text("id: y\n")
    git(work, "commit", "--quiet", "--all", "-m", "By hand")
    assert recorded_documents(machine, "docs") == {RECORD: "id: x\n"}


def test_a_picture_beside_the_records_hides_none_of_them(machine: Lab) -> None:
    records.record(machine, {RECORD: "id: x\n"}, [])
    work = Path(machine.platform_dir)
    (work / "docs" / "plan.png").write_bytes(b"\x89PNG\r\n")
    git(work, "add", "docs")
    git(work, "commit", "--quiet", "-m", "Draw")
    git(work, "update-ref", "refs/remotes/origin/main", "HEAD")
    found = recorded_documents(machine, "docs")
    assert found.keys() == {RECORD, "docs/plan.png"}
    assert found[RECORD] == "id: x\n"
