"""The policy against real repositories: what is staged, what is pushed, what history holds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sopslab.policy.sources import Repository, SourceError
from tests.texts import write_program
from tests.unit.policy import policy_material
from tests.unit.policy.conftest import Repo

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  password: hunter2\n"
CLEAN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: b\n"
ZERO = "0" * 40


def encrypted(recipient: str = policy_material.RECIPIENT) -> str:
    value = policy_material.encrypted_value()
    block = policy_material.sops_block(recipient)
    return SECRET.replace("hunter2", value) + block + "\n"


def rules(recipient: str = policy_material.RECIPIENT) -> str:
    return f"creation_rules:\n- path_regex: flux/secrets/.*\n  age: {recipient}\n"


def findings(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    answer: dict[str, Any] = json.loads(done.stdout)
    return [(finding["path"], finding["rule"]) for finding in answer["findings"]]


def test_staged_secret_is_refused_though_the_work_tree_is_clean(repo: Repo) -> None:
    repo.write("a.yaml", SECRET)
    repo.git("add", "a.yaml")
    repo.write("a.yaml", CLEAN)
    done = repo.policy("pre-commit", "--json")
    assert done.returncode == 1
    assert findings(done) == [("a.yaml", "secret-plaintext")]


def test_secret_in_the_work_tree_only_is_not_looked_at(repo: Repo) -> None:
    repo.write("a.yaml", CLEAN)
    repo.git("add", "a.yaml")
    repo.write("a.yaml", SECRET)
    assert repo.policy("pre-commit").returncode == 0


def test_nothing_staged_is_clean_and_old_files_are_left_alone(repo: Repo) -> None:
    repo.commit("a.yaml", SECRET)
    repo.write("b.yaml", CLEAN)
    repo.git("add", "b.yaml")
    done = repo.policy("pre-commit", "--json")
    assert (done.returncode, json.loads(done.stdout)["checked"]) == (0, 1)


def test_renaming_into_the_secrets_tree_is_judged_anew(repo: Repo) -> None:
    repo.commit("notes", "hello\n")
    (repo.folder / "flux/secrets/develop").mkdir(parents=True)
    repo.git("mv", "notes", "flux/secrets/develop/notes")
    assert findings(repo.policy("pre-commit", "--json")) == [
        ("flux/secrets/develop/notes", "not-encrypted")
    ]


def test_deleting_a_secret_is_allowed(repo: Repo) -> None:
    repo.commit("a.yaml", SECRET)
    repo.git("rm", "-q", "a.yaml")
    assert repo.policy("pre-commit").returncode == 0


@pytest.mark.parametrize(
    "path", ["with space.yaml", "line\nbreak.yaml", "ümlaut.yaml", "-leading.yaml", 'a"b\\c.yaml']
)
@pytest.mark.parametrize("quote", ["true", "false"])
def test_odd_paths(repo: Repo, path: str, quote: str) -> None:
    repo.git("config", "core.quotePath", quote)
    repo.write(path, SECRET)
    repo.git("add", "--all")
    assert findings(repo.policy("pre-commit", "--json")) == [(path, "secret-plaintext")]
    text = repo.policy("pre-commit")
    assert text.returncode == 1
    assert path.replace("\n", "\\n") in text.stdout


@pytest.fixture
def old_git(tmp_path: Path) -> str:
    """A PATH whose git refuses `cat-file -z` as git 2.34, that of Ubuntu 22.04, does."""
    git = shutil.which("git")
    program = f"""#!/bin/sh
case " $* " in *" cat-file "*" -z "*) exit 129 ;; esac
exec {git} "$@"
"""
    write_program(tmp_path / "old" / "git", program)
    return f"{tmp_path}/old:{os.environ['PATH']}"


def test_an_old_git_lets_a_commit_through_and_shows_whose_rules_it_breaks(
    repo: Repo, old_git: str
) -> None:
    place = "flux/secrets/x\ny"
    repo.write("a.yaml", CLEAN)
    repo.git("add", "--all")
    clean = repo.policy("pre-commit", "--json", PATH=old_git)
    assert (clean.returncode, json.loads(clean.stdout)["checked"]) == (0, 1), clean.stdout
    repo.write(f"{place}/.sops.yaml", rules())
    repo.write(f"{place}/a.yaml", encrypted())
    repo.git("add", "--all")
    assert findings(repo.policy("pre-commit", "--json", PATH=old_git)) == [
        (f"{place}/a.yaml", "sops-no-rule")
    ]


NAMES = ("a", "a b", "a\nb", "a\r", "a\r\n", "x\ny/a", ":a", ":a\n", "x\ny/*")


def test_an_old_git_reads_files_of_any_name(
    repo: Repo, old_git: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        repo.write(name, f"{name!r}\n")
    commit = repo.commit("plain", "\n")
    monkeypatch.setenv("PATH", old_git)
    # From a folder below the top, paths count from the top as well.
    for git in (Repository(str(repo.folder)), Repository(str(repo.folder / "x\ny"))):
        for revision in ("", commit):
            for name in NAMES:
                assert git.read(revision, name) == f"{name!r}\n".encode()
            # What is not there, or is no file, is told so, and the next answer is that of the next.
            for name in ("a\n", "b\r", "plain\r", "pla\0in", "x\ny", "x\ny/?", "none"):
                assert git.read(revision, name) is None
                assert git.read(revision, "plain") == b"\n"
        found = {blob.path: blob.data for blob in git.tree(commit, most=(100, 1000))}
        assert found == {**{name: f"{name!r}\n".encode() for name in NAMES}, "plain": b"\n"}
        git.close()


def test_a_git_that_is_gone_is_no_answer(tmp_path: Path) -> None:
    nowhere = Repository(str(tmp_path))
    for _ in range(2):
        with pytest.raises(SourceError, match="ended early"):
            nowhere.read("", "a.yaml")
        assert nowhere._lookup is not None
        nowhere._lookup.wait()
    nowhere.close()


def test_path_that_is_no_utf8(repo: Repo) -> None:
    name = repo.folder / "caf\udce9.yaml"
    name.write_text(SECRET)
    repo.git("add", "--all")
    assert repo.policy("pre-commit").returncode == 1
    assert repo.policy("pre-commit", "--json").returncode == 1


def test_from_a_subdirectory_and_with_relative_diffs(repo: Repo) -> None:
    repo.git("config", "diff.relative", "true")
    repo.write("a.yaml", SECRET)
    repo.write("sub/keep", "")
    repo.git("add", "--all")
    assert repo.policy("pre-commit", below="sub").returncode == 1


def test_rules_are_those_of_the_index(repo: Repo) -> None:
    repo.write(".sops.yaml", rules())
    repo.write("flux/secrets/develop/a.yaml", encrypted())
    repo.git("add", "--all")
    repo.write(".sops.yaml", rules(policy_material.recipient()))
    assert repo.policy("pre-commit").returncode == 0
    repo.git("add", "--all")
    assert {rule for _, rule in findings(repo.policy("pre-commit", "--json"))} == {
        "sops-wrong-recipient",
        "sops-missing-recipient",
    }


def test_generator_reads_its_source_from_the_index(repo: Repo) -> None:
    repo.write("kustomization.yaml", "secretGenerator:\n- name: a\n  envs: [app.env]\n")
    source = repo.write("app.env", "LEVEL=debug\n")
    repo.git("add", "--all")
    source.unlink()
    assert findings(repo.policy("pre-commit", "--json")) == [
        ("kustomization.yaml", "generator-plaintext-source")
    ]


def test_push_past_the_commit_hook_is_refused_in_the_same_words(repo: Repo, server: Repo) -> None:
    repo.write("a.yaml", SECRET)
    repo.git("add", "a.yaml")
    local = repo.policy("pre-commit").stdout
    repo.git("commit", "-q", "--no-verify", "-m", "c")
    pushed = repo.git("push", "origin", "main", check=False)
    assert pushed.returncode != 0
    message = "stringData.password is in plain text [secret-plaintext]"
    assert message in local
    assert message in pushed.stderr
    assert "nothing is let through" in pushed.stderr
    assert "hunter2" not in pushed.stderr + local
    assert server.git("for-each-ref").stdout == ""


def test_secret_added_and_removed_in_one_push_is_refused(repo: Repo, server: Repo) -> None:
    repo.commit("b.yaml", CLEAN)
    repo.git("push", "-q", "origin", "main")
    bad = repo.commit("a.yaml", SECRET)
    repo.git("rm", "-q", "a.yaml")
    repo.git("commit", "-q", "-m", "fix")
    pushed = repo.git("push", "origin", "main", check=False)
    assert pushed.returncode != 0
    assert f"a.yaml:5 (commit {bad[:12]})" in pushed.stderr


def test_clean_pushes_branches_tags_and_deletions_pass(repo: Repo, server: Repo) -> None:
    repo.commit("a.yaml", CLEAN)
    repo.git("push", "-q", "origin", "main")
    repo.git("checkout", "-q", "-b", "topic")
    repo.commit("b.yaml", CLEAN + "  c: d\n")
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.git("push", "-q", "origin", "topic", "v1")
    repo.git("push", "-q", "origin", "--delete", "topic", "v1")
    assert server.git("for-each-ref", "--format=%(refname)").stdout.split() == ["refs/heads/main"]


def test_secret_on_a_new_branch_and_behind_a_tag_is_refused(repo: Repo, server: Repo) -> None:
    repo.commit("b.yaml", CLEAN)
    repo.git("push", "-q", "origin", "main")
    repo.git("checkout", "-q", "-b", "topic")
    repo.commit("a.yaml", SECRET)
    repo.git("tag", "-a", "v1", "-m", "one")
    assert repo.git("push", "origin", "topic", check=False).returncode != 0
    assert repo.git("push", "origin", "v1", check=False).returncode != 0


def test_secret_in_a_merge_and_in_a_blob_without_commit_is_refused(
    repo: Repo, server: Repo
) -> None:
    repo.commit("b.yaml", CLEAN)
    repo.git("push", "-q", "origin", "main")
    repo.git("checkout", "-q", "-b", "topic")
    repo.commit("c.yaml", CLEAN + "  c: d\n")
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "--no-commit", "topic")
    repo.write("a.yaml", SECRET)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "merge")
    assert repo.git("push", "origin", "main", check=False).returncode != 0
    oid = repo.git("rev-parse", "HEAD:a.yaml").stdout.strip()
    repo.git("update-ref", "refs/notes/x", oid)
    pushed = repo.git("push", "origin", "refs/notes/x", check=False)
    assert pushed.returncode != 0
    assert f"object {oid}" in pushed.stderr


def test_server_trusts_its_own_recipients_more_than_the_push(repo: Repo) -> None:
    ours, theirs = policy_material.RECIPIENT, policy_material.recipient()
    repo.write(".sops.yaml", rules(theirs))
    commit = repo.commit("flux/secrets/develop/a.yaml", encrypted(theirs))
    line = f"{ZERO} {commit} refs/heads/main\n"
    trusted = {"SOPSLAB_REQUIRED_RECIPIENTS": ours, "SOPSLAB_ALLOWED_RECIPIENTS": ours}
    repo.git("update-ref", "-d", "refs/heads/main")
    done = repo.policy("pre-receive", "--json", stdin=line, **trusted)
    assert {rule for _, rule in findings(done)} == {
        "sops-wrong-recipient",
        "sops-missing-recipient",
    }


def test_what_a_ref_replaces_is_judged_as_it_is(repo: Repo) -> None:
    commit = repo.commit("a.yaml", SECRET)
    repo.write("b.yaml", CLEAN)
    harmless = repo.git("hash-object", "-w", "b.yaml").stdout.strip()
    repo.git("replace", f"{commit}:a.yaml", harmless)
    assert repo.git("show", f"{commit}:a.yaml").stdout == CLEAN
    assert findings(repo.policy("history", "--json")) == [("a.yaml", "secret-plaintext")]
    repo.git("update-ref", "-d", "refs/heads/main")
    pushed = repo.policy("pre-receive", "--json", stdin=f"{ZERO} {commit} refs/heads/main\n")
    assert findings(pushed) == [("a.yaml", "secret-plaintext")]


def test_pre_receive_without_a_list_of_refs_cannot_decide(repo: Repo) -> None:
    done = repo.policy("pre-receive", stdin="rubbish\n")
    assert done.returncode == 2
    assert "could not decide" in done.stdout


def test_history_holds_what_was_removed_on_any_branch(repo: Repo) -> None:
    repo.commit("b.yaml", CLEAN)
    bad = repo.commit("a.yaml", SECRET)
    repo.git("rm", "-q", "a.yaml")
    repo.git("commit", "-q", "-m", "fix")
    assert repo.policy("check", ".").returncode == 0
    done = repo.policy("history", "--json")
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["path"], finding["commit"], finding["line"]) == ("a.yaml", bad, 5)


def test_history_goes_by_the_rules_of_its_time(repo: Repo) -> None:
    old, new = policy_material.RECIPIENT, policy_material.recipient()
    repo.write(".sops.yaml", rules(old))
    repo.commit("flux/secrets/develop/a.yaml", encrypted(old))
    repo.write(".sops.yaml", rules(new))
    repo.commit("flux/secrets/develop/a.yaml", encrypted(new))
    assert repo.policy("history", SOPSLAB_REQUIRED_RECIPIENTS=new).returncode == 0


def test_history_of_a_shallow_clone_cannot_be_decided(repo: Repo) -> None:
    repo.commit("a.yaml", CLEAN)
    repo.commit("b.yaml", CLEAN + "  c: d\n")
    shallow = repo.folder.parent / "shallow"
    repo.git("clone", "-q", "--depth=1", f"file://{repo.folder}", str(shallow))
    done = repo.policy("history", str(shallow))
    assert done.returncode == 2
    assert "shallow clone" in done.stdout


def test_the_repository_cannot_weaken_gitleaks(repo: Repo) -> None:
    token = policy_material.render("{{ github }}")
    repo.write("a.py", f'T = "{token}"  # gitleaks:allow\n')
    repo.write(".gitleaks.toml", "title = 'nothing'\n")
    repo.write(".gitleaksignore", "a.py:github-pat:1\n:github-pat:1\n")
    repo.git("add", "--all")
    done = repo.policy("pre-commit", "--json", GITLEAKS_CONFIG=".gitleaks.toml")
    assert findings(done) == [("a.py", "gitleaks:github-pat")]
    assert token not in done.stdout + done.stderr
