"""The clone: judgements in a table, and looks at real repositories with real sops."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sopslab.checks.rules.table import Step
from sopslab.checks.snapshot import (
    NOT_OPENED,
    Branches,
    ClusterKey,
    Commit,
    Entry,
    History,
    Hooks,
    Identity,
    Manifest,
    Opened,
    Push,
    Relation,
    Rule,
    Tree,
)
from sopslab.config.settings import Settings
from sopslab.course.chapter import Chapter
from sopslab.incidents.records import Exposure, Incident
from sopslab.lab.observe import clone, keys, secret_files, trees
from sopslab.lab.tools import programs
from sopslab.lab.tools.programs import Answer
from sopslab.layout import TEMPLATES
from sopslab.model.incidents import Cause
from sopslab.model.results import Status, Undecided, Verdict
from sopslab.policy.findings import Finding, Report
from tests.texts import replaced, write_program
from tests.unit.doctor.doctor_material import Change, both, facets, healthy, main, manifest
from tests.unit.verification.verification_material import verdict

PATH = "flux/secrets/develop/backend-secrets.yaml"
FOLDER = "flux/secrets/develop"
HEAD, OTHER = "a" * 40, "b" * 40


def _file(one: Manifest | None, **changes: Any) -> Change:
    """Return a change of the exercise's file; with None, the file holds no Secret."""
    manifests = {} if one is None else {"backend-secrets.yaml": one}
    return main(manifests=manifests, **changes)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_file(None, files=frozenset({"lab-canary.yaml"})), "this is where the chapter begins"),
        (
            main(report=Report([Finding(PATH, 7, "sops-no-mac", "it has no MAC", "x")])),
            f"{PATH}: line 7: it has no MAC [sops-no-mac]",
        ),
        (_file(None), "is not one Secret of the name"),
        (_file(manifest("other")), "is not one Secret of the name backend-secrets"),
        (_file(manifest("backend-secrets", namespace="")), "does not name the namespace develop"),
        (_file(manifest("backend-secrets", namespace="x")), "the namespace develop is meant"),
        (_file(manifest("backend-secrets", opened=Opened.MAC)), "its MAC does not fit"),
        (_file(manifest("backend-secrets", opened=Opened.KEY)), "cannot be opened"),
        (_file(manifest("backend-secrets", opened=Opened.NO)), "cannot be decrypted"),
        (
            _file(manifest("backend-secrets", recipients=frozenset({"age1stranger"}))),
            "not encrypted to the environment's key",
        ),
        (_file(manifest("backend-secrets", misfits=["data.n"])), "the value of data.n is not one"),
        (_file(manifest("backend-secrets", keys=frozenset())), "holds no key at all"),
        (_file(manifest("backend-secrets", recipients=None)), "is not encrypted"),
    ],
)
def test_a_file_that_is_not_well_encrypted_leads_to_the_script(change: Change, found: str) -> None:
    told = verdict(Step.ENCRYPTED, change(healthy()))

    assert told.status is Status.FAILED
    assert found in told.found
    assert told.next_step.startswith("scripts/sops-encrypt-secret.sh develop backend-secrets")


@pytest.mark.parametrize(
    "change",
    [
        main(report=Report(undecided=["no gitleaks"])),
        _file(manifest("backend-secrets", opened=NOT_OPENED, digests={})),
    ],
)
def test_what_cannot_be_judged_is_not_ok(change: Change) -> None:
    assert verdict(Step.ENCRYPTED, change(healthy())).status is Status.UNKNOWN


def test_commands_start_in_the_clone(chapter: Chapter) -> None:
    away = Chapter("backend-secrets", "learner", "/work copy")

    assert away.encrypt == f"cd '/work copy' && {chapter.encrypt}"


@pytest.mark.parametrize(
    "text",
    [
        "resources:\n  - backend-secrets.yaml\n  - lab-canary.yaml\n",
        "resources: [lab-canary.yaml, ./backend-secrets.yaml]\n",
    ],
)
def test_a_listed_file_is_wired(text: str) -> None:
    assert verdict(Step.WIRED, main(kustomization=text)(healthy())).status is Status.OK


@pytest.mark.parametrize("once", [frozenset[str](), frozenset({"backend-secrets.yaml"})])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "is missing"),
        ("resources:\n  # - backend-secrets.yaml\n", "uncomment line 2"),
        ("resources:\n  - lab-canary.yaml\n", "add `- backend-secrets.yaml` under resources"),
        ("resources:\n", "add `- backend-secrets.yaml`"),
        ("- backend-secrets.yaml\n", "is not valid"),
        ("resources: [\n", "is not valid"),
        ("\t\n", "is not valid"),
    ],
)
def test_a_file_that_is_not_listed_is_not_wired(
    text: str | None, found: str, once: frozenset[str]
) -> None:
    told = verdict(Step.WIRED, main(kustomization=text, once_listed=once)(healthy()))

    assert told.status is Status.FAILED
    assert found in told.found
    assert told.next_step


@pytest.mark.parametrize(
    ("commit", "found", "next_step"),
    [
        (Commit(None), "nothing is committed yet", "git commit"),
        (Commit(HEAD, [PATH]), f"{PATH} is not committed", "git add"),
        (Commit(HEAD, ["flux/secrets/x.yaml"]), "flux/secrets/x.yaml", "git status"),
        (Commit(HEAD, [".sops.yaml"]), ".sops.yaml is not committed", "git status"),
        (Commit(HEAD, in_head=False), "it is ignored", "git add --force"),
        (Commit(HEAD, same=False), "it is ignored", "git add --force"),
    ],
)
def test_what_is_not_committed_is_named(commit: Commit, found: str, next_step: str) -> None:
    told = verdict(Step.COMMITTED, facets(commit=commit)(healthy()))

    assert told.status is Status.FAILED
    assert found in told.found
    assert next_step in told.next_step


@pytest.mark.parametrize(
    ("branches", "push", "status", "next_step"),
    [
        (Branches(HEAD), Push(), Status.OK, ""),
        (Undecided("silent", "sopslab up"), Push(), Status.UNKNOWN, "sopslab up"),
        (Branches(empty=True), Push(), Status.FAILED, "git push origin HEAD:main"),
        (Branches(), Push(), Status.FAILED, "git push origin HEAD:main"),
        (Branches(OTHER), Push("main", Relation.AHEAD), Status.FAILED, "git push"),
        (Branches(OTHER), Push("x", Relation.AHEAD), Status.FAILED, "git push origin HEAD:main"),
        (
            Branches(OTHER),
            Push("main", Relation.BEHIND),
            Status.FAILED,
            "git pull --rebase origin main",
        ),
        (
            Branches(OTHER),
            Push("main", Relation.DIVERGED),
            Status.FAILED,
            "git pull --rebase origin main && git push",
        ),
    ],
)
def test_pushed_is_what_the_server_has_as_main(
    branches: Branches | Undecided, push: Push, status: Status, next_step: str
) -> None:
    seen = both(main(commit=HEAD), facets(branches=branches, push=push))(healthy())
    told = verdict(Step.PUSHED, seen)

    assert (told.status, told.next_step) == (status, next_step)


LEAKED = Finding("a.yaml", 3, "secret-plaintext", "a is plain", "x", HEAD)
INCIDENT = Incident(
    "2026-11-25-leak",
    Cause.VALUE_EXPOSED,
    ("learner",),
    date(2026, 11, 25),
    exposures=(Exposure("learner/lab", HEAD, "a.yaml", ("a",), "secret-plaintext"),),
)


def judged(report: Report, *incidents: Incident) -> Verdict:
    history = History(report, "learner/lab", incidents)
    return verdict(Step.HISTORY, facets(history=history)(healthy()))


def test_a_finding_in_the_history_says_that_reverting_is_not_enough() -> None:
    told = judged(Report([LEAKED] * 2))

    assert told.status is Status.FAILED
    assert f"a.yaml, line 3 of commit {HEAD[:7]}" in told.found
    assert "(1 more)" in told.found
    assert "rotation-plan.md" in told.found
    assert told.next_step == "sopslab incident open leaked-value"
    assert judged(Report(undecided=["shallow"])).status is Status.UNKNOWN
    assert judged(Report(checked=3)).status is Status.OK


def test_a_finding_fails_until_the_incident_that_covers_it_is_closed() -> None:
    report = Report([LEAKED])
    told = judged(report, INCIDENT)

    assert told.status is Status.FAILED
    assert told.found.startswith("the incident 2026-11-25-leak is open: ")
    assert told.next_step == "sopslab incident close 2026-11-25-leak"
    told = judged(report, replace(INCIDENT, closed=date(2026, 11, 26)))
    assert told.status is Status.OK
    assert "2026-11-25-leak (closed on 2026-11-26)" in told.found


def test_one_finding_that_no_incident_covers_is_enough_to_fail() -> None:
    closed = replace(INCIDENT, closed=date(2026, 11, 26))
    told = judged(Report([LEAKED, replace(LEAKED, path="b.yaml")]), closed)

    assert told.status is Status.FAILED
    assert told.found.startswith("b.yaml, line 3")
    assert "more)" not in told.found


@pytest.mark.parametrize(
    ("hooks", "found"),
    [
        (Hooks("/x", runs_pre_commit=False, install="pre-commit install"), "no commit is checked"),
        (Hooks("/x", configured=False), "is missing or cannot be read"),
        (Hooks("/x", missing=["no-secrets"]), "does not have the hook no-secrets"),
    ],
)
def test_hooks_that_would_not_check_are_named(hooks: Hooks, found: str) -> None:
    told = verdict(Step.HOOKS, facets(hooks=hooks)(healthy()))

    assert told.status is Status.FAILED
    assert found in told.found
    assert told.next_step


@dataclass
class Desk:
    """A learner's desk: a lab without a cluster, keys, and a clone."""

    lab: Settings
    work: Path
    own: str
    chapter: Chapter

    def git(self, *arguments: str) -> str:
        """Run Git in the clone."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.work, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def encrypt(self, manifest: dict[str, object], recipients: str = "") -> str:
        """Encrypt a manifest, write it, and return its text."""
        sops = Path(self.lab.bin_dir) / "sops"
        done = subprocess.run(
            [
                str(sops), "--config", "/dev/null", "encrypt",
                "--age", recipients or self.own, "--encrypted-regex", "^(data|stringData)$",
                "--input-type", "json", "--output-type", "yaml", "/dev/stdin",
            ],
            input=json.dumps(manifest),
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        (self.work / PATH).write_text(done.stdout)
        return done.stdout

    def look(self) -> Tree:
        """Return the clone as a look sees it."""
        with ThreadPoolExecutor(2) as executor:
            opener = trees.Opener(self.lab, "learner", executor)
            return trees.look_at_clone(self.lab, self.work, None, self.chapter, opener)

    def file(self) -> Manifest:
        """Return the exercise's file as a look sees it."""
        return self.look().manifests["backend-secrets.yaml"]

    def verdict(self) -> Verdict:
        """Look at the file and judge it."""
        seen = replace(healthy(), tree=self.look(), identity=Identity(self.own))
        return verdict(Step.ENCRYPTED, replace(seen, instructor=Identity(self.own)))


def _manifest(**values: object) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "backend-secrets", "namespace": "develop"},
        "stringData": values,
    }


@pytest.fixture
def desk(
    lab: Callable[..., Settings],
    tools: Callable[..., Path],
    chapter: Chapter,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    for name in list(os.environ):
        if name.startswith(("GIT_", "SOPS_")):
            monkeypatch.delenv(name)
    made = lab()
    folder = tools("sops", "age-keygen", "gitleaks")
    monkeypatch.setenv("SOPSLAB_GITLEAKS", str(folder / "gitleaks"))
    key = keys.key_file(made, "learner")
    key.parent.mkdir(parents=True)
    subprocess.run([str(folder / "age-keygen"), "-o", str(key)], check=True, capture_output=True)
    own = keys.look_at_identity(made, "learner", keys.PublicKeys(made)).recipient or ""
    work = Path(made.work_dir)
    (work / PATH).parent.mkdir(parents=True)
    (work / ".sops.yaml").write_text(
        "creation_rules:\n  - path_regex: ^flux/secrets/develop/\n"
        f"    encrypted_regex: ^(data|stringData)$\n    age: [{own}]\n"
    )
    made_desk = Desk(made, work, own, chapter)
    made_desk.git("-c", "init.defaultBranch=main", "init", "--quiet")
    made_desk.git("config", "user.name", "Ada")
    made_desk.git("config", "user.email", "ada@example.org")
    yield made_desk


def test_a_good_file_is_opened_and_hashed(desk: Desk) -> None:
    desk.encrypt(_manifest(a="one", b=""))

    assert desk.verdict().status is Status.OK
    live = {"a": base64.b64encode(b"one").decode(), "b": ""}
    assert desk.file().digests == secret_files.digest_live(live)


def test_an_edited_file_fails_by_its_mac_whatever_the_user_has_set(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = desk.encrypt(_manifest(a="one"))
    edited = replaced(text, "name: backend", "annotations: {x: y}\n    name: backend")
    assert edited != text
    (desk.work / PATH).write_text(edited)
    monkeypatch.setenv("SOPS_AGE_KEY", "nonsense")
    monkeypatch.setenv("SOPS_DECRYPT_IGNORE_MAC", "1")

    assert desk.file().opened is Opened.MAC


def test_a_file_for_somebody_else_and_a_plain_one_are_findings(desk: Desk) -> None:
    stranger = subprocess.run(
        "age-keygen 2>/dev/null | age-keygen -y",
        shell=True,
        env={"PATH": f"{desk.lab.bin_dir}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    desk.encrypt(_manifest(a="one"), stranger)
    assert {finding.rule for finding in desk.look().report.findings} == {
        "sops-wrong-recipient",
        "sops-missing-recipient",
    }
    (desk.work / PATH).write_text(json.dumps(_manifest(a="in plain sight")))
    told = desk.verdict()
    assert told.status is Status.FAILED
    assert "in plain sight" not in told.found


def test_a_number_is_no_value_of_a_secret(desk: Desk) -> None:
    desk.encrypt(_manifest(a=7))

    assert desk.file().misfits == ("stringData.a",)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True),
        st.text(st.characters(min_codepoint=48, max_codepoint=0x2FFF), min_size=6).map(
            lambda text: f"~{text}~"
        ),
        min_size=1,
        max_size=3,
    ),
    break_it=st.booleans(),
)
def test_no_value_is_in_anything_that_is_said(
    values: dict[str, str], break_it: bool, desk: Desk
) -> None:
    text = desk.encrypt(_manifest(**values))
    if break_it:
        (desk.work / PATH).write_text(replaced(text, "name: backend-secrets", "name: backend"))
    file = desk.file()
    said = f"{file!r}{desk.verdict()!r}"

    assert file.opened is (Opened.MAC if break_it else Opened.YES)
    for value in values.values():
        assert value not in said
        assert base64.b64encode(value.encode()).decode() not in said


@given(
    plain=st.dictionaries(st.text(min_size=1), st.binary()),
    strings=st.dictionaries(st.text(min_size=1), st.text(st.characters(exclude_categories=["Cs"]))),
)
def test_the_file_and_the_cluster_hash_alike(
    plain: dict[str, bytes], strings: dict[str, str]
) -> None:
    written = {key: base64.b64encode(value).decode() for key, value in plain.items()}
    stored = written | {
        key: base64.b64encode(value.encode()).decode() for key, value in strings.items()
    }
    digests, misfits = secret_files.digest_manifest({"data": written, "stringData": strings})

    assert (digests, misfits) == (secret_files.digest_live(stored), [])


@pytest.mark.parametrize(
    ("manifest", "misfits"),
    [
        ({"data": {"a": "not base64"}}, ["data.a"]),
        ({"data": {"a": 7}}, ["data.a"]),
        ({"data": {"a": "YQ==\n"}}, []),
        ({"data": {"a": None}}, []),
        ({"stringData": ["a"]}, ["stringData"]),
        ({"data": {"a b c": 1}}, ["data.…"]),
    ],
)
def test_what_kubernetes_would_refuse_is_named_by_its_key(
    manifest: dict[str, object], misfits: list[str]
) -> None:
    assert secret_files.digest_manifest(manifest)[1] == misfits


def test_what_is_committed_is_what_git_has_whatever_it_shows(desk: Desk) -> None:
    assert clone.look_at_commit(desk.work, desk.chapter) == Commit(None)
    desk.encrypt(_manifest(a="one"))
    (desk.work / ".gitignore").write_text("backend-secrets.yaml\n")
    desk.git("add", ".sops.yaml", ".gitignore")
    desk.git("commit", "--quiet", "-m", "begin")
    assert not clone.look_at_commit(desk.work, desk.chapter).in_head
    desk.git("add", "--force", PATH)
    assert clone.look_at_commit(desk.work, desk.chapter).changes == (PATH,)
    desk.git("commit", "--quiet", "-m", "add")
    head = desk.git("rev-parse", "HEAD")
    assert clone.look_at_commit(desk.work, desk.chapter) == Commit(head)
    desk.git("update-index", "--assume-unchanged", PATH)
    desk.encrypt(_manifest(a="two"))
    assert clone.look_at_commit(desk.work, desk.chapter) == Commit(head, same=False)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8418/learner/lab.git", "http://learner@127.0.0.1:8418/learner/lab"]
)
def test_a_clone_of_the_learners_repository_is_what_is_looked_at(
    url: str, desk: Desk, tmp_path: Path
) -> None:
    copy = tmp_path / "clone"
    (copy / "below").mkdir(parents=True)
    assert clone.find_work(desk.lab, copy) == desk.work
    subprocess.run(["git", "init", "--quiet", str(copy)], check=True)
    assert clone.find_work(desk.lab, copy) == desk.work
    subprocess.run(["git", "-C", str(copy), "remote", "add", "origin", url], check=True)
    assert clone.find_work(desk.lab, copy / "below") == copy


def test_without_a_clone_nothing_is_decided(lab: Callable[..., Settings], tmp_path: Path) -> None:
    with pytest.raises(Undecided, match="there is no clone"):
        clone.find_work(lab(), tmp_path)


def test_hooks_are_looked_for_where_git_looks(desk: Desk, tmp_path: Path) -> None:
    shutil.copy(TEMPLATES / "learner" / ".pre-commit-config.yaml", desk.work)
    hook = desk.work / ".git" / "hooks" / "pre-commit"
    write_program(hook, "#!/bin/sh\nexec pre-commit run\n")
    assert clone.look_at_hooks(desk.lab, desk.work) == Hooks(str(hook))
    desk.git("config", "core.hooksPath", str(tmp_path))
    found = clone.look_at_hooks(desk.lab, desk.work)
    assert (found.path, found.runs_pre_commit) == (str(tmp_path / "pre-commit"), False)
    # What it says to type has Git look where the lab installs its hook.
    subprocess.run(found.install, shell=True, check=True)
    assert clone.look_at_hooks(desk.lab, desk.work).runs_pre_commit


# Installs as pre-commit does: not while Git is told where the hooks are, and beside a hook that is
# there.
PRE_COMMIT = """#!/bin/sh
set -eu
[ "$*" = install ]
if git config core.hooksPath; then
    echo 'Cowardly refusing to install hooks with `core.hooksPath` set.' >&2
    exit 1
fi
hook=$(git rev-parse --git-common-dir)/hooks/pre-commit
if [ -e "$hook" ]; then mv "$hook" "$hook.legacy"; fi
printf '#!/bin/sh\\nexec pre-commit hook-impl\\n' >"$hook"
chmod +x "$hook"
"""


@pytest.mark.parametrize("own", [None, "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexec pre-commit run\n"])
@pytest.mark.parametrize("where", ["clone", "clone, twice", "user", "clone and user", "here"])
def test_one_command_has_git_run_the_hook_wherever_git_is_told_to_look(
    where: str, own: str | None, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = write_program(tmp_path / "stand-ins" / "pre-commit", PRE_COMMIT)
    monkeypatch.setenv("PATH", str(stand_in.parent), prepend=":")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    hooks = desk.work / ".git" / "hooks"
    if own is not None:
        write_program(hooks / "pre-commit", own)
    told = hooks if where == "here" else tmp_path / "elsewhere"
    if "user" in where:
        desk.git("config", "--global", "core.hooksPath", str(told))
    if where != "user":
        desk.git("config", "core.hooksPath", str(told))
    if "twice" in where:
        desk.git("config", "--add", "core.hooksPath", str(told))
    found = clone.look_at_hooks(desk.lab, desk.work)
    if where == "here" and own != "#!/bin/sh\nexit 0\n":
        # Git looks where the lab installs its hook: it is there, or `up` brings it.
        assert found.install == ("sopslab up" if own is None else "")
        return
    assert not found.runs_pre_commit

    subprocess.run(found.install, shell=True, check=True)

    assert clone.look_at_hooks(desk.lab, desk.work).runs_pre_commit
    if own == "#!/bin/sh\nexit 0\n":
        assert (hooks / "pre-commit.legacy").read_text() == own
    if "user" in where:
        assert desk.git("config", "--global", "core.hooksPath") == str(told)


@pytest.mark.parametrize(
    ("text", "mode", "install"),
    [
        (None, 0, "sopslab up"),
        ("#!/bin/sh\n# Installed by sops-lab.\nexec pre-commit run\n", 0o644, "sopslab up"),
        ("#!/bin/sh\n# Installed by sops-lab.\n", 0o755, "sopslab up"),
        ("#!/bin/sh\n# exec pre-commit run\nexit 0\n", 0o755, "pre-commit install"),
        ("#!/bin/sh\nexec pre-commit run\n", 0o644, "pre-commit install"),
    ],
)
def test_a_hook_of_the_learners_own_is_not_for_up_to_install(
    desk: Desk, text: str | None, mode: int, install: str
) -> None:
    if text is not None:
        write_program(desk.work / ".git/hooks/pre-commit", text).chmod(mode)
    found = clone.look_at_hooks(desk.lab, desk.work)
    assert not found.runs_pre_commit
    assert found.install.removeprefix(f"cd {desk.work} && ") == install


def test_a_hook_that_was_changed_counts_as_missing(desk: Desk) -> None:
    config = desk.work / ".pre-commit-config.yaml"
    given_text = (TEMPLATES / "learner" / config.name).read_text()
    for text, missing in (
        (given_text, []),
        (
            replaced(given_text, "entry: sopslab validate", "entry: true"),
            ["flux-kustomize-validate"],
        ),
        (replaced(given_text, "id: no-secrets", "id: other"), ["no-secrets"]),
    ):
        config.write_text(text)
        assert clone.look_at_hooks(desk.lab, desk.work).missing == tuple(missing)
    for text in ("repos: 7\n", 'x: "\\U99999999"\n', "x: 2020-99-99\n", "[" * 5000):
        config.write_text(text)
        assert not clone.look_at_hooks(desk.lab, desk.work).configured


def test_an_identity_that_cannot_be_used_says_why(desk: Desk) -> None:
    path = keys.key_file(desk.lab, "learner")
    text = path.read_text()

    def problem() -> str:
        public = keys.PublicKeys(desk.lab)
        return keys.look_at_identity(desk.lab, "learner", public).problem

    assert problem() == ""
    path.chmod(0o644)
    assert "can be read by others" in problem()
    path.chmod(0o600)
    path.write_text(text.rstrip()[:-1] + "\n")
    assert "does not hold one valid age identity" in problem()
    path.write_text(text)
    path.with_suffix(".pub").write_text("age1before\n")
    assert "but it was age1before" in problem()
    path.rename(path.with_suffix(".moved"))
    assert "is not there" in problem()
    path.symlink_to(path.with_suffix(".moved"))
    assert "is a symbolic link" in problem()


def test_entries_of_the_clusters_key_are_told_apart(desk: Desk) -> None:
    own = keys.key_file(desk.lab, "learner").read_bytes()
    data = {
        "age.agekey": base64.b64encode(own).decode(),
        "empty.agekey": "",
        "bad.agekey": base64.b64encode(b"AGE-SECRET-KEY-1XXXX").decode(),
    }

    public = keys.PublicKeys(desk.lab)

    assert keys.look_at_cluster_key(None, public) == ClusterKey(False)
    assert keys.look_at_cluster_key(data, public) == ClusterKey(
        True,
        {
            "age.agekey": frozenset({desk.own}),
            "empty.agekey": Entry.EMPTY,
            "bad.agekey": Entry.INVALID,
        },
    )


def test_the_keys_of_many_files_are_asked_for_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    def count(*arguments: Any, **more: Any) -> Answer:
        asked.append(more["stdin"])
        return programs.ask(*arguments, **more)

    keygen = str(Path(desk.lab.bin_dir) / "age-keygen")
    files = [
        subprocess.run([keygen], check=True, capture_output=True).stdout.rstrip() for _ in range(3)
    ]
    alone = [keys.PublicKeys(desk.lab)(file) for file in files]
    monkeypatch.setattr(keys, "ask", count)
    public = keys.PublicKeys(desk.lab)
    public.learn([*files, b""])
    both = files[0] + b"\n" + files[1]

    assert [public(file) for file in files] == alone
    assert len(asked) == 1
    assert public(both) == alone[0] | alone[1]
    mixed = keys.PublicKeys(desk.lab)
    mixed.learn([files[0], b"AGE-SECRET-KEY-1XXXX"])
    assert [mixed(files[0]), mixed(b"AGE-SECRET-KEY-1XXXX")] == [alone[0], frozenset()]


def test_the_rule_that_matches_is_what_sops_would_take(desk: Desk) -> None:
    assert desk.look().rule == Rule(True, frozenset({desk.own}))
    config = desk.work / ".sops.yaml"
    config.write_text(replaced(config.read_text(), "develop", "production"))
    assert desk.look().rule == Rule(True, None)
    config.write_text("{")
    assert desk.look().unruled
    config.unlink()
    assert desk.look().rule == Rule(False)


def test_what_git_ignores_in_a_clone_is_not_judged_but_the_file_of_the_exercise(desk: Desk) -> None:
    desk.encrypt(_manifest(a="one"))
    (desk.work / FOLDER / "scratch.dec.yaml").write_text(json.dumps(_manifest(a="in plain sight")))
    assert set(desk.look().manifests) == {"backend-secrets.yaml", "scratch.dec.yaml"}
    (desk.work / ".gitignore").write_text("*.yaml\n")
    assert set(desk.look().manifests) == {"backend-secrets.yaml"}


def test_no_more_files_of_a_clone_are_read_than_are_looked_at(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        (desk.work / FOLDER / f"{number}.md").write_text("x")
    read: list[str] = []
    does = Path.open

    def noting(path: Path, *given: Any, **more: Any) -> Any:
        read.append(path.suffix)
        return does(path, *given, **more)

    monkeypatch.setattr(Path, "open", noting)
    with pytest.raises(Undecided, match="more than 100 files"):
        desk.look()
    # The creation rules count, too.
    assert read.count(".md") == 100


def test_a_link_in_a_clone_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(json.dumps(_manifest(a="in plain sight")))
    (desk.work / PATH).symlink_to(tmp_path / "outside.yaml")
    found = desk.look()
    assert "backend-secrets.yaml" in found.files and found.manifests == {}
