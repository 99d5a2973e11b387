"""A reset in real repositories and with real tools, and a cluster that only answers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.delivery import Why
from sopslab.checks.namespaces import InTheWay
from sopslab.checks.reset import environment_plan
from sopslab.config.environment import Environment, at_seat, solo
from sopslab.config.settings import Settings
from sopslab.lab.act.clones import follow
from sopslab.lab.observe.checkpoints import Repository, clone_state, repository_states
from sopslab.lab.observe.delivery import deliveries
from sopslab.lab.observe.namespaces import obstacles
from sopslab.lab.reset import plan_reset
from sopslab.model.trouble import Trouble
from sopslab.provision.operations import reset
from tests.beginnings import begin
from tests.commands import failures
from tests.conftest import find_tool
from tests.fake import Applied, would_run
from tests.repositories import begin_repository, commit, decrypt, git, learner, make_identity
from tests.texts import replaced, write_files, write_program

SAVED = "saved/20270301T090000Z"
FOLDER = "flux/secrets/develop"
KUSTOMIZATION = """apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - lab-canary.yaml
  # Uncomment this line once scripts/sops-encrypt-secret.sh has made the file:
  # - backend-secrets.yaml
"""
RULES = """creation_rules:
  - path_regex: ^flux/secrets/develop/(.*/)?([^k/]|k[^u/]|ku[^s/])[^/]*\\.ya?ml$
    encrypted_regex: ^(data|stringData)$
    age: {recipient}
"""


@dataclass
class Class:
    """Seats, each with a repository that began with one commit, and with a learner's clone."""

    settings: Settings
    folder: Path
    seats: dict[str, Environment]

    def bare(self, seat: str) -> Path:
        return Path(self.settings.git_dir) / "repositories" / seat / "lab.git"

    def clone(self, seat: str) -> Path:
        return self.folder / seat

    def add(self, environment: Environment) -> None:
        """Make the repository and the clone of an environment."""
        seat = environment.id
        self.seats[seat] = environment
        clone, bare = self.clone(seat), self.bare(seat)
        begin_repository(bare, clone)
        recipient = make_identity(Path(self.settings.keys_dir) / f"{seat}.agekey")
        files = {
            ".sops.yaml": RULES.format(recipient=recipient),
            ".gitignore": "*.log\n",
            f"{FOLDER}/kustomization.yaml": KUSTOMIZATION,
        }
        write_files(clone, files)
        start = self.commit(seat, "Begin the lab")
        git(bare, "update-ref", "refs/lab/start", start)

    def find(self, environment: Environment) -> None:
        """Add an environment whose repository and clone were copied from elsewhere."""
        seat = environment.id
        self.seats[seat] = environment
        git(self.clone(seat), "remote", "set-url", "origin", str(self.bare(seat)))

    def commit(self, seat: str, message: str, push: bool = True) -> str:
        return commit(self.clone(seat), message, push=push)

    def refs(self, seat: str) -> dict[str, str]:
        """Return the refs of a repository without `refs/`, and their commits."""
        text = "%(refname:lstrip=1) %(objectname)"
        listing = git(self.bare(seat), "for-each-ref", f"--format={text}")
        return dict(line.split() for line in listing.splitlines())

    def show(self, seat: str, name: str) -> str:
        return git(self.bare(seat), "show", name)

    def reset(self, *seats: str, to: str = "start", saved: str = SAVED) -> Applied:
        return Applied(
            reset.repositories,
            settings=self.settings,
            environments=[self.seats[seat] for seat in seats],
            checkpoint=to,
            saved=saved,
        )

    def failures(self) -> dict[str, str]:
        return failures(self.settings)


@pytest.fixture
def classroom(
    lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path, beginnings: Path
) -> Class:
    made = Class(lab(), tmp_path / "learners", {})
    environments = [at_seat(learner(seat)) for seat in ("ada", "bob")]

    def make() -> None:
        tools("sops", "age", "age-keygen")
        made.folder.mkdir()
        for environment in environments:
            made.add(environment)

    if begin(tmp_path, beginnings / "classroom", make):
        for environment in environments:
            made.find(environment)
    return made


# Repositories


def test_main_goes_back_and_what_was_on_it_is_kept(classroom: Class) -> None:
    start = classroom.refs("ada")["lab/start"]
    classroom.commit("ada", "one")
    head = classroom.commit("ada", "two")
    git(classroom.bare("ada"), "update-ref", "refs/heads/topic", head)
    before = classroom.refs("bob")
    assert classroom.reset("ada").changed
    expected = {"lab/start": start, "heads/main": start, "heads/topic": head}
    assert classroom.refs("ada") == {**expected, f"heads/{SAVED}": head}
    assert classroom.refs("bob") == before
    again = classroom.reset("ada", "bob")
    assert not again.changed and not again.failed


def test_many_go_back_at_once(classroom: Class) -> None:
    heads = {seat: classroom.commit(seat, "one") for seat in ("ada", "bob")}
    assert classroom.reset("ada", "bob").changed
    for seat, head in heads.items():
        refs = classroom.refs(seat)
        assert refs["heads/main"] == refs["lab/start"]
        assert refs[f"heads/{SAVED}"] == head
    assert not list(Path(classroom.settings.lab_dir).glob(".new*"))


def test_one_command_puts_back_however_many_there_are(classroom: Class) -> None:
    for seat in ("ada", "bob"):
        classroom.commit(seat, "one")
    for environments in ([classroom.seats["ada"]], list(classroom.seats.values())):
        commands = would_run(
            reset.repositories,
            settings=classroom.settings,
            environments=environments,
            checkpoint="start",
            saved=SAVED,
        )
        assert len(commands) == 1


def test_nothing_is_kept_where_nothing_is_lost(classroom: Class) -> None:
    assert classroom.reset("ada", to="encrypted").changed
    assert {name for name in classroom.refs("ada") if name.startswith("heads/")} == {"heads/main"}


def test_a_main_that_is_gone_or_another_history_goes_back(classroom: Class) -> None:
    git(classroom.bare("ada"), "update-ref", "-d", "refs/heads/main")
    clone = classroom.clone("bob")
    git(clone, "checkout", "--quiet", "--orphan", "other")
    git(clone, "commit", "--quiet", "-m", "Another history")
    git(clone, "push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
    assert classroom.reset("ada", "bob").changed
    for seat in ("ada", "bob"):
        refs = classroom.refs(seat)
        assert refs["heads/main"] == refs["lab/start"]
    assert classroom.refs("bob")[f"heads/{SAVED}"] == git(clone, "rev-parse", "HEAD")


def test_a_learners_branch_called_saved_is_in_nobodys_way(classroom: Class) -> None:
    head = classroom.commit("ada", "one")
    git(classroom.bare("ada"), "update-ref", "refs/heads/saved", head)
    assert classroom.reset("ada").changed
    refs = classroom.refs("ada")
    assert refs["heads/main"] == refs["lab/start"]
    assert refs["heads/saved"] == refs["heads/saved-20270301T090000Z"] == head


def test_the_checkpoint_encrypted_holds_a_secret_that_only_the_seat_can_read(
    classroom: Class,
) -> None:
    assert classroom.reset("ada", "bob", to="encrypted").changed
    values = {seat: _decrypted(classroom, seat, "lab/encrypted") for seat in ("ada", "bob")}
    assert all(len(value) > 20 for value in values.values())
    assert values["ada"] != values["bob"]
    text = classroom.show("ada", f"refs/lab/encrypted:{FOLDER}/backend-secrets.yaml")
    assert values["ada"] not in text
    assert "namespace: ada-develop" in text
    listed = classroom.show("ada", f"refs/lab/encrypted:{FOLDER}/kustomization.yaml")
    assert listed == KUSTOMIZATION.strip()
    refs = classroom.refs("ada")
    assert refs["heads/main"] == refs["lab/encrypted"]
    assert git(classroom.bare("ada"), "rev-parse", "lab/encrypted^") == refs["lab/start"]


def _decrypted(classroom: Class, seat: str, ref: str) -> str:
    text = classroom.show(seat, f"refs/{ref}:{FOLDER}/backend-secrets.yaml")
    identity = Path(classroom.settings.keys_dir, f"{seat}.agekey")
    return decrypt(text, identity, '["data"]["API_TOKEN"]').stdout.strip()


def test_the_checkpoints_after_it_list_the_secret(classroom: Class) -> None:
    assert classroom.reset("ada", to="done").changed
    refs = classroom.refs("ada")
    assert refs["heads/main"] == refs["lab/done"] == refs["lab/wired"]
    assert git(classroom.bare("ada"), "rev-parse", "lab/wired^") == refs["lab/encrypted"]
    listed = classroom.show("ada", f"refs/lab/wired:{FOLDER}/kustomization.yaml")
    assert listed == replaced(KUSTOMIZATION, "# - backend", "- backend").strip()
    changed = git(classroom.bare("ada"), "diff", "--name-only", "lab/start", "lab/wired")
    assert changed.split() == [f"{FOLDER}/backend-secrets.yaml", f"{FOLDER}/kustomization.yaml"]


def test_a_checkpoint_is_made_once(classroom: Class) -> None:
    classroom.reset("ada", to="wired")
    made = classroom.refs("ada")
    classroom.reset("ada", to="start")
    assert not classroom.reset("ada", to="start").changed
    classroom.reset("ada", to="wired")
    found = classroom.refs("ada")
    assert {name: found[name] for name in made} == made


def test_the_policy_has_nothing_against_a_checkpoint(classroom: Class) -> None:
    classroom.reset("ada", to="done")
    done = subprocess.run(
        [sys.executable, "-m", "sopslab.policy", "history", str(classroom.bare("ada"))],
        env={"PATH": os.environ["PATH"], "SOPSLAB_GITLEAKS": find_tool("gitleaks")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_one_that_cannot_be_put_back_does_not_stop_the_others(classroom: Class) -> None:
    for seat in ("carol", "dan", "eve"):
        classroom.add(at_seat(learner(seat)))
    heads = {seat: classroom.commit(seat, "one") for seat in classroom.seats}
    # No repository, no start, a lock that a killed git left, and rules by which nobody can encrypt.
    subprocess.run(["rm", "-rf", str(classroom.bare("ada"))], check=True)
    git(classroom.bare("bob"), "update-ref", "-d", "refs/lab/start")
    git(classroom.bare("bob"), "update-ref", "refs/heads/main", _orphan(classroom, "bob"))
    (classroom.bare("carol") / "refs/heads/main.lock").touch()
    clone = classroom.clone("dan")
    (clone / ".sops.yaml").write_text("creation_rules: []\n")
    git(classroom.bare("dan"), "update-ref", "refs/lab/start", classroom.commit("dan", "two"))
    done = classroom.reset("ada", "bob", "carol", "dan", "eve", to="encrypted")
    assert done.changed and not done.failed
    refs = classroom.refs("eve")
    assert refs["heads/main"] == refs["lab/encrypted"]
    assert refs[f"heads/{SAVED}"] == heads["eve"]
    failures = classroom.failures()
    assert set(failures) == {"ada", "bob", "carol", "dan"}
    assert "is gone: `sopslab up`" in failures["ada"]
    assert "which commit the repository began with" in failures["bob"]
    assert "the repository is locked" in failures["carol"]
    assert "no creation rule names the file's recipients" in failures["dan"]
    assert "lab/encrypted" not in classroom.refs("dan")


def _orphan(classroom: Class, seat: str) -> str:
    bare = classroom.bare(seat)
    return git(bare, "commit-tree", "-m", "Mine", f"{classroom.refs(seat)['heads/main']}^{{tree}}")


def test_a_lab_without_the_ref_began_with_the_commit_that_says_so(classroom: Class) -> None:
    start = classroom.refs("ada")["lab/start"]
    git(classroom.bare("ada"), "update-ref", "-d", "refs/lab/start")
    classroom.commit("ada", "one")
    assert classroom.reset("ada").changed
    refs = classroom.refs("ada")
    assert refs["heads/main"] == refs["lab/start"] == start


def test_how_a_repository_stands_to_a_checkpoint_is_told(classroom: Class) -> None:
    def look(checkpoint: str) -> Any:
        return repository_states(
            classroom.settings.for_machine,
            list(classroom.seats.values()),
            checkpoint=checkpoint,
            saved=SAVED,
        )

    assert all(state.there for state in look("start").values())
    classroom.commit("ada", "one")
    classroom.commit("ada", "two")
    found = look("wired")
    assert {seat: (state.lost, state.target) for seat, state in found.items()} == {
        "ada": (2, None),
        "bob": (0, None),
    }
    assert not found["ada"].there


def test_another_git_server_is_reset_by_pushing(
    lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path
) -> None:
    tools("sops", "age", "age-keygen")
    settings = lab(
        git_url="http://git.example/course", git_username="ada", git_password="not-a-secret"
    )
    made = Class(settings, tmp_path / "learners", {})
    made.folder.mkdir()
    environment = solo(settings)
    made.add(environment)
    start = made.refs("learner")["lab/start"]
    git(made.bare("learner"), "update-ref", "-d", "refs/lab/start")
    head = made.commit("learner", "one")
    observed = Path(settings.lab_dir) / "observed.git"
    git(tmp_path, "init", "--quiet", "--bare", str(observed))
    here = f"file://{Path(settings.git_dir) / 'repositories'}/"
    git(observed, "config", f"url.{here}.insteadOf", "http://git.example/course/")
    assert made.reset("learner").changed
    assert made.refs("learner") == {"heads/main": start, f"heads/{SAVED}": head}
    assert made.reset("learner", to="wired", saved="saved/later").changed
    assert set(made.refs("learner")) == {"heads/main", f"heads/{SAVED}"}
    assert git(observed, "rev-parse", "refs/lab/wired") == made.refs("learner")["heads/main"]
    assert not made.reset("learner", to="wired").changed
    git(observed, "config", "--unset", f"url.{here}.insteadOf")
    git(observed, "config", "url.file:///nowhere/.insteadOf", "http://git.example/course/")
    made.reset("learner")
    assert "does not answer at http://git.example/course" in made.failures()["learner"]


# The clone


@pytest.fixture
def alone(lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path) -> Class:
    """A lab's one learner, with the lab's own clone."""
    tools("sops", "age", "age-keygen")
    settings = lab()
    made = Class(settings, tmp_path / "learners", {})
    made.folder.mkdir()
    made.add(solo(settings))
    work = Path(settings.work_dir)
    git(tmp_path, "clone", "--quiet", str(made.bare("learner")), str(work))
    write_program(work / ".git/hooks/pre-commit", "#!/bin/sh\nexit 1\n")
    return made


def put_copy_back(alone: Class, to: str = "start", saved: str = SAVED) -> Applied:
    alone.reset("learner", to=to, saved=saved)
    return Applied(
        reset.clone,
        settings=alone.settings,
        environment=alone.seats["learner"],
        checkpoint=to,
        saved=saved,
    )


def work_of(alone: Class) -> Path:
    return Path(alone.settings.work_dir)


def test_what_the_copy_has_beyond_the_repository_is_kept_in_the_copy(alone: Class) -> None:
    work = work_of(alone)
    (work / "mine").write_text("committed\n")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--no-verify", "-m", "not pushed")
    ahead = git(work, "rev-parse", "HEAD")
    (work / "mine").write_text("changed\n")
    (work / "new").write_text("untracked\n")
    (work / "build.log").write_text("ignored\n")
    (work / ".gitignore").unlink()
    (work / ".gitignore").write_text("*.log\n# mine\n")
    start = alone.refs("learner")["lab/start"]
    assert put_copy_back(alone).changed
    assert git(work, "rev-parse", "HEAD", "refs/heads/main") == f"{start}\n{start}"
    assert git(work, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(work, "status", "--porcelain") == ""
    assert git(work, "rev-parse", f"{SAVED}^") == ahead
    assert git(work, "show", f"{SAVED}:mine") == "changed"
    assert git(work, "show", f"{SAVED}:new") == "untracked"
    assert not (work / "new").exists()
    assert (work / "build.log").exists()
    # What was saved may be a secret in plain text: nothing of it leaves the clone.
    assert set(alone.refs("learner")) == {"heads/main", "lab/start"}
    assert not put_copy_back(alone).changed


def test_what_was_pushed_is_kept_in_the_repository_only(alone: Class) -> None:
    work = work_of(alone)
    head = alone.commit("learner", "one")
    git(work, "pull", "--quiet", "--ff-only")
    assert put_copy_back(alone).changed
    assert alone.refs("learner")[f"heads/{SAVED}"] == head
    assert git(work, "rev-parse", f"refs/remotes/origin/{SAVED}") == head
    assert git(work, "branch", "--format=%(refname:short)") == "main"
    assert git(work, "status", "--short", "--branch") == "## main...origin/main"


def test_other_branches_and_their_commits_stay_and_all_heads_are_kept(alone: Class) -> None:
    work = work_of(alone)
    git(work, "checkout", "--quiet", "-b", "topic")
    git(work, "commit", "--quiet", "--no-verify", "--allow-empty", "-m", "on topic")
    topic = git(work, "rev-parse", "HEAD")
    git(work, "checkout", "--quiet", "main")
    git(work, "commit", "--quiet", "--no-verify", "--allow-empty", "-m", "on main")
    main = git(work, "rev-parse", "HEAD")
    git(work, "checkout", "--quiet", "topic")
    assert put_copy_back(alone).changed
    assert git(work, "rev-parse", "topic") == topic
    assert set(git(work, "rev-parse", f"{SAVED}^1", f"{SAVED}^2").split()) == {topic, main}


def test_a_conflict_and_a_rebase_that_is_under_way_are_left(alone: Class) -> None:
    work = work_of(alone)
    for branch, text in (("theirs", "a\n"), ("main", "b\n")):
        git(work, "checkout", "--quiet", "-B", branch, "origin/main")
        (work / "both").write_text(text)
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--no-verify", "-m", branch)
    git(work, "rebase", "theirs", check=False)
    assert "<<<<<<<" in (work / "both").read_text()
    assert put_copy_back(alone).changed
    assert git(work, "status", "--porcelain") == ""
    assert "rebase" not in git(work, "status")
    assert "<<<<<<<" in git(work, "show", f"{SAVED}:both")
    assert not put_copy_back(alone).changed


def test_a_copy_whose_remote_and_branches_are_gone_is_put_back(alone: Class) -> None:
    work = work_of(alone)
    git(work, "remote", "remove", "origin")
    git(work, "checkout", "--quiet", "--detach")
    git(work, "branch", "--quiet", "-D", "main")
    git(work, "update-ref", "refs/heads/saved", "HEAD")
    (work / "new").write_text("untracked\n")
    assert put_copy_back(alone).changed
    assert git(work, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(work, "show", "saved-20270301T090000Z:new") == "untracked"


def test_a_branch_that_is_gone_is_not_in_the_way_of_another_one(alone: Class) -> None:
    work, head = work_of(alone), alone.commit("learner", "one")
    git(work, "update-ref", "refs/remotes/origin/saved", "HEAD")
    git(alone.bare("learner"), "update-ref", "refs/heads/saved/one", head)
    follow(alone.settings.for_machine, alone.seats["learner"])
    assert git(work, "rev-parse", "HEAD", "refs/remotes/origin/saved/one") == f"{head}\n{head}"


def test_a_copy_is_told_apart_from_the_checkpoint_without_touching_it(alone: Class) -> None:
    work = work_of(alone)

    def look() -> Any:
        return clone_state(
            alone.settings.for_machine, alone.seats["learner"], checkpoint="start", saved=SAVED
        )

    assert look().there
    before = {path: path.stat().st_mtime_ns for path in (work / ".git").rglob("*")}
    (work / "new").write_text("untracked\n")
    git(work, "commit", "--quiet", "--no-verify", "--allow-empty", "-m", "one")
    before = {path: path.stat().st_mtime_ns for path in (work / ".git").rglob("*")}
    state = look()
    assert (state.unpushed, state.uncommitted, state.there) == (1, 1, False)
    assert {path: path.stat().st_mtime_ns for path in (work / ".git").rglob("*")} == before
    subprocess.run(["rm", "-rf", str(work)], check=True)
    assert look() is None


def test_a_copy_stays_as_it_is_when_the_repository_could_not_be_put_back(alone: Class) -> None:
    work = work_of(alone)
    (work / "new").write_text("untracked\n")
    subprocess.run(["rm", "-rf", str(alone.bare("learner"))], check=True)
    assert not put_copy_back(alone).changed
    assert (work / "new").exists()


# The cluster, which answers with recorded objects


STAND_IN_KUBECTL = """#!/bin/sh
# Answers `get` with the objects of a file, as far as it is asked for them.
echo "$*" >>"$0.calls"
case $* in
*readyz*) echo ok ;;
*api-resources*) printf 'configmaps\\nevents\\nevents.events.k8s.io\\npods\\n'
    printf 'deployments.apps\\nroles.rbac.authorization.k8s.io\\npolicyreports.wgpolicyk8s.io\\n'
    printf 'buckets.source.toolkit.fluxcd.io\\nciliumendpoints.cilium.io\\n'
    ;;
*" get "*) cat "$(dirname "$0")/objects.json" ;;
esac
"""


@pytest.fixture
def cluster(answered_by: Callable[..., Settings]) -> Callable[..., Settings]:
    """Return a function that makes a lab whose cluster has the given objects."""
    settings = answered_by(STAND_IN_KUBECTL)

    def having(*objects: dict[str, Any]) -> Settings:
        Path(settings.bin_dir, "objects.json").write_text(
            json.dumps({"kind": "List", "items": objects})
        )
        return settings

    return having


def thing(
    kind: str, place: str, api: str = "v1", more: dict[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    """Return an object; `place` is namespace/name."""
    namespace, _, name = place.rpartition("/")
    where = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": api, "kind": kind, "metadata": {"name": name, **where, **metadata},
        **(more or {}),
    }  # fmt: skip


def kustomization(place: str, *inventory: str, **spec: Any) -> dict[str, Any]:
    return thing(
        "Kustomization",
        place,
        "kustomize.toolkit.fluxcd.io/v1",
        {"spec": spec, "status": {"inventory": {"entries": [{"id": one} for one in inventory]}}},
    )


SEAT = [
    thing("Namespace", "ada-develop"),
    thing("Namespace", "lab-ada-sys"),
    thing("GitRepository", "lab-ada-sys/lab", "source.toolkit.fluxcd.io/v1", {"spec": {}}),
    kustomization(
        "flux-system/tenant-ada",
        "ada-develop_seat__ResourceQuota",
        "ada-develop_learner_rbac.authorization.k8s.io_RoleBinding",
        "ada-develop_system__learner_rbac.authorization.k8s.io_Role",
        "_ada-develop__Namespace",
    ),
    kustomization("lab-ada-sys/secrets-develop", "ada-develop_lab-canary__Secret"),
    thing("ResourceQuota", "ada-develop/seat"),
    thing("RoleBinding", "ada-develop/learner", "rbac.authorization.k8s.io/v1"),
    thing("Role", "ada-develop/system:learner", "rbac.authorization.k8s.io/v1"),
    thing("Secret", "ada-develop/lab-canary"),
    thing("ServiceAccount", "ada-develop/default"),
    thing("ConfigMap", "ada-develop/kube-root-ca.crt"),
]
MARKED: dict[str, Any] = {"labels": {"kustomize.toolkit.fluxcd.io/name": "tenant-ada"}}


def strays(state: InTheWay) -> tuple[str, ...]:
    """Return the strays that are named: what a controller has made goes with its owner, unnamed."""
    return tuple(named(one.what) for one in state.strays if not one.made)


def named(what: Mapping[str, Any]) -> str:
    return f"{what['kind']}/{what['metadata']['name']}"


def states(settings: Settings, *seats: str) -> Any:
    return obstacles(settings.for_machine, [at_seat(learner(seat)) for seat in seats])


def test_a_seat_with_what_flux_applied_has_nothing_in_the_way(
    cluster: Callable[..., Settings],
) -> None:
    settings = cluster(
        *SEAT,
        thing("ConfigMap", "ada-develop/istio-ca-root-cert"),
        thing("ServiceAccount", "ada-develop/builder"),
    )
    state = states(settings, "ada")["ada"]
    assert environment_plan(state) == []
    assert not state.untended
    # Kinds of objects that only a controller makes are not asked for: they would come back forever.
    calls = Path(settings.bin_dir, "kubectl.calls").read_text()
    kinds = "configmaps,pods,deployments.apps,roles.rbac.authorization.k8s.io"
    assert f" get {kinds},buckets.source.toolkit.fluxcd.io --namespace ada-develop " in calls


def made_by(kind: str, uid: str, **more: Any) -> dict[str, Any]:
    """Return the metadata of an object that a controller has made from another, or that pretends
    so."""
    owner = {"kind": kind, "name": "whoever", "uid": uid, "controller": True}
    return {"ownerReferences": [owner], **more}


def test_what_flux_did_not_apply_is_a_stray_whatever_its_labels_say(
    cluster: Callable[..., Settings],
) -> None:
    settings = cluster(
        *SEAT,
        thing("ConfigMap", "ada-develop/mine"),
        thing("ConfigMap", "ada-develop/marked", **MARKED),
        thing("Deployment", "ada-develop/web", "apps/v1", uid="1"),
        thing("ReplicaSet", "ada-develop/web-1", "apps/v1", uid="2", **made_by("Deployment", "1")),
        # The pod goes with the Deployment, and is not named beside it.
        thing("Pod", "ada-develop/web-1-a", **made_by("ReplicaSet", "2")),
        thing("ConfigMap", "bob-develop/theirs"),
        thing("ConfigMap", "lab-ada-sys/not-hers"),
        thing("Role", "ada-develop/learner", "rbac.authorization.k8s.io/v1"),
    )
    state = states(settings, "ada")["ada"]
    expected = {"ConfigMap/mine", "ConfigMap/marked", "Deployment/web", "Role/learner"}
    assert set(strays(state)) == expected and len(strays(state)) == len(expected)


@pytest.mark.parametrize(
    "owner",
    [
        # The owner is gone, makes no pods, is the pod itself, or owns without being the controller.
        made_by("ReplicaSet", "gone"),
        made_by("Secret", "canary"),
        made_by("Pod", "orphan"),
        {"ownerReferences": [{"kind": "ReplicaSet", "name": "whoever", "uid": "x"}]},
        {},
    ],
)
def test_an_orphan_is_a_stray_whoever_it_says_it_belongs_to(
    cluster: Callable[..., Settings], owner: dict[str, Any]
) -> None:
    seat = [one for one in SEAT if one["metadata"]["name"] != "lab-canary"]
    canary = thing("Secret", "ada-develop/lab-canary", uid="canary")
    held: dict[str, Any] = {
        "uid": "orphan",
        "finalizers": ["example.org/nobody"],
        "deletionTimestamp": "2027-03-01T09:00:00Z",
    }
    settings = cluster(*seat, canary, thing("Pod", "ada-develop/orphan", **held, **owner))

    assert strays(states(settings, "ada")["ada"]) == ("Pod/orphan",)


def test_what_controllers_make_of_what_flux_applied_is_no_stray(
    cluster: Callable[..., Settings],
) -> None:
    applied = kustomization(
        "lab-ada-sys/secrets-develop",
        "ada-develop_lab-canary__Secret",
        "ada-develop_web_apps_Deployment",
        "ada-develop_web__Service",
    )
    others = [one for one in SEAT if one["metadata"]["name"] != "secrets-develop"]
    slice_ = made_by("Service", "3")
    settings = cluster(
        *others,
        applied,
        thing("Deployment", "ada-develop/web", "apps/v1", uid="1"),
        thing("ReplicaSet", "ada-develop/web-1", "apps/v1", uid="2", **made_by("Deployment", "1")),
        thing("Pod", "ada-develop/web-1-a", **made_by("ReplicaSet", "2")),
        thing("Service", "ada-develop/web", uid="3"),
        thing("EndpointSlice", "ada-develop/web-x", "discovery.k8s.io/v1", **slice_),
        thing("Endpoints", "ada-develop/web"),
        thing("Endpoints", "ada-develop/other"),
    )
    assert strays(states(settings, "ada")["ada"]) == ("Endpoints/other",)


def test_what_flux_was_told_to_leave_alone_is_a_stray(cluster: Callable[..., Settings]) -> None:
    others = [one for one in SEAT if one["metadata"]["name"] != "lab-canary"]
    apart: dict[str, Any] = {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}}
    canary = thing("Secret", "ada-develop/lab-canary", **apart)
    assert strays(states(cluster(*others, canary), "ada")["ada"]) == ("Secret/lab-canary",)
    going = thing("Secret", "ada-develop/lab-canary", deletionTimestamp="2027-03-01T09:00:00Z")
    assert strays(states(cluster(*others, going), "ada")["ada"]) == ("Secret/lab-canary",)
    missing = states(cluster(*others), "ada")["ada"]
    assert (missing.strays, missing.missing) == ((), ("ada-develop_lab-canary__Secret",))


def test_namespaces_that_go_or_are_gone_and_what_is_suspended_are_told(
    cluster: Callable[..., Settings],
) -> None:
    kept = [one for one in SEAT if one["kind"] in {"GitRepository", "ConfigMap"}]
    settings = cluster(
        *kept,
        thing("Namespace", "ada-develop", deletionTimestamp="2027-03-01T09:00:00Z"),
        kustomization("flux-system/tenant-ada", "ada-develop_seat__ResourceQuota", suspend=True),
    )
    state = states(settings, "ada", "bob")["ada"]
    assert state.going == ("ada-develop",)
    assert state.absent == ("lab-ada-sys",)
    assert [named(one) for one in state.suspended] == ["Kustomization/tenant-ada"]
    # The namespace is being deleted, so nothing in it may hold it.
    assert strays(state) == ("ConfigMap/kube-root-ca.crt",)
    assert states(settings, "bob")["bob"].untended


def test_a_cluster_that_is_not_there_has_no_environments(lab: Callable[..., Settings]) -> None:
    assert states(lab(), "ada") == {}


def test_a_cluster_that_is_silent_has_not_lost_what_it_does_not_show(
    cluster: Callable[..., Settings],
) -> None:
    settings = cluster(*SEAT)
    kubectl = Path(settings.bin_dir, "kubectl")
    kubectl.write_text("#!/bin/sh\necho 'the connection to the server was refused' >&2\nexit 1\n")
    assert states(settings, "ada") == {}
    (late,) = deliveries(settings.for_machine, [at_seat(learner("ada"))], [])["ada"]
    assert (late.why, late.said) == (Why.UNSEEN, Trouble.REFUSED.value)


def test_a_plan_asks_for_each_object_once(cluster: Callable[..., Settings]) -> None:
    settings = cluster(*SEAT)
    plan = plan_reset(settings, [at_seat(learner("ada"))], "done")
    assert "is gone: `sopslab up` makes it anew" in plan["ada"][0]
    calls = Path(settings.bin_dir, "kubectl.calls").read_text().splitlines()
    everywhere, inside = (line for line in calls if " get " in line)
    assert "kustomizations" in everywhere and "--all-namespaces" in everywhere
    assert "configmaps,pods" in inside and "--namespace ada-develop" in inside
    assert len(calls) == 3


def test_a_plan_asks_the_git_server_once(
    cluster: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Repository] = []
    monkeypatch.setattr(Repository, "refresh", lambda one: asked.append(one))
    plan_reset(cluster(*SEAT), [at_seat(learner("ada"))], "done")
    assert len(asked) == 1


def test_an_environment_that_cannot_be_cleared_fails_alone(
    cluster: Callable[..., Settings],
) -> None:
    settings = cluster(*SEAT)
    done = Applied(
        reset.namespaces,
        settings=settings,
        environments=[at_seat(learner(seat)) for seat in ("ada", "bob")],
    )
    assert done.changed and not done.failed
    (path,) = (Path(settings.class_dir) / "failed").iterdir()
    assert path.name == "bob"
    assert "no Kustomization tenant-bob: `sopslab up`" in path.read_text()
    again = Applied(reset.namespaces, settings=settings, environments=[at_seat(learner("bob"))])
    assert not again.changed


_PERSON = "a <a@example.org> 0 +0000"
COMMIT = f"tree {'0' * 40}\nauthor {_PERSON}\ncommitter {_PERSON}\n\nBegin\n"
HEAD = hashlib.sha1(f"commit {len(COMMIT)}\0{COMMIT}".encode()).hexdigest()
TRUE = [{"type": "Ready", "status": "True", "message": "fine"}]


def delivered(kind: str, place: str, api: str, **changes: Any) -> dict[str, Any]:
    status = {"observedGeneration": 3, "conditions": TRUE, "lastHandledReconcileAt": "now"}
    return thing(
        kind,
        place,
        api,
        {"spec": changes.pop("spec", {}), "status": {**status, **changes.pop("status", {})}},
        generation=3,
        **({"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}} | changes),
    )


def delivery(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a seat for which Flux has done everything, with changes to objects; None omits an
    object."""
    revision = f"main@sha1:{HEAD}"
    kinds: dict[str, tuple[str, str, str, dict[str, Any]]] = {
        "tenant": ("Kustomization", "flux-system/tenant-ada", "kustomize.toolkit.fluxcd.io/v1", {}),
        "source": (
            "GitRepository", "lab-ada-sys/lab", "source.toolkit.fluxcd.io/v1",
            {"artifact": {"revision": revision}},
        ),
        "own": (
            "Kustomization", "lab-ada-sys/secrets-develop", "kustomize.toolkit.fluxcd.io/v1",
            {"lastAppliedRevision": revision},
        ),
        "receiver": ("Receiver", "lab-ada-sys/lab", "notification.toolkit.fluxcd.io/v1", {}),
    }  # fmt: skip
    objects = [thing("Namespace", "ada-develop"), thing("Namespace", "lab-ada-sys")]
    for name, (kind, place, api, status) in kinds.items():
        change = changes.get(name, {})
        if change is not None:
            more = {**change, "status": {**status, **change.get("status", {})}}
            objects.append(delivered(kind, place, api, **more))
    return objects


BROKEN = [{"type": "Ready", "status": "False", "reason": "BuildFailed", "message": "no luck"}]
SECRETIVE = [
    {
        "type": "Ready",
        "status": "False",
        "message": 'Secret "x" is invalid: data[k]: Invalid value: "hunter-2"',
    }
]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "arrived"),
        ({"own": {"status": {"lastAppliedRevision": "x"}}}, f"Flux has not applied {HEAD[:7]} yet"),
        ({"source": {"status": {"artifact": None}}}, f"Flux has not read {HEAD[:7]} yet"),
        ({"own": {"spec": {"suspend": True}}}, "secrets-develop is suspended"),
        (
            {"tenant": {"status": {"conditions": BROKEN}}},
            "tenant-ada is not ready: the reason is not known here (BuildFailed)",
        ),
        (
            {"own": {"status": {"conditions": SECRETIVE}}},
            "secrets-develop is not ready: the API server refuses an object as invalid",
        ),
        ({"source": None}, "the GitRepository lab is not there"),
        ({"receiver": {"status": {"conditions": []}}}, "the Receiver lab is not ready: nothing"),
        ({"own": {"status": {"observedGeneration": 2}}}, "secrets-develop is being looked at"),
        (
            {"own": {"annotations": {"reconcile.fluxcd.io/requestedAt": "later"}}},
            "secrets-develop is being looked at",
        ),
    ],
)
def test_what_flux_has_not_done_yet_is_told(
    cluster: Callable[..., Settings], changes: dict[str, Any], said: str
) -> None:
    settings = cluster(*delivery(**changes))
    bare = Path(settings.git_dir) / "repositories/ada/lab.git"
    bare.mkdir(parents=True)
    git(bare, "init", "--quiet", "--bare")
    (bare / "commit").write_text(COMMIT)
    git(bare, "hash-object", "-w", "-t", "commit", "commit")
    git(bare, "update-ref", "refs/heads/main", HEAD)
    seat = at_seat(learner("ada"))
    found = deliveries(settings.for_machine, [seat], [])
    sentences = [one.said for one in found["ada"]] or ["arrived"]
    assert sentences[0].startswith(said)
    assert "hunter-2" not in "".join(sentences)
    missing = deliveries(settings.for_machine, [seat], ["backend"])
    if said == "arrived":
        assert [one.said for one in missing["ada"]] == ["the Secret backend is not in ada-develop"]
