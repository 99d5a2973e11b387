"""What a push may bring and a repository may hold, tested on real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sopslab.gitserver import limits
from sopslab.gitserver.limits import Repository, Update, problem
from sopslab.layout import PROJECT
from sopslab.policy.sources import SourceError

ZERO, ONE = "0" * 40, "1" * 40
ENVIRONMENT = {
    "PATH": os.environ["PATH"], "HOME": "/nonexistent",
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
}  # fmt: skip
SERVERS = {**ENVIRONMENT, "GIT_CONFIG_SYSTEM": str(PROJECT / "templates/git/gitconfig")}
"""The environment of the server's git, and of a git that pushes to it."""


class Bare:
    """A repository, and pushes that are being judged, whose objects are in quarantine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = folder / "objects" / "tmp_objdir-incoming-x"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))

    def git(self, *arguments: str, given: str = "", push: bool = False) -> str:
        environment = self.environment if push else ENVIRONMENT
        return subprocess.run(
            ["git", *arguments], cwd=self.folder.parent if arguments[0] == "init" else self.folder,
            env=environment, input=given, check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a hook while git keeps the objects of a push in quarantine."""
        self.incoming.mkdir(exist_ok=True)
        return {
            **ENVIRONMENT,
            "GIT_DIR": str(self.folder),
            "GIT_QUARANTINE_PATH": str(self.incoming),
            "GIT_OBJECT_DIRECTORY": str(self.incoming),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.folder / "objects"),
        }

    def commit(self, text: str, message: str = "m", *, push: bool = True) -> str:
        """Make a commit of one file, among the objects of a push or of the repository."""
        blob = self.git("hash-object", "-w", "--stdin", given=text, push=push)
        tree = self.git("mktree", given=f"100644 blob {blob}\tfile\n", push=push)
        return self.git("commit-tree", tree, "-F", "-", given=message, push=push)

    def of_tree(self, *entries: str, push: bool = True) -> str:
        """Make a commit with these entries, each a mode, a kind, an object and a name."""
        given = "".join(f"{entry}\n" for entry in entries)
        tree = self.git("mktree", "--missing", given=given, push=push)
        return self.git("commit-tree", tree, "-m", "m", push=push)

    def file(self, text: str, name: str) -> str:
        """Return the entry of a new file."""
        blob = self.git("hash-object", "-w", "--stdin", given=text, push=True)
        return f"100644 blob {blob}\t{name}"

    def refusal(self, *asked: Update, brings: bool = True) -> str | None:
        environment = self.environment if brings else {**ENVIRONMENT, "GIT_DIR": str(self.folder)}
        return problem(Repository(self.folder, environment), asked)


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    return Bare(tmp_path / "lab.git")


def branch(new: str, name: str = "main", old: str = ZERO) -> Update:
    return Update(old, new, f"refs/heads/{name}")


def test_the_lines_that_git_gives_to_a_hook_are_read_as_they_are() -> None:
    given = f"{ZERO} {ONE} refs/heads/a\n{ONE} {ZERO} refs/tags/b c\n"
    made, gone = limits.updates(given)
    assert made == Update(ZERO, ONE, "refs/heads/a")
    assert (made.creates, made.deletes) == (True, False)
    assert gone == Update(ONE, ZERO, "refs/tags/b c")
    assert (gone.creates, gone.deletes) == (False, True)
    assert limits.updates("") == []
    for other in (f"{ZERO} {ONE}", f"{ZERO}\t{ONE}\trefs/heads/a"):
        with pytest.raises(SourceError, match=r"\w \w"):
            limits.updates(f"{given}{other}\n")


def test_an_ordinary_push_is_within_all_limits(bare: Bare) -> None:
    assert bare.refusal(branch(bare.commit("a"))) is None


@pytest.mark.parametrize(
    "ref",
    [
        f"refs/replace/{ONE}", "refs/notes/commits", "refs/lab/start", "refs/heads", "refs/stash",
        "refs/headsx/a", "HEAD", "refs/remotes/origin/main", "refs/meta/config",
    ],
)  # fmt: skip
def test_only_branches_and_tags_are_pushed(bare: Bare, ref: str) -> None:
    new = bare.commit("a")
    said = bare.refusal(branch(new), Update(ZERO, new, ref))
    assert said is not None and "only branches (refs/heads/…) and tags" in said
    assert bare.refusal(Update(ONE, ZERO, ref), brings=False) == said


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("/".join("a" * 10), True),
        ("/".join("a" * 11), False),
        ("a" * 200, True),
        ("a" * 201, False),
        ("ü" * 101, False),
    ],
    ids=["parts", "more parts", "bytes", "more bytes", "more bytes than letters"],
)
@pytest.mark.parametrize("kind", ["heads", "tags"])
def test_a_name_makes_no_folders_without_end(
    bare: Bare, kind: str, name: str, accepted: bool
) -> None:
    """A walk through a thousand nested folders once ended the look at all seats."""
    new = bare.commit("a")
    said = bare.refusal(Update(ZERO, new, f"refs/{kind}/{name}"))
    assert (said is None) == accepted
    assert said is None or "the name of a branch or tag has more than 200 bytes" in said
    # If it exists already, it can be deleted.
    assert bare.refusal(Update(new, ZERO, f"refs/{kind}/{name}"), brings=False) is None


@pytest.mark.parametrize(
    "name", ["x\u2028", "x\u2028y", "\x85", "\u202eniam", "a\u200bb", os.fsdecode(b"\xff")]
)
def test_a_name_can_be_seen_and_stays_in_its_line(bare: Bare, name: str) -> None:
    """Python ends lines at more characters than Git does."""
    new = bare.commit("a")
    said = bare.refusal(branch(new, name))
    assert said is not None and "the name of a branch or tag holds what cannot be seen" in said
    assert bare.refusal(branch(new, "übung")) is None
    assert bare.refusal(branch(ZERO, name, old=new), brings=False) is None


@pytest.mark.parametrize("kind", ["heads", "tags"])
def test_a_name_does_not_pass_for_another_ref(bare: Bare, kind: str) -> None:
    new = bare.commit("a", push=False)
    bare.git("update-ref", f"refs/{kind}/refs/lab/done", new)
    assert bare.git("rev-parse", "refs/lab/done") == new
    said = bare.refusal(Update(ZERO, new, f"refs/{kind}/refs/lab/wired"))
    assert said is not None and "begins with `refs/`" in said
    assert bare.refusal(Update(ZERO, new, f"refs/{kind}/refs")) is None
    assert bare.refusal(Update(new, ZERO, f"refs/{kind}/refs/lab/done"), brings=False) is None


def test_refs_are_counted_as_they_would_be_after_the_push(
    bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_REFS", 3)
    monkeypatch.setattr(limits, "MAX_UPDATES", 5)
    new = bare.commit("a", push=False)
    for name in ("heads/a", "heads/b"):
        bare.git("update-ref", f"refs/{name}", new)
    assert bare.refusal(branch(new, "c")) is None
    bare.git("update-ref", "refs/tags/c", new)
    said = bare.refusal(branch(new, "d"))
    assert said is not None and "more than 3 branches and tags" in said
    assert "git push origin --delete" in said
    assert bare.refusal(branch(new, "a", old=new)) is None
    assert bare.refusal(branch(new, "d"), branch(ZERO, "a", old=new)) is None
    # What git does not delete is still there: nothing, the branch of HEAD, and what is another.
    bare.git("update-ref", "refs/heads/main", new)
    bare.git("update-ref", "-d", "refs/heads/b")
    for gone in (("b", new), ("main", new), ("a", bare.commit("b", push=False))):
        said = bare.refusal(branch(new, "d"), branch(ZERO, gone[0], old=gone[1]))
        assert said is not None and "more than 3 branches and tags" in said
    assert bare.refusal(branch(ZERO, "a", old=new), branch(new, "a"), branch(new, "d")) is not None
    bare.git("update-ref", "-d", "refs/heads/main")
    bare.git("update-ref", "refs/heads/b", new)
    # A repository with too many refs may change them, or have fewer.
    monkeypatch.setattr(limits, "MAX_REFS", 2)
    assert bare.refusal(branch(new, "a", old=new)) is None
    assert bare.refusal(branch(new, "d"), branch(ZERO, "a", old=new)) is None
    assert bare.refusal(*(branch(new, "a", old=new) for _ in range(5))) is None
    said = bare.refusal(*(branch(new, str(number)) for number in range(6)))
    assert said is not None and "6 branches and tags in one push, and 5 are the limit" in said


def test_a_message_and_a_tag_have_a_size(bare: Bare) -> None:
    said = bare.refusal(branch(bare.commit("a", "m" * 70_000)))
    assert said == "refused: a commit's message of more than 64 KiB"


def test_a_tag_of_a_tag_is_looked_at_as_well(bare: Bare) -> None:
    tag = bare.commit("a")
    for size in (70_000, 1):
        kind = bare.git("cat-file", "-t", tag, push=True)
        text = f"object {tag}\ntype {kind}\ntag t\ntagger a <a@b> 1 +0000\n\n{'m' * size}\n"
        tag = bare.git("mktag", given=text, push=True)
    said = bare.refusal(Update(ZERO, tag, "refs/tags/t"))
    assert said == "refused: a tag of more than 64 KiB"


@pytest.mark.parametrize(
    ("limit", "measured", "said"),
    [
        ("MAX_BLOB", [":file"], "a file of more than 4 KiB"),
        ("MAX_FOLDER", ["^{tree}"], "a folder of more than"),
        ("MAX_MESSAGE", [""], "a commit's message of more than"),
        ("MAX_BROUGHT", [":file", "^{tree}", ""], "more than 5 KiB in a push"),
    ],
)
def test_the_objects_of_a_push_are_measured(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, limit: str, measured: list[str], said: str
) -> None:
    new = bare.commit("a" * 5000)
    size = sum(int(bare.git("cat-file", "-s", f"{new}{one}", push=True)) for one in measured)
    monkeypatch.setattr(limits, limit, size)
    assert bare.refusal(branch(new)) is None
    monkeypatch.setattr(limits, limit, size - 1)
    assert said in (bare.refusal(branch(new)) or "")


def test_the_objects_of_a_push_are_counted(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    new = bare.commit("a")
    monkeypatch.setattr(limits, "MAX_OBJECTS", 3)
    assert bare.refusal(branch(new)) is None
    monkeypatch.setattr(limits, "MAX_OBJECTS", 2)
    assert "more than 2 new files, folders and commits" in (bare.refusal(branch(new)) or "")


def test_what_completes_a_thin_pack_was_there_before_and_is_not_brought(
    bare: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = os.urandom(100_000).hex()
    old = bare.commit(noise, push=False)
    bare.git("update-ref", "refs/heads/main", old)
    local = Bare(tmp_path / "local.git")
    local.git("fetch", "--quiet", str(bare.folder), "main:main")
    tree = local.git("rev-parse", f"{local.commit(f'{noise}!', push=False)}^{{tree}}")
    new = local.git("commit-tree", tree, "-p", old, "-m", "m")
    sent = subprocess.run(
        ["git", "pack-objects", "--quiet", "--thin", "--stdout", "--revs"],
        cwd=local.folder, env=ENVIRONMENT, input=f"{new}\n^{old}\n".encode(),
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    subprocess.run(
        ["git", "index-pack", "--stdin", "--fix-thin"],
        cwd=bare.folder, env=bare.environment, input=sent, check=True, capture_output=True,
    )  # fmt: skip
    assert len(sent) < 10_000 < 100_000 < limits.folder_size(bare.incoming)
    size = sum(int(local.git("cat-file", "-s", f"{new}{one}")) for one in (":file", "^{tree}", ""))

    monkeypatch.setattr(limits, "MAX_BROUGHT", size)
    assert bare.refusal(branch(new, old=old)) is None
    monkeypatch.setattr(limits, "MAX_BROUGHT", size - 1)
    assert "in a push" in (bare.refusal(branch(new, old=old)) or "")


def test_a_git_that_cannot_say_what_was_there_before_refuses(
    bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = bare.commit("a")
    monkeypatch.setattr(limits, "MAX_OBJECTS", 2)
    monkeypatch.setattr(Repository, "before", property(lambda _: {**ENVIRONMENT, "GIT_DIR": "/"}))
    with pytest.raises(SourceError, match="git cat-file failed"):
        bare.refusal(branch(new))


@pytest.mark.parametrize("kind", ["blob", "tag"])
def test_what_leads_to_no_files_is_refused(bare: Bare, kind: str) -> None:
    target = bare.git("hash-object", "-w", "--stdin", given="a", push=True)
    if kind == "tag":
        text = f"object {target}\ntype blob\ntag t\ntagger a <a@b> 1 +0000\n\nm\n"
        target = bare.git("mktag", given=text, push=True)
    said = bare.refusal(Update(ZERO, target, "refs/tags/t"))
    assert said is not None and "leads to no files" in said


@pytest.mark.parametrize(
    ("limit", "least"),
    [("MAX_FILES", 4), ("MAX_FOLDERS", 2), ("MAX_TREE", 600), ("MAX_PATHS", 64)],
)
def test_what_flux_would_unpack_is_counted_and_measured(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, limit: str, least: int
) -> None:
    """What is in the name of a file makes no difference. Of a submodule, Flux would unpack only the
    folder."""
    first, second, third = bare.file("a" * 100, "a"), bare.file("b" * 200, "b  7\tc d"), "c 9 e f"
    folder = bare.git("mktree", given=f"{second}\n", push=True)
    outer = bare.git("mktree", given=f"040000 tree {folder}\tinner\n{first}\n", push=True)
    new = bare.of_tree(
        bare.file("c" * 300, third), f"040000 tree {outer}\touter 1", f"160000 commit {ONE}\tsub"
    )
    monkeypatch.setattr(limits, limit, least)
    assert bare.refusal(branch(new)) is None
    monkeypatch.setattr(limits, limit, least - 1)
    assert "a lab needs none of that" in (bare.refusal(branch(new)) or "")


def test_a_repository_has_a_size(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_REPOSITORY", 2 * 1024 * 1024)
    kept = bare.commit(os.urandom(1024 * 1024).hex(), push=False)
    bare.git("update-ref", "refs/heads/main", kept)
    new = bare.commit(os.urandom(1024 * 1024).hex())
    said = bare.refusal(branch(new, old=kept))
    assert said is not None
    assert "the repository would take" in said and "2 MiB is the limit" in said
    assert "`sopslab reset`" in said
    # A push that brings nothing is always accepted: it makes a repository smaller.
    assert bare.refusal(branch(ZERO, "a", old=kept), brings=False) is None
    monkeypatch.setattr(limits, "MAX_REPOSITORY", limits.folder_size(bare.folder / "objects"))
    assert bare.refusal(branch(new, old=kept)) is None


def test_a_repository_may_be_full_when_it_was_cleared(
    bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = bare.commit("a")
    sizes = iter((limits.MAX_REPOSITORY + 1, limits.MAX_REPOSITORY))
    monkeypatch.setattr(limits, "folder_size", lambda folder: next(sizes))
    assert "was cleared: push again" in (bare.refusal(branch(new)) or "")


def test_what_git_says_while_it_clears_is_shown_to_nobody(
    bare: Bare, capfd: pytest.CaptureFixture[str]
) -> None:
    """If git fails, the push is still refused in our words when the repository stays too large."""
    (bare.folder / "refs/heads/broken").write_text("no commit\n")
    limits.clear(Repository(bare.folder, ENVIRONMENT))
    assert capfd.readouterr() == ("", "")


def test_what_no_branch_holds_is_cleared_when_a_repository_is_full(
    bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_REPOSITORY", 2 * 1024 * 1024)
    # Git tells the hook where the objects of the push are; clearing must ignore these variables.
    for name, value in bare.environment.items():
        monkeypatch.setenv(name, value)
    lost = bare.commit(os.urandom(1024 * 1024).hex(), push=False)
    for file in (bare.folder / "objects").rglob("*"):
        os.utime(file, (1, 1))
    new = bare.commit(os.urandom(1024 * 1024).hex())
    assert "push again" in (bare.refusal(branch(new)) or "")
    assert bare.refusal(branch(new)) is None
    with pytest.raises(subprocess.CalledProcessError):
        bare.git("cat-file", "-e", lost)


def test_what_a_ref_replaces_does_not_count(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_FILES", 3)
    lines = "".join(
        f"100644 blob {bare.git('hash-object', '-w', '--stdin', given=str(number))}\t{number}\n"
        for number in range(5)
    )
    many = bare.git("commit-tree", bare.git("mktree", given=lines), "-m", "many")
    bare.git("update-ref", f"refs/replace/{many}", bare.commit("a", push=False))
    said = bare.refusal(branch(many))
    assert said is not None and "more than 3 files" in said


@pytest.mark.parametrize(("mebibytes", "accepted"), [(1, True), (17, False)])
def test_git_itself_refuses_a_pack_of_more_than_16_mebibytes(
    bare: Bare, tmp_path: Path, mebibytes: int, accepted: bool
) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(mebibytes * 1024 * 1024))
    local = Bare(tmp_path / "local.git")
    blob = local.git("hash-object", "-w", str(file))
    tree = local.git("mktree", given=f"100644 blob {blob}\tfile\n")
    commit = local.git("commit-tree", tree, "-m", "m")
    pushed = subprocess.run(
        ["git", "push", "--quiet", str(bare.folder), f"{commit}:refs/heads/main"],
        cwd=local.folder, capture_output=True, text=True, check=False,
        env=SERVERS,
    )  # fmt: skip
    assert (pushed.returncode == 0) == accepted, pushed.stderr
    assert ("exceeds maximum allowed size" in pushed.stderr) != accepted
    assert bare.git("for-each-ref", "--format=%(objectname)") == (commit if accepted else "")


def test_what_is_pushed_takes_no_more_on_disk_than_on_the_wire(bare: Bare, tmp_path: Path) -> None:
    """Of files that differ in one byte, all but one are a few bytes of a pack each."""
    local, noise = Bare(tmp_path / "local.git"), os.urandom(512 * 1024).hex()
    entries = []
    for number in range(20):
        blob = local.git("hash-object", "-w", "--stdin", given=f"{noise}{number}")
        entries.append(f"100644 blob {blob}\tfile-{number}\n")
    tree = local.git("mktree", given="".join(entries))
    commit = local.git("commit-tree", tree, "-m", "m")
    before = limits.folder_size(bare.folder / "objects")
    subprocess.run(
        ["git", "push", "--quiet", str(bare.folder), f"{commit}:refs/heads/main"],
        cwd=local.folder, env=SERVERS, check=True, capture_output=True,
    )  # fmt: skip

    assert bare.git("rev-parse", "main") == commit
    assert limits.folder_size(bare.folder / "objects") - before < 2 * 1024 * 1024


def test_small_changes_of_a_large_file_do_not_fill_a_repository(bare: Bare, tmp_path: Path) -> None:
    """Each push leaves a pack with the whole file that its change begins with."""
    local, noise = Bare(tmp_path / "local.git"), os.urandom(512 * 1024).hex()
    commit = ""
    for number in range(24):
        blob = local.git("hash-object", "-w", "--stdin", given=f"{noise}{number}")
        tree = local.git("mktree", given=f"100644 blob {blob}\tfile\n")
        parents = ["-p", commit] if commit else []
        commit = local.git("commit-tree", tree, *parents, "-m", "m")
        subprocess.run(
            ["git", "push", "--quiet", str(bare.folder), f"{commit}:refs/heads/main"],
            cwd=local.folder, env=SERVERS, check=True, capture_output=True,
        )  # fmt: skip

    assert bare.git("rev-parse", "main") == commit
    # Two hexadecimal digits take a byte in a pack.
    assert limits.folder_size(bare.folder / "objects") < 12 * 640 * 1024


def test_what_no_branch_holds_any_more_stays_packed(bare: Bare, tmp_path: Path) -> None:
    noise = os.urandom(512 * 1024).hex()
    for number in range(4):
        local = Bare(tmp_path / f"local-{number}.git")
        commit = local.commit(f"{noise}{number}", push=False)
        subprocess.run(
            ["git", "push", "--quiet", "--force", str(bare.folder), f"{commit}:refs/heads/main"],
            cwd=local.folder, env=SERVERS, check=True, capture_output=True,
        )  # fmt: skip
    limits.clear(Repository(bare.folder, SERVERS))

    assert bare.git("cat-file", "--batch-all-objects", "--batch-check").count("blob") == 4
    # A file for one object would be in a folder of two letters.
    assert not [one for one in (bare.folder / "objects").iterdir() if len(one.name) == 2]
