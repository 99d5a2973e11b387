"""A rotation in real repositories with real sops and age, killed, attacked and out of disk
space."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.config.environment import Environment, at_seat, solo
from sopslab.config.settings import Settings
from sopslab.incidents.rotation.encrypted import splice
from sopslab.incidents.rotation.record import Rotation, begin_rotation, parse_rotation
from sopslab.lab.act import retirement
from sopslab.lab.rotation import plan_rotation
from sopslab.layout import CANARY_PATH
from sopslab.provision.command import acting
from sopslab.provision.operations import proof, reencryption, rotation
from tests.commands import failures
from tests.conftest import find_tool
from tests.fake import Applied, would_run
from tests.interrupted import killed_before_change, killed_before_program
from tests.listening import listening
from tests.marks import mostly_soak
from tests.repositories import (
    begin_repository,
    commit,
    git,
    learner,
    make_identity,
    overtake,
    public_key,
    was_overtaken,
)
from tests.texts import replaced, write_program

FOLDER = "flux/secrets/develop"
SECRET = f"{FOLDER}/backend-secrets.yaml"
OTHER = f"{FOLDER}/other.yaml"
INCIDENT = "2026-11-25-test"
RULES = """creation_rules:
  # Whoever reads this comment: it stays.
  - path_regex: ^flux/secrets/develop/(.*/)?([^k/]|k[^u/]|ku[^s/])[^/]*\\.ya?ml$
    encrypted_regex: ^(data|stringData)$
    age: [{learner}, {instructor}] # both
"""
MANIFEST = """apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: develop}}
type: {kind}
{section}:
  {key}: {value}
"""


@dataclass
class World:
    """Environments, their repositories and clones, and one rotation of them."""

    settings: Settings
    folder: Path
    environments: list[Environment]

    @property
    def keys(self) -> Path:
        return Path(self.settings.keys_dir)

    def bare(self, name: str) -> Path:
        return Path(self.settings.git_dir) / "repositories" / name / "lab.git"

    def clone(self, name: str) -> Path:
        return self.folder / name

    def add(self, environment: Environment) -> None:
        """Make the repository of an environment, with two Secrets."""
        name = environment.id
        clone, bare = self.clone(name), self.bare(name)
        begin_repository(bare, clone)
        own = make_identity(self.keys / f"{name}.agekey")
        (self.keys / f"{name}.pub").write_text(f"{own}\n")
        rules = RULES.format(learner=own, instructor=public_key(self.keys / "instructor.agekey"))
        (clone / ".sops.yaml").write_text(rules)
        (clone / FOLDER).mkdir(parents=True)
        (clone / FOLDER / "kustomization.yaml").write_text("resources: [lab-canary.yaml]\n")
        self.encrypt(name, CANARY_PATH, section="stringData", key="value")
        start = self.commit(name, "Begin the lab")
        git(bare, "update-ref", "refs/lab/start", start)
        self.encrypt(name, SECRET)
        self.encrypt(name, OTHER)
        self.commit(name, "Encrypt")
        self.environments.append(environment)

    def encrypt(
        self,
        name: str,
        path: str,
        *,
        section: str = "data",
        key: str = "TOKEN",
        kind: str = "Opaque",
        value: str = "b2xkLXZhbHVl",
    ) -> None:
        """Write an encrypted Secret into a clone."""
        text = MANIFEST.format(
            name=Path(path).stem, kind=kind, section=section, key=key, value=value
        )
        done = subprocess.run(
            [
                find_tool("sops"), "encrypt", "--filename-override", path,
                "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin",
            ],
            cwd=self.clone(name), input=text, check=True, capture_output=True, text=True,
        )  # fmt: skip
        (self.clone(name) / path).write_text(done.stdout)

    def commit(self, name: str, message: str) -> str:
        return commit(self.clone(name), message)

    def refs(self, name: str) -> dict[str, str]:
        text = "%(refname:lstrip=1) %(objectname)"
        listing = git(self.bare(name), "for-each-ref", f"--format={text}")
        return dict(line.split() for line in listing.splitlines())

    def show(self, name: str, path: str, ref: str = "refs/heads/main") -> str:
        return git(self.bare(name), "show", f"{ref}:{path}")

    def sops(self, text: str, identity: Path) -> subprocess.CompletedProcess[str]:
        """Decrypt a file with one identity and without any other."""
        return subprocess.run(
            [
                find_tool("sops"), "decrypt", "--input-type", "yaml", "--output-type", "json",
                "/dev/stdin",
            ],
            input=text, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent",
                 "SOPS_AGE_KEY_FILE": str(identity)},
        )  # fmt: skip

    def secret(self, name: str, path: str, ref: str = "refs/heads/main") -> Any:
        """Return a Secret of a repository, decrypted with the present identity."""
        done = self.sops(self.show(name, path, ref), self.keys / f"{name}.agekey")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @property
    def record(self) -> Rotation:
        path = Path(self.settings.lab_dir) / "rotations" / f"{INCIDENT}.yaml"
        return parse_rotation(str(path), path.read_text())

    def failures(self) -> dict[str, str]:
        return failures(self.settings)

    def apply(self, operation: Callable[..., Any], **more: Any) -> Applied:
        return Applied(operation, settings=self.settings, environments=self.environments, **more)

    def take_inventory(self, *exposed: str) -> Applied:
        known = [one.id for one in self.environments]
        return self.apply(rotation.inventory, exposed=list(exposed), known=known)

    def reencrypt(self, **given: str) -> Applied:
        values = {name.replace("__", "/").replace("_", "-"): one for name, one in given.items()}
        return self.apply(reencryption.files, given=values)

    def rotate(self) -> list[Applied]:
        """Do all steps of a rotation that need no cluster."""
        return [
            self.apply(rotation.successors),
            self.reencrypt(),
            self.apply(rotation.retirement),
            self.apply(proof.attempts),
            self.apply(rotation.conclusion, given=[]),
        ]


@pytest.fixture
def world(
    lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path, beginnings: Path
) -> Callable[..., World]:
    """Return a function that makes a world of these seats, or of a lab's one learner, and a cause.

    A world is made once for each set of seats, and then copied: age, sops and git take a second for
    each learner.
    """
    tools("sops", "age", "age-keygen")

    def made(cause: str, *seats: str, **changes: str) -> World:
        settings = lab(cause=cause, incident=INCIDENT, **changes)
        found = World(settings, tmp_path / "learners", [])
        places = {"keys": found.keys, "git": Path(settings.git_dir), "learners": found.folder}
        environments = [at_seat(learner(seat)) for seat in seats] or [solo(settings)]
        beginning = beginnings / ("-".join(seats) or "solo")
        if not beginning.exists():
            found.folder.mkdir()
            own = make_identity(found.keys / "instructor.agekey")
            (found.keys / "instructor.pub").write_text(f"{own}\n")
            for environment in environments:
                found.add(environment)
            for name, place in places.items():
                shutil.copytree(place, beginning / name)
            return found
        for name, place in places.items():
            shutil.copytree(beginning / name, place, dirs_exist_ok=True)
        found.environments += environments
        for environment in environments:
            name = environment.id
            git(found.clone(name), "remote", "set-url", "origin", str(found.bare(name)))
        return found

    return made


def assert_done(applied: list[Applied]) -> None:
    assert [one.stderr for one in applied if one.failed] == []


# What would be done


def test_what_would_be_done_is_told_and_nothing_is_done(world: Callable[..., World]) -> None:
    here = world("learner-key", "ada", "bob")
    shutil.rmtree(here.bare("bob"))
    refs = here.refs("ada")
    rotation = begin_rotation(here.settings, here.environments, [])
    told = plan_rotation(here.settings, here.environments, rotation)
    rules, *files = told["ada"]
    assert rules.startswith(".sops.yaml")
    assert {line.partition(":")[0] for line in files} == {CANARY_PATH, SECRET, OTHER}
    assert all("another data key" in line for line in files)
    assert "is gone" in " ".join(told["bob"])
    assert here.refs("ada") == refs
    assert not (Path(here.settings.lab_dir) / "rotations").exists()


def test_a_password_that_leaked_is_in_no_file(world: Callable[..., World]) -> None:
    here = world("git-credential", "ada")
    rotation = begin_rotation(here.settings, here.environments, [])
    assert plan_rotation(here.settings, here.environments, rotation) == {"ada": []}


# A key that leaked


@pytest.mark.parametrize("cause", mostly_soak(["learner-key", "cluster-key"], "learner-key"))
def test_an_identity_is_replaced_and_everything_that_it_opened(
    world: Callable[..., World], cause: str
) -> None:
    found = world(cause)
    before = found.secret("learner", SECRET)
    old, text = public_key(found.keys / "learner.agekey"), found.show("learner", SECRET)
    head = found.refs("learner")["heads/main"]
    found.take_inventory()
    assert_done(found.rotate())
    assert found.failures() == {}
    new = public_key(found.keys / "learner.agekey")
    assert new != old
    assert (found.keys / "learner.pub").read_text().strip() == new
    assert stat.S_IMODE((found.keys / "learner.agekey").stat().st_mode) == 0o600
    (archived,) = (found.keys / "archive").glob("learner-*.agekey")
    assert public_key(archived) == old
    assert stat.S_IMODE(archived.stat().st_mode) == 0o600
    assert not list((found.keys / "next").iterdir())
    rules = found.show("learner", ".sops.yaml")
    assert "Whoever reads this comment" in rules and "# both" in rules
    assert new in rules and old not in rules
    for path in (SECRET, OTHER, CANARY_PATH):
        now = found.show("learner", path)
        assert old not in now
        assert found.sops(now, archived).returncode == 128
        assert found.sops(now, found.keys / "instructor.agekey").returncode == 0
    after = found.secret("learner", SECRET)
    assert set(after["data"]) == {"TOKEN"} and after["data"] != before["data"]
    # The former state is one commit behind, and nothing else in the repository has changed.
    assert git(found.bare("learner"), "rev-parse", "main^") == head
    changed = git(found.bare("learner"), "diff", "--name-only", head, "main").split()
    assert set(changed) == {".sops.yaml", SECRET, OTHER, CANARY_PATH}
    spliced = splice(found.show("learner", SECRET), text, old)
    assert spliced is not None
    assert found.sops(spliced, archived).returncode == 25
    assert found.record.proven == ("learner",) and found.record.over
    assert [one.changed for one in found.rotate()] == [False] * 5


def test_an_instructors_identity_that_is_elsewhere_is_not_needed(
    world: Callable[..., World], lab: Callable[..., Settings]
) -> None:
    found = world("learner-key")
    elsewhere = (found.keys / "instructor.agekey").rename(found.folder / "elsewhere.agekey")
    recipient = public_key(elsewhere)
    found.settings = lab(cause="learner-key", incident=INCIDENT, instructor_recipient=recipient)
    old, text = public_key(found.keys / "learner.agekey"), found.show("learner", SECRET)
    found.take_inventory()
    found.apply(rotation.successors)
    found.reencrypt()
    found.apply(rotation.retirement)
    # A clone that has not followed pushes when the old identity is already archived.
    git(found.clone("learner"), "pull", "--quiet", "--rebase")
    (found.clone("learner") / SECRET).write_text(f"{text}\n")
    found.commit("learner", "What was there before")
    assert found.reencrypt().changed
    assert_done([found.apply(proof.attempts), found.apply(rotation.conclusion, given=[])])
    assert found.failures() == {}
    assert found.record.over
    for path in (SECRET, OTHER, CANARY_PATH):
        now = found.show("learner", path)
        assert old not in now
        assert found.sops(now, elsewhere).returncode == 0
        assert found.sops(now, found.keys / "learner.agekey").returncode == 0
    assert recipient in found.show("learner", ".sops.yaml")
    assert not list(found.keys.rglob("instructor.agekey"))


def another_instructor(found: World, lab: Callable[..., Settings]) -> tuple[Path, Path]:
    """Give the lab's instructor another recipient; return the former and the new identity."""
    former = found.keys / "instructor.agekey"
    elsewhere = found.folder / "elsewhere.agekey"
    found.settings = lab(instructor_recipient=make_identity(elsewhere))
    for one in found.environments:
        canary = Path(found.settings.seat_dir(one.id), "canary")
        canary.parent.mkdir(parents=True)
        canary.write_text("the hash\n")
    return former, elsewhere


def test_another_instructor_reads_what_was_there_and_the_former_one_does_not(
    world: Callable[..., World], lab: Callable[..., Settings]
) -> None:
    found = world("learner-key")
    former, elsewhere = another_instructor(found, lab)
    before = {path: found.secret("learner", path) for path in (SECRET, OTHER, CANARY_PATH)}
    text, head = found.show("learner", SECRET), found.refs("learner")["heads/main"]
    git(found.folder, "clone", "--quiet", str(found.bare("learner")), found.settings.work_dir)
    changed = found.apply(reencryption.instructor)
    assert (changed.changed, changed.failed) == (True, False)
    for path, values in before.items():
        now = found.show("learner", path)
        assert found.sops(now, elsewhere).returncode == 0
        assert found.sops(now, former).returncode == 128
        assert found.secret("learner", path) == values
    start = found.show("learner", CANARY_PATH, "refs/lab/start")
    assert found.sops(start, elsewhere).returncode == 0
    # The data key has changed, too: somebody who kept the former one opens nothing with it.
    spliced = splice(found.show("learner", SECRET), text, public_key(former))
    assert spliced is not None and found.sops(spliced, former).returncode == 25
    rules = found.show("learner", ".sops.yaml")
    assert public_key(elsewhere) in rules and public_key(former) not in rules
    assert "Whoever reads this comment" in rules
    assert git(found.bare("learner"), "rev-parse", "main^") == head
    assert (
        git(Path(found.settings.work_dir), "rev-parse", "HEAD")
        == found.refs("learner")["heads/main"]
    )
    assert former.exists()
    again = found.apply(reencryption.instructor)
    assert (again.changed, again.failed) == (False, False)
    # Without the setting, the lab's own identity is the instructor's again.
    found.settings = lab()
    assert found.apply(reencryption.instructor).changed
    assert found.sops(found.show("learner", SECRET), former).returncode == 0
    assert found.sops(found.show("learner", SECRET), elsewhere).returncode == 128


def test_a_file_that_cannot_be_opened_keeps_the_former_instructor_and_fails_its_seat_alone(
    world: Callable[..., World], lab: Callable[..., Settings]
) -> None:
    found = world("learner-key", "ada", "bob")
    _, elsewhere = another_instructor(found, lab)
    clone = found.clone("ada")
    text = (clone / SECRET).read_text()
    (clone / SECRET).write_text(
        replaced(text, "mac: ENC[AES256_GCM,data:", "mac: ENC[AES256_GCM,data:AA")
    )
    found.commit("ada", "Edited by hand")
    refs = found.refs("ada")
    found.apply(reencryption.instructor)
    assert SECRET in found.failures()["ada"]
    assert found.refs("ada") == refs
    assert set(found.failures()) == {"ada"}
    assert found.sops(found.show("bob", SECRET), elsewhere).returncode == 0


def test_the_splice_opens_what_only_got_another_recipient(world: Callable[..., World]) -> None:
    """The attack is real: `updatekeys` alone leaves it open."""
    found = world("learner-key")
    clone, path = found.clone("learner"), SECRET
    old_file, old = found.show("learner", path), public_key(found.keys / "learner.agekey")
    other = make_identity(found.folder / "other.agekey")
    (clone / ".sops.yaml").write_text(replaced((clone / ".sops.yaml").read_text(), old, other))
    subprocess.run(
        [find_tool("sops"), "updatekeys", "--yes", path], cwd=clone, check=True,
        capture_output=True, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent",
                                  "SOPS_AGE_KEY_FILE": str(found.keys / "learner.agekey")},
    )  # fmt: skip
    now = (clone / path).read_text()
    assert found.sops(now, found.keys / "learner.agekey").returncode == 128
    spliced = splice(now, old_file, old)
    assert spliced is not None
    opened = found.sops(spliced, found.keys / "learner.agekey")
    assert opened.returncode in (0, 51)


def test_a_proof_names_what_an_old_data_key_still_opens(world: Callable[..., World]) -> None:
    found = world("learner-key")
    found.take_inventory()
    found.apply(rotation.successors)
    found.reencrypt()
    found.apply(rotation.retirement)
    # A rotation by hand ends like this: with another recipient and the former data key.
    clone = found.clone("learner")
    old = found.record.retiring["learner"]
    new = public_key(found.keys / "learner.agekey")
    (archived,) = (found.keys / "archive").glob("*.agekey")
    (clone / ".sops.yaml").write_text(replaced((clone / ".sops.yaml").read_text(), old, new))
    for path in (SECRET, OTHER, CANARY_PATH):
        subprocess.run(
            [find_tool("sops"), "updatekeys", "--yes", path], cwd=clone, check=True,
            capture_output=True, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent",
                                      "SOPS_AGE_KEY_FILE": str(archived)},
        )  # fmt: skip
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "-m", "By hand")
    git(clone, "push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
    assert not found.apply(proof.attempts).failed
    assert "an old data key put into" in found.failures()["learner"]
    found.apply(rotation.conclusion, given=[])
    assert found.record.proven == ()


@pytest.mark.soak
def test_the_checkpoint_of_a_reset_is_rotated_with_main(world: Callable[..., World]) -> None:
    found = world("learner-key", "ada", "bob")
    git(found.bare("ada"), "update-ref", "refs/lab/encrypted", found.refs("ada")["heads/main"])
    start = found.refs("bob")["lab/start"]
    git(found.bare("bob"), "update-ref", "refs/heads/main", start)
    for seat in ("ada", "bob"):
        folder = Path(found.settings.seat_dir(seat))
        folder.mkdir(parents=True)
        (folder / "canary").write_text("the hash of before\n")
    found.take_inventory()
    assert_done(found.rotate())
    for seat in ("ada", "bob"):
        value = found.secret(seat, CANARY_PATH, "refs/lab/start")["stringData"]["value"]
        digest = subprocess.run(
            ["sha256sum"], input=value, capture_output=True, text=True, check=True
        ).stdout.split()[0]
        assert (Path(found.settings.seat_dir(seat)) / "canary").read_text().strip() == digest
    refs = found.refs("ada")
    assert "lab/encrypted" not in refs
    assert found.show("ada", CANARY_PATH) == found.show("ada", CANARY_PATH, "refs/lab/start")
    assert git(found.bare("ada"), "rev-parse", "lab/start^") != refs["heads/main"]
    # A learner who had done nothing has still done nothing.
    assert found.refs("bob")["heads/main"] == found.refs("bob")["lab/start"]


@pytest.mark.soak
def test_values_that_cannot_be_made_up_are_left_to_a_human(world: Callable[..., World]) -> None:
    found = world("learner-key")
    found.encrypt("learner", OTHER, kind="kubernetes.io/basic-auth", key="password")
    found.commit("learner", "Another type")
    before = found.secret("learner", OTHER)["data"]
    found.take_inventory()
    assert_done(found.rotate())
    assert found.secret("learner", OTHER)["data"] == before
    assert found.record.pending == {"learner": ("other/password",)}
    assert not found.record.over
    refused = Applied(rotation.report, settings=found.settings)
    assert refused.failed and "other/password" in refused.stderr
    # A person gives the value, and the rotation is over.
    assert found.reencrypt(other__password="given-by-hand").changed
    assert_done([found.apply(proof.attempts)])
    found.apply(rotation.conclusion, given=["other/password"])
    assert found.secret("learner", OTHER)["data"] == {"password": "Z2l2ZW4tYnktaGFuZA=="}
    assert found.record.over
    assert not Applied(rotation.report, settings=found.settings).changed


@pytest.mark.soak
def test_the_instructors_key_stays_until_no_repository_needs_it(
    world: Callable[..., World],
) -> None:
    found = world("instructor-key", "ada", "bob")
    old = public_key(found.keys / "instructor.agekey")
    found.take_inventory()
    away = found.bare("bob").rename(found.folder / "away.git")
    found.rotate()
    assert set(found.failures()) == {"bob"}
    assert public_key(found.keys / "instructor.agekey") == old
    assert old not in found.show("ada", SECRET)
    assert found.record.proven == ()
    away.rename(found.bare("bob"))
    subprocess.run(["rm", "-rf", f"{found.settings.class_dir}/failed"], check=True)
    assert_done(found.rotate())
    assert found.failures() == {}
    new = public_key(found.keys / "instructor.agekey")
    assert new != old
    for seat in ("ada", "bob"):
        assert (
            found.sops(found.show(seat, SECRET), found.keys / "instructor.agekey").returncode == 0
        )
        assert found.sops(found.show(seat, SECRET), found.keys / f"{seat}.agekey").returncode == 0
    assert set(found.record.proven) == {"ada", "bob"}


def test_one_that_fails_does_not_stop_the_others(world: Callable[..., World]) -> None:
    found = world("cluster-key", "ada", "bob", "eve")
    keys = {seat: public_key(found.keys / f"{seat}.agekey") for seat in ("ada", "bob", "eve")}
    found.take_inventory()
    subprocess.run(["mv", str(found.bare("bob")), f"{found.bare('bob')}.away"], check=True)
    found.rotate()
    failures = found.failures()
    assert set(failures) == {"bob"} and "`sopslab up`" in failures["bob"]
    assert public_key(found.keys / "bob.agekey") == keys["bob"]
    assert set(found.record.proven) == {"ada", "eve"} and not found.record.over
    subprocess.run(["mv", f"{found.bare('bob')}.away", str(found.bare("bob"))], check=True)
    subprocess.run(["rm", "-rf", f"{found.settings.class_dir}/failed"], check=True)
    heads = {seat: found.refs(seat) for seat in ("ada", "eve")}
    assert_done(found.rotate())
    assert found.record.over
    assert {seat: found.refs(seat) for seat in ("ada", "eve")} == heads
    assert public_key(found.keys / "bob.agekey") != keys["bob"]


def test_a_seat_that_was_archived_meanwhile_keeps_no_rotation_from_its_end(
    world: Callable[..., World],
) -> None:
    found = world("cluster-key", "ada", "bob")
    found.take_inventory()
    found.environments.pop()
    assert_done(found.rotate())
    assert not found.record.over
    assert found.take_inventory().changed and found.record.over
    assert not found.take_inventory().changed


# Values that leaked


def test_only_the_named_secret_changes_and_every_key_stays(world: Callable[..., World]) -> None:
    found = world("value-exposed")
    old_file = found.show("learner", SECRET)
    head = found.refs("learner")["heads/main"]
    before = found.secret("learner", SECRET)
    keys = {path: path.read_bytes() for path in found.keys.rglob("*.*")}
    found.take_inventory("backend-secrets")
    assert_done(found.rotate())
    changed = git(found.bare("learner"), "diff", "--name-only", head, "main")
    assert changed == SECRET
    assert {path: path.read_bytes() for path in found.keys.rglob("*.*")} == keys
    assert found.secret("learner", SECRET)["data"] != before["data"]
    own = public_key(found.keys / "learner.agekey")
    spliced = splice(found.show("learner", SECRET), old_file, own)
    assert spliced is not None
    assert found.sops(spliced, found.keys / "learner.agekey").returncode == 25
    assert found.record.over and not found.failures()
    assert "old values of backend-secrets.yaml" in found.record.remains["learner"][0]


def test_no_commit_of_a_learners_passes_for_one_of_the_rotation(
    world: Callable[..., World],
) -> None:
    found = world("value-exposed")
    before = found.secret("learner", SECRET)
    found.commit("learner", f"Mine\n\nSops-lab-incident: {INCIDENT}")
    found.take_inventory("backend-secrets")
    assert_done(found.rotate())
    assert found.secret("learner", SECRET)["data"] != before["data"]
    assert found.record.over and not found.failures()


def test_what_leaked_and_is_back_is_not_proven_and_is_replaced_again(
    world: Callable[..., World],
) -> None:
    found = world("value-exposed")
    before, head = found.secret("learner", SECRET), found.refs("learner")["heads/main"]
    found.take_inventory("backend-secrets")
    found.reencrypt()
    clone = found.clone("learner")
    git(clone, "pull", "--quiet", "--rebase")
    git(clone, "checkout", "--quiet", head, "--", SECRET)
    found.commit("learner", "What was there before")
    assert not found.apply(proof.attempts).failed
    assert f"{SECRET} is as it was when the rotation began" in found.failures()["learner"]
    found.apply(rotation.conclusion, given=[])
    assert found.record.proven == ()
    shutil.rmtree(Path(found.settings.class_dir) / "failed")
    assert_done(found.rotate())
    assert found.secret("learner", SECRET)["data"] != before["data"]
    assert found.record.over and not found.failures()


def test_more_files_than_a_rotation_looks_at_are_neither_replaced_nor_proven(
    world: Callable[..., World],
) -> None:
    found = world("value-exposed")
    text = (found.clone("learner") / SECRET).read_text()
    for number in range(201):
        (found.clone("learner") / FOLDER / f"many-{number}.yaml").write_text(text)
    found.commit("learner", "Many")
    found.take_inventory("backend-secrets")
    steps: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (reencryption.files, {"given": {}}),
        (proof.attempts, {}),
    ]
    for operation, more in steps:
        found.apply(operation, **more)
        assert "more than 200 encrypted files" in found.failures()["learner"]
        shutil.rmtree(Path(found.settings.class_dir) / "failed")


def test_a_rotation_that_began_with_too_many_files_is_proven_once_they_are_gone(
    world: Callable[..., World],
) -> None:
    found = world("value-exposed")
    clone, before = found.clone("learner"), found.secret("learner", SECRET)
    old_file = found.show("learner", SECRET)
    many = [f"{FOLDER}/many-{number}.yaml" for number in range(201)]
    for path in many:
        (clone / path).write_text(old_file)
    found.commit("learner", "Many")
    found.take_inventory("backend-secrets")
    found.reencrypt()
    assert "remove some first" in found.failures()["learner"]
    shutil.rmtree(Path(found.settings.class_dir) / "failed")
    git(clone, "rm", "--quiet", *many)
    found.commit("learner", "Some")
    done = found.rotate()
    assert_done(done)
    assert [one.changed for one in done] == [False, True, False, True, True]
    assert found.secret("learner", SECRET)["data"] != before["data"]
    assert found.record.over and not found.failures()


def test_one_value_of_several_is_replaced_by_what_a_human_gives(
    world: Callable[..., World],
) -> None:
    found = world("value-exposed")
    value = "b2xkLXZhbHVl\n  KEPT: a2VwdA=="
    found.encrypt("learner", SECRET, value=value)
    found.commit("learner", "Two values")
    found.take_inventory("backend-secrets/TOKEN")
    assert found.reencrypt(backend_secrets__TOKEN='new "value"\\').changed
    data = found.secret("learner", SECRET)["data"]
    assert data == {"TOKEN": "bmV3ICJ2YWx1ZSJc", "KEPT": "a2VwdA=="}
    assert found.record.pending == {"learner": ()}


def test_what_no_file_holds_is_named(world: Callable[..., World]) -> None:
    found = world("value-exposed")
    found.take_inventory("backend-secrets/NOTHING")
    assert not found.reencrypt().failed
    assert "it holds no encrypted backend-secrets/NOTHING" in found.failures()["learner"]


def test_only_a_refusal_for_the_right_reason_is_a_proof(world: Callable[..., World]) -> None:
    found = world("learner-key")
    found.take_inventory()
    found.apply(rotation.successors)
    found.reencrypt()
    found.apply(rotation.retirement)
    sops = Path(found.settings.bin_dir) / "sops"
    real = sops.readlink()
    sops.unlink()
    # This sops opens nothing, not even what the old key still opens.
    write_program(sops, "#!/bin/sh\nexit 1\n")
    found.apply(proof.attempts)
    assert "sops ended with 1 instead of " in found.failures()["learner"]
    (Path(found.settings.class_dir) / "failed/learner").unlink()
    sops.unlink()
    sops.symlink_to(real)
    found.apply(proof.attempts)
    assert found.failures() == {}


def test_nobody_else_is_asked_about_a_file_that_is_tried(world: Callable[..., World]) -> None:
    found = world("learner-key")
    found.take_inventory()
    found.apply(rotation.successors)
    found.reencrypt()
    found.apply(rotation.retirement)
    clone, late = found.clone("learner"), f"{FOLDER}/late.yaml"
    git(clone, "pull", "--quiet", "--rebase")
    found.encrypt("learner", late)
    with listening() as (address, calls):
        vault = (
            f"hc_vault: [{{vault_address: '{address}', engine_path: a, key_name: b,"
            " created_at: '2026-11-25T00:00:00Z', enc: 'vault:v1:YQ=='}]"
        )
        text = replaced((clone / late).read_text(), "\nsops:\n", f"\nsops:\n    {vault}\n")
        # sops asks the service if no identity opens the file.
        make_identity(found.folder / "nobody.agekey")
        assert found.sops(text, found.folder / "nobody.agekey").returncode != 0
        assert calls
        calls.clear()
        (clone / late).write_text(text)
        found.commit("learner", "Another kind of recipient")
        found.apply(proof.attempts)
        assert calls == []
    # The file was not opened, which proves nothing.
    assert found.failures()["learner"] == (
        f"the old key on {late}: sops would ask others than age about it\n"
    )
    found.apply(rotation.conclusion, given=[])
    assert not found.record.over


@pytest.mark.soak
def test_a_rotation_takes_no_more_commands_for_a_class_than_for_one(
    world: Callable[..., World],
) -> None:
    found = world("cluster-key", "ada", "bob", "eve")
    found.take_inventory()
    steps: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (rotation.successors, {}),
        (reencryption.files, {"given": {}}),
        (rotation.retirement, {}),
        (proof.attempts, {}),
        (rotation.conclusion, {"given": []}),
    ]
    for operation, more in steps:
        one, all_of_them = (
            len(would_run(operation, settings=found.settings, environments=environments, **more))
            for environments in (found.environments[:1], found.environments)
        )
        assert 0 < one == all_of_them, operation
        assert not found.apply(operation, **more).failed
    assert set(found.record.proven) == {"ada", "bob", "eve"}


# Whatever comes between


@pytest.mark.soak
def test_a_successor_whose_note_is_missing_takes_the_place_all_the_same(
    world: Callable[..., World],
) -> None:
    found = world("learner-key")
    found.take_inventory()
    found.apply(rotation.successors)
    # A run was killed between the identity and its note.
    (found.keys / "next/learner.pub").unlink()
    successor = public_key(found.keys / "next/learner.agekey")
    assert not any(one.failed for one in found.rotate())
    assert public_key(found.keys / "learner.agekey") == successor
    assert (found.keys / "learner.pub").read_text() == f"{successor}\n"
    assert not (found.keys / "next/learner.agekey").exists()


def test_a_commit_that_came_meanwhile_is_built_upon(world: Callable[..., World]) -> None:
    found = world("learner-key")
    found.take_inventory()
    found.apply(rotation.successors)
    (found.clone("learner") / "notes").write_text("mine\n")
    head = found.commit("learner", "Meanwhile")
    found.reencrypt()
    assert git(found.bare("learner"), "rev-parse", "main^") == head
    assert found.show("learner", "notes") == "mine"
    # A commit that is encrypted to the old key follows.
    clone = found.clone("learner")
    git(clone, "pull", "--quiet", "--rebase")
    found_rules = (clone / ".sops.yaml").read_text()
    old, new = found.record.retiring["learner"], public_key(found.keys / "next/learner.agekey")
    (clone / ".sops.yaml").write_text(replaced(found_rules, new, old))
    found.encrypt("learner", f"{FOLDER}/late.yaml")
    found.commit("learner", "Late")
    assert found.reencrypt().changed
    assert old not in found.show("learner", f"{FOLDER}/late.yaml")
    assert old not in found.show("learner", ".sops.yaml")
    assert not found.reencrypt().changed


ELSEWHERE = {
    "git_url": "http://git.example/course", "git_username": "ada", "git_password": "not-a-secret",
}  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "elsewhere"), [("update-ref --stdin", {}), (":refs/heads/main", ELSEWHERE)]
)
def test_a_commit_that_comes_while_files_are_replaced_is_not_passed_over(
    world: Callable[..., World], moment: str, elsewhere: dict[str, str]
) -> None:
    found = world("learner-key", **elsewhere)
    if elsewhere:
        observed = Path(found.settings.lab_dir) / "observed.git"
        git(found.folder, "init", "--quiet", "--bare", str(observed))
        here = f"file://{found.bare('learner').parent.parent}/"
        git(observed, "config", f"url.{here}.insteadOf", f"{elsewhere['git_url']}/")
    found.take_inventory()
    found.apply(rotation.successors)
    tools = Path(found.settings.bin_dir)
    (found.clone("learner") / "notes").write_text("mine\n")
    late = commit(found.clone("learner"), "Meanwhile", push=False)
    overtake(tools, moment, found.bare("learner"), found.clone("learner"))
    found.reencrypt()
    assert was_overtaken(tools)
    assert found.refs("learner")["heads/main"] == late
    subprocess.run(["rm", "-rf", f"{found.settings.class_dir}/failed"], check=True)
    assert not found.reencrypt().failed
    assert git(found.bare("learner"), "rev-parse", "main^") == late


def test_an_identity_that_main_still_needs_stays(world: Callable[..., World]) -> None:
    found = world("learner-key")
    old = public_key(found.keys / "learner.agekey")
    found.take_inventory()
    found.apply(rotation.successors)
    found.apply(rotation.retirement)
    assert "still encrypted to the old key" in found.failures()["learner"]
    assert public_key(found.keys / "learner.agekey") == old


@pytest.mark.soak
def test_a_lock_that_a_killed_git_left_holds_up_nobody(world: Callable[..., World]) -> None:
    found = world("learner-key")
    found.take_inventory()
    found.apply(rotation.successors)
    names = ("HEAD.lock", "refs/heads/main.lock", "packed-refs.lock", "packed-refs.new")
    locks = [found.bare("learner") / name for name in names]
    for lock in locks:
        lock.touch()
    found.reencrypt()
    assert found.failures() == {}
    assert found.record.retiring["learner"] not in found.show("learner", SECRET)
    assert not any(lock.exists() for lock in locks)


@pytest.mark.parametrize("moment", mostly_soak(range(1, 7), 4))
def test_archiving_an_identity_can_be_interrupted_anywhere(
    world: Callable[..., World], moment: int
) -> None:
    found = world("learner-key")
    old = public_key(found.keys / "learner.agekey")
    found.take_inventory()
    found.apply(rotation.successors)
    found.reencrypt()
    new = public_key(found.keys / "next/learner.agekey")
    command = acting(found.settings, retirement.retire, keys=["learner"])
    # A folder, a second name, a note that is removed, and two files that take their places.
    assert killed_before_change(moment, command, found.keys) is (moment <= 5)
    assert public_key(found.keys / "learner.agekey") in (old, new)
    assert_done(found.rotate())
    assert public_key(found.keys / "learner.agekey") == new
    assert (found.keys / "learner.pub").read_text().strip() == new
    assert {public_key(one) for one in (found.keys / "archive").glob("*.agekey")} == {old}
    assert found.record.over


@pytest.mark.parametrize("moment", mostly_soak(range(4, 50, 5), 29))
def test_reencrypting_can_be_interrupted_anywhere(world: Callable[..., World], moment: int) -> None:
    found = world("learner-key")
    found.take_inventory()
    found.apply(rotation.successors)
    refs, old = found.refs("learner"), found.record.retiring["learner"]
    arguments = {"settings": found.settings, "environments": found.environments}
    *_, command = would_run(reencryption.files, **arguments, given={})
    killed = killed_before_program(moment, command)
    # Three files are decrypted and encrypted, and two commits are made, by some forty programs.
    assert killed or moment > 29
    assert not killed or moment < 49
    # The branch and the checkpoint change last, and together.
    assert (found.refs("learner") == refs) is killed
    assert_done(found.rotate())
    assert not found.failures() and found.record.over
    assert all(old not in found.show("learner", path) for path in (SECRET, OTHER, CANARY_PATH))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own; the user has to be allowed to mount it."""
    folder = tmp_path / "root"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=9000", "tmpfs", str(folder)]
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    subprocess.run([*sudo, *command], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*sudo, "umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, room: int) -> Path:
    """Fill a file system except for `room` KiB; return the file that fills it."""
    filler = folder / "filler"
    free = os.statvfs(folder)
    filler.write_bytes(b"\0" * (free.f_bavail * free.f_frsize - room * 1024))
    return filler


@pytest.mark.parametrize("room", mostly_soak([0, 12, 24, 40], 12))
def test_a_full_disk_destroys_nothing(
    small_disk: Path, world: Callable[..., World], room: int
) -> None:
    found = world("learner-key")
    found.take_inventory()
    found.apply(rotation.successors)
    before, refs = found.show("learner", SECRET), found.refs("learner")
    filler = fill(small_disk, room)
    done = found.reencrypt()
    assert done.failed or found.failures()
    assert found.refs("learner") == refs
    assert found.show("learner", SECRET) == before
    assert found.sops(before, found.keys / "learner.agekey").returncode == 0
    filler.unlink()
    subprocess.run(["rm", "-rf", f"{found.settings.class_dir}/failed"], check=True)
    assert_done(found.rotate())
    assert found.record.over


# The clone


@pytest.mark.parametrize("own", mostly_soak([False, True], False))
def test_the_clone_follows_where_it_has_nothing_of_its_own(
    world: Callable[..., World], own: bool
) -> None:
    found = world("learner-key")
    work = Path(found.settings.work_dir)
    git(found.folder, "clone", "--quiet", str(found.bare("learner")), str(work))
    head = git(work, "rev-parse", "HEAD")
    if own:
        (work / "mine").write_text("mine\n")
    found.take_inventory()
    assert_done(found.rotate())
    done = Applied(reencryption.clone, settings=found.settings, environment=found.environments[0])
    assert not done.failed and done.changed is not own
    main = found.refs("learner")["heads/main"]
    assert git(work, "rev-parse", "HEAD") == (head if own else main)
    assert git(work, "status", "--porcelain") == ("?? mine" if own else "")


def test_nothing_of_a_secret_is_remembered(world: Callable[..., World]) -> None:
    found = world("learner-key")
    found.take_inventory()
    assert_done(found.rotate())
    record = Path(found.settings.lab_dir) / "rotations" / f"{INCIDENT}.yaml"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    value = found.secret("learner", CANARY_PATH)["stringData"]["value"]
    text = record.read_text()
    assert value not in text and "AGE-SECRET-KEY" not in text
    assert set(yaml.safe_load(text)["retiring"]) == {"learner"}
    assert not list(Path(found.settings.lab_dir).glob(".new*"))
