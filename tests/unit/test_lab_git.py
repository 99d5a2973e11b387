"""Git as the lab's program asks it, on real repositories."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.environment import at_seat
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.incidents.rotation.orders import Change, NewVersion, Order
from sopslab.incidents.rotation.plan import Version
from sopslab.lab.act.reencryption import reencrypt
from sopslab.lab.observe import encrypted
from sopslab.lab.observe.encrypted import encrypted_versions, made_file, past_versions
from sopslab.lab.tools.git import MAIN, Git
from tests.repositories import git, learner

ADA = at_seat(learner("ada"))
ENCRYPTED = b"a: ENC[AES256_GCM,data:x]\n"


@pytest.fixture
def repository(lab: Callable[..., Settings]) -> tuple[Settings, Git, str]:
    """A bare repository, and its first commit, which has no files."""
    settings = lab()
    bare = Path(settings.git_dir, "repositories/ada/lab.git")
    bare.mkdir(parents=True)
    git(bare, "init", "--quiet", "--bare")
    tree = git(bare, "mktree", "--missing")
    return settings, Git(settings, bare), git(bare, "commit-tree", "-m", "Begin", tree)


def test_files_are_read_by_their_names_however_odd_those_are(
    repository: tuple[Settings, Git, str],
) -> None:
    _, bare, start = repository
    files = {'"quoted" ü.yaml': b"one\n", "a\nb": b"missing\n\n2 blob 3\n", "folder/c d": b""}
    commit = bare.commit_files(start, "Odd", files)
    tree = bare.tree(commit)
    assert set(tree) == set(files)
    blobs = bare.blobs(entry.blob for entry in tree.values())
    assert {path: blobs[entry.blob] for path, entry in tree.items()} == files
    named = [f'{commit}:"quoted" ü.yaml', f"{commit}:no such", f"{commit}:folder", "0" * 40]
    assert list(bare.blobs(named).values()) == [b"one\n"]
    assert bare.blobs([]) == {}


def test_a_branch_passes_for_no_ref_that_is_missing(repository: tuple[Settings, Git, str]) -> None:
    _, bare, start = repository
    for ref in (MAIN, "refs/lab/start"):
        git(bare.folder, "update-ref", f"refs/heads/{ref}", start)
        assert (bare.ref(ref), bare.commit(ref)) == (None, None)
        git(bare.folder, "update-ref", ref, start)
        assert (bare.ref(ref), bare.commit(ref)) == (start, start)


def test_a_file_keeps_its_mode_where_that_is_said(repository: tuple[Settings, Git, str]) -> None:
    _, bare, start = repository
    commit = bare.durable().commit_files(
        start, "Modes", {"a": b"", "b": b""}, modes={"a": "100755"}
    )
    assert {path: entry.mode for path, entry in bare.tree(commit).items()} == {
        "a": "100755", "b": "100644",
    }  # fmt: skip


def test_what_is_encrypted_in_a_commit_is_found_with_its_rules(
    repository: tuple[Settings, Git, str],
) -> None:
    settings, bare, start = repository
    files = {".sops.yaml": b"rules\n", "flux/a.yaml": b"\xef\xbb\xbf" + ENCRYPTED, "plain": b"x"}
    one = bare.commit_files(start, "One", files)
    two = bare.commit_files(one, "Two", {"flux/a.yaml": b"gone\n"})
    found = encrypted_versions(settings.for_machine, [ADA], {"ada": [one, two, "0" * 40]}, None)
    assert set(found) == {"ada"} and set(found["ada"]) == {one, two}
    version = found["ada"][one]
    assert dict(version.files) == {"flux/a.yaml": bare.tree(one)["flux/a.yaml"].blob}
    assert list(version.texts.values()) == [ENCRYPTED.decode()]
    assert (version.rules, version.noted, version.odd) == ("rules\n", False, False)
    assert not found["ada"][two].files


def test_what_a_rotation_made_is_known_by_its_own_record_alone(
    repository: tuple[Settings, Git, str],
) -> None:
    settings, bare, start = repository
    here = settings.for_machine
    forged = bare.commit_files(start, "A\n\nSops-lab-incident: lost", {"a.yaml": ENCRYPTED})
    made = bare.commit_files(forged, "B", {"a.yaml": ENCRYPTED + b"b: new\n"})
    again = bare.commit_files(made, "C", {"a.yaml": ENCRYPTED + b"b: newer\n"})
    later = bare.commit_files(again, "D", {"a.yaml": ENCRYPTED + b"c: of the learner\n"})
    replaced = ENCRYPTED, ENCRYPTED + b"b: new\n"
    reverted = [bare.commit_files(later, "E", {"a.yaml": text}) for text in replaced]
    commits = [forged, made, again, later, *reverted]

    def noted() -> list[bool]:
        found = encrypted_versions(here, [ADA], {"ada": commits}, "lost")["ada"]
        return [found[commit].noted for commit in commits]

    assert noted() == [False] * 6
    record = made_file(here, "lost", "ada")
    record.parent.mkdir(parents=True)
    # One that was never in the repository, and two that came to be on main.
    record.write_text(f"{'0' * 40}\n{made}\n{again}\n")
    assert noted() == [False, True, True, True, False, False]


def test_a_record_of_commits_that_cannot_be_read_is_not_taken_for_none(
    repository: tuple[Settings, Git, str],
) -> None:
    settings, _, start = repository
    record = made_file(settings, "lost", "ada")
    record.mkdir(parents=True)
    with pytest.raises(LabError, match="ada cannot be read"):
        encrypted_versions(settings.for_machine, [ADA], {"ada": [start]}, "lost")


def test_commits_are_on_record_on_the_disk_before_main_has_them(
    repository: tuple[Settings, Git, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, bare, start = repository
    bare.update_refs(f"create {MAIN} {start}")
    Path(settings.class_dir).mkdir(parents=True, exist_ok=True)
    flush, flushed = os.fsync, []

    def noticed(descriptor: int) -> None:
        flushed.append((Path(f"/proc/self/fd/{descriptor}").readlink(), bare.commit(MAIN)))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noticed)
    change = Change(None, None, ADA.key, ADA.key)
    order = Order(ADA, change, start=None, main=NewVersion(start, rules=False, files=()))
    reencrypt(settings.for_machine, "Replace", [order], "lost")
    record = made_file(settings, "lost", "ada")
    parts = (record.with_name(".ada.new"), record.parent, record.parent.parent)
    assert flushed == [(part, start) for part in parts]
    assert bare.commit(MAIN) != start
    assert record.read_text() == f"{bare.commit(MAIN)}\n"
    assert record.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("limit", ["MOST_FILES", "MOST_BYTES"])
def test_a_commit_of_more_files_than_are_read_says_so(
    repository: tuple[Settings, Git, str], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    settings, bare, start = repository
    commit = bare.commit_files(start, "Two", {"a.yaml": ENCRYPTED, "b.yaml": ENCRYPTED + b"b: 1\n"})
    size = 2 if limit == "MOST_FILES" else 2 * len(ENCRYPTED) + 5

    def version(most: int) -> Version:
        monkeypatch.setattr(encrypted, limit, most)
        found = encrypted_versions(settings.for_machine, [ADA], {"ada": [commit]}, None)
        return found["ada"][commit]

    assert not version(size).large and len(version(size).files) == 2
    blobs = {path: entry.blob for path, entry in bare.tree(commit).items()}
    assert version(size - 1) == Version(commit, blobs, large=True)


@pytest.mark.parametrize("name", ["a\nb.yaml", "a\x1b[1m.yaml", "a\udce4.yaml"])
def test_an_encrypted_file_of_an_odd_name_is_left_alone_and_said(
    repository: tuple[Settings, Git, str], name: str
) -> None:
    settings, bare, start = repository
    entry = b"100644 blob " + bare.run("hash-object", "-w", "--stdin", stdin=ENCRYPTED).strip()
    tree = bare.text("mktree", "-z", stdin=entry + b"\t" + name.encode(errors="surrogateescape"))
    commit = bare.commit_tree(tree, [start], "Odd")
    (version,) = encrypted_versions(settings.for_machine, [ADA], {"ada": [commit]}, None)[
        "ada"
    ].values()
    assert version.odd and not version.files and not version.texts


BLOCK = b"\nsops: {mac: b}\n"


@pytest.mark.parametrize(
    "content",
    [
        rb'a: "\x45NC[AES256_GCM,data:x]"' + BLOCK,
        rb'{"a": "EN\u0043[AES256_GCM,data:x]", "sops": {"mac": "b"}}',
        rb'a: "ENC[AES256_GC\U0000004d,data:x]"' + BLOCK,
        b'a: "ENC[AES\\\n  256_GCM,data:x]"' + BLOCK,
        b'a: "ENC\\\r\n  [AES256_GCM,data:x]"' + BLOCK,
        'a: "ENC[\\\u2028AES256_GCM,data:x]"'.encode() + BLOCK,
        b"a: !!binary RU5DW0FFUzI1Nl9HQ00=" + BLOCK,
        b"a: !<tag:yaml.org,2002:binary> RU5DW0FFUzI1Nl9HQ00=" + BLOCK,
        b"%TAG !e! tag:yaml.org,2002:\n---\na: !e!binary RU5DW0FFUzI1Nl9HQ00=" + BLOCK,
        b"a: !!bin%61ry RU5DW0FFUzI1Nl9HQ00=" + BLOCK,
        "a: ENC[AES256_GCM,data:x]\nsops: {mac: b}\n".encode("utf-16"),
        b"#\0\n" + ENCRYPTED,
    ],
)
def test_an_encrypted_file_is_found_however_it_is_written(
    repository: tuple[Settings, Git, str], content: bytes
) -> None:
    settings, bare, start = repository
    others = {"notes": rb"print '\x45'" + b" and \\\n more", "page": b"<!doctype html>!!x%"}
    commit = bare.commit_files(start, "Other", {**others, "a.yaml": content})
    found = encrypted_versions(settings.for_machine, [ADA], {"ada": [commit]}, None)
    version = found["ada"][commit]
    assert set(version.files) == {"a.yaml"}
    assert not version.odd and not version.large


def test_a_link_to_something_encrypted_is_no_encrypted_file(
    repository: tuple[Settings, Git, str],
) -> None:
    settings, bare, start = repository
    commit = bare.commit_files(start, "Link", {"link": ENCRYPTED}, modes={"link": "120000"})
    (version,) = encrypted_versions(settings.for_machine, [ADA], {"ada": [commit]}, None)[
        "ada"
    ].values()
    assert not version.files and not version.odd


def test_what_a_file_held_before_is_found_each_content_once(
    repository: tuple[Settings, Git, str],
) -> None:
    settings, bare, commit = repository
    for content in (b"one", b"two", b"one", b"three"):
        commit = bare.commit_files(commit, "Change", {"a": content})
    last = bare.commit_files(commit, "After", {"a": b"four"})
    found = past_versions(settings.for_machine, [ADA], {"ada": commit}, {"ada": ["a", "b"]})
    past = found["ada"]
    assert sorted(past["a"]) == ["one", "three", "two"] and past["b"] == []
    assert bare.blob(last, "a") == b"four"


def test_the_past_of_files_is_read_as_far_as_its_limits(
    repository: tuple[Settings, Git, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, bare, commit = repository
    for content in (b"one", b"two", b"three"):
        commit = bare.commit_files(commit, "Change", {"a": content, "b": content})

    def past() -> dict[str, list[str]]:
        here, paths = settings.for_machine, {"ada": ["a", "b"]}
        found = past_versions(here, [ADA], {"ada": commit}, paths)["ada"]
        return {path: sorted(texts) for path, texts in found.items()}

    assert past() == {path: ["one", "three", "two"] for path in "ab"}
    monkeypatch.setattr(encrypted, "_PAST_OF_ALL", 3)
    assert past() == {path: ["three"] for path in "ab"}
    monkeypatch.undo()
    newest = {"a": ["three", "two"], "b": ["three", "two"]}
    for most, texts in {
        22: {path: ["one", "three", "two"] for path in "ab"},
        21: {"a": ["one", "three", "two"], "b": ["three", "two"]},
        18: newest,
        16: newest,
        15: {"a": ["three", "two"], "b": ["three"]},
        # The newest version of each file is tried in any case.
        9: {path: ["three"] for path in "ab"},
    }.items():
        monkeypatch.setattr(encrypted, "_PAST_BYTES", most)
        assert past() == texts, most


def test_of_a_file_that_was_away_the_newest_version_is_read(
    repository: tuple[Settings, Git, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, bare, start = repository
    held = bare.commit_files(start, "Had", {"a": b"one"})
    gone = bare.commit_tree(bare.text("rev-parse", f"{start}^{{tree}}"), [held], "Gone")
    monkeypatch.setattr(encrypted, "_PAST_BYTES", 0)
    found = past_versions(settings.for_machine, [ADA], {"ada": gone}, {"ada": ["a"]})
    assert found == {"ada": {"a": ["one"]}}


@pytest.mark.parametrize("name", [":(x).yaml", "[ab].yaml", "*.yaml"])
def test_the_name_of_a_file_is_no_pattern(repository: tuple[Settings, Git, str], name: str) -> None:
    settings, bare, commit = repository
    for content in (b"one", b"two"):
        commit = bare.commit_files(commit, "Change", {name: content, "a.yaml": b"of " + content})
    commit = bare.commit_files(commit, "Change", {"a.yaml": b"another"})
    found = past_versions(settings.for_machine, [ADA], {"ada": commit}, {"ada": [name]})
    past = found["ada"]
    assert sorted(past[name]) == ["one", "two"]
