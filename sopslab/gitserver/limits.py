"""Limits of what a push may bring and a repository may hold, whatever the content."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sopslab.policy.sources import SourceError

MAX_FILES, MAX_FOLDERS, MAX_TREE, MAX_PATHS = 5000, 20_000, 32 * 1024 * 1024, 4 * 1024 * 1024
MAX_UPDATES, MAX_REFS = 100, 500
# Each part of a ref's name is a folder inside another one; our programs cannot walk through a
# thousand of these.
MAX_NAME, MAX_PARTS = 200, 10
MAX_REPOSITORY = 64 * 1024 * 1024
MAX_OBJECTS = 20_000
_MIB = 1024 * 1024
# A push that is small on the wire may be large to judge: a megabyte takes a third of a second.
MAX_BLOB, MAX_FOLDER, MAX_MESSAGE, MAX_BROUGHT = 5 * _MIB, 4 * _MIB, 64 * 1024, 8 * _MIB
_PUSHABLE = ("refs/heads/", "refs/tags/")
# A commit that is being made, on the host or by another push, may not have a ref yet.
_PRUNE = "--prune=10.minutes.ago"


@dataclass(frozen=True)
class Update:
    """One change of a ref that a push asks for."""

    old: str
    new: str
    ref: str

    @property
    def deletes(self) -> bool:
        """Whether the push deletes the ref."""
        return not self.new.strip("0")

    @property
    def creates(self) -> bool:
        """Whether the push creates the ref."""
        return not self.old.strip("0")


def updates(text: str) -> list[Update]:
    """Return the updates that git tells a pre-receive hook. Raises SourceError for other lines."""
    lines = [line.split(" ", 2) for line in text.split("\n") if line]
    if any(len(line) != 3 for line in lines):
        raise SourceError("the pre-receive hook was not given a list of refs")
    return [Update(*line) for line in lines]


@dataclass(frozen=True)
class Repository:
    """A bare repository and, while a push is judged, the objects that the push brings."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def quarantine(self) -> str | None:
        """Where the objects of the push are until it is accepted; None where it brings none."""
        return self.environment.get("GIT_QUARANTINE_PATH")

    @contextmanager
    def lines(self, *arguments: str, alone: bool = False) -> Iterator[Iterator[str]]:
        """Yield what git prints, line by line; git is killed at the end of the block.

        Raises SourceError if git has ended by then, and failed.

        + alone: whether git sees only the objects of the push
        """
        environment = {**self.environment, "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}
        if alone:
            environment.pop("GIT_ALTERNATE_OBJECT_DIRECTORIES", None)
            environment["GIT_OBJECT_DIRECTORY"] = str(self.quarantine)
        process = subprocess.Popen(
            ["git", "-C", str(self.folder), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
            errors="surrogateescape",
        )
        assert process.stdout is not None
        try:
            yield iter(process.stdout.readline, "")
            if process.poll() is None and not process.stdout.read(1):
                process.wait()
            if process.returncode:
                raise SourceError(f"git {arguments[0]} failed with exit code {process.returncode}")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    @property
    def before(self) -> dict[str, str]:
        """The environment in which git sees the repository as it was before the push."""
        of_push = (
            "GIT_OBJECT_DIRECTORY",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_QUARANTINE_PATH",
        )
        return {name: value for name, value in self.environment.items() if name not in of_push}

    def brought(self, most: int) -> list[tuple[str, str, int]]:
        """Return the objects that came with a push, at most so many: name, kind, bytes of each.

        Raises SourceError as `lines` does.
        """
        asked = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
        with self.lines(
            "cat-file", "--batch-all-objects", "--unordered", asked, alone=True
        ) as listed:
            found = map(str.split, itertools.islice(listed, most))
            return [(name, kind, int(size)) for name, kind, size in found]

    def had(self, names: Iterable[str]) -> set[str]:
        """Return those objects, of all that are named, that were there before the push.

        Raises SourceError if git fails.
        """
        done = subprocess.run(
            ["git", "-C", str(self.folder), "cat-file", "--buffer", "--batch-check=%(objectname)"],
            env=self.before,
            input="".join(f"{name}\n" for name in names),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SourceError(f"git cat-file failed with exit code {done.returncode}")
        # Of one that was not, git says so behind its name.
        return set(done.stdout.splitlines())


def problem(repository: Repository, asked: Sequence[Update]) -> str | None:
    """Return a sentence about the first limit that a push exceeds, None if it exceeds none.

    Raises SourceError if git fails.
    """
    return (
        wrong_refs(asked)
        or too_many_refs(repository, asked)
        or (too_much_brought(repository) if repository.quarantine else None)
        or (too_large(repository) if repository.quarantine else None)
        or too_large_trees(repository, asked)
    )


def wrong_refs(asked: Sequence[Update]) -> str | None:
    """Return what is wrong with the names or the number of a push's refs, None if nothing is."""
    if len(asked) > MAX_UPDATES:
        return (
            f"refused: {len(asked)} branches and tags in one push, and {MAX_UPDATES} are the limit."
            " Push fewer at a time"
        )
    if any(not update.ref.startswith(_PUSHABLE) for update in asked):
        return "refused: only branches (refs/heads/…) and tags (refs/tags/…) can be pushed here"
    names = [update.ref.split("/", 2)[2] for update in asked if not update.deletes]
    if not all(map(str.isprintable, names)):
        return (
            "refused: the name of a branch or tag holds what cannot be seen, or is no UTF-8. Choose"
            " letters, digits, `-` and `/`"
        )
    # Where there is no ref `refs/lab/x`, git takes the branch `refs/lab/x` for it.
    if any(name.startswith("refs/") for name in names):
        return (
            "refused: the name of a branch or tag begins with `refs/`, so that it could pass for"
            " another one. Choose another name"
        )
    if any(map(_too_long, names)):
        return (
            f"refused: the name of a branch or tag has more than {MAX_NAME} bytes, or more than"
            f" {MAX_PARTS} parts with `/` between them. Choose a shorter one"
        )
    return None


def _too_long(name: str) -> bool:
    return len(os.fsencode(name)) > MAX_NAME or name.count("/") >= MAX_PARTS


def too_many_refs(repository: Repository, asked: Sequence[Update]) -> str | None:
    """Return a refusal if the repository would have too many refs, else None."""
    if not any(update.creates for update in asked):
        return None
    with repository.lines(
        "for-each-ref", "--format=%(refname) %(objectname)%(HEAD)", "refs/heads", "refs/tags"
    ) as listed:
        there = dict(line.rstrip("\n").split(" ", 1) for line in listed)
    # git refuses to delete the branch of HEAD, which is marked with a star, and a ref that is
    # another by now; to delete one that is not there changes nothing.
    gone = {
        update.ref
        for update in asked
        if update.deletes and there.get(update.ref) == f"{update.old} "
    }
    after = there.keys() - gone | {update.ref for update in asked if not update.deletes}
    if len(after) <= max(MAX_REFS, len(there)):
        return None
    return (
        f"refused: the repository would have more than {MAX_REFS} branches and tags. Delete those"
        " that you do not need (`git push origin --delete NAME`), then push again"
    )


def too_much_brought(repository: Repository) -> str | None:
    """Return a refusal if one new object, or all together, exceed what a lab needs; else None.

    Git completes the pack of a push with the objects that its deltas begin with. These were there
    before, and are told apart only where all of them would be too much.
    """
    # There is one of them for each new object at most.
    brought = repository.brought(2 * MAX_OBJECTS + 1)
    excess = _too_much(brought)
    if excess is None or len(brought) > 2 * MAX_OBJECTS:
        return excess
    had = repository.had(name for name, _, _ in brought)
    return _too_much(one for one in brought if one[0] not in had)


def _too_much(brought: Iterable[tuple[str, str, int]]) -> str | None:
    most = {"blob": MAX_BLOB, "tree": MAX_FOLDER, "commit": MAX_MESSAGE, "tag": MAX_MESSAGE}
    what = {"blob": "a file", "tree": "a folder", "commit": "a commit's message", "tag": "a tag"}
    total = 0
    for number, (_, kind, size) in enumerate(brought, start=1):
        if size > most.get(kind, 0):
            return f"refused: {what.get(kind, kind)} of more than {_size(most.get(kind, 0))}"
        total += size
        if total > MAX_BROUGHT:
            return f"refused: more than {_size(MAX_BROUGHT)} in a push. Push less at a time"
        if number > MAX_OBJECTS:
            return f"refused: more than {MAX_OBJECTS} new files, folders and commits in a push"
    return None


def too_large(repository: Repository) -> str | None:
    """Return a sentence if the repository would be too large, else None.

    If it is, old objects that no ref holds are cleared first.
    """
    objects = repository.folder / "objects"
    if folder_size(objects) <= MAX_REPOSITORY:
        return None
    # The learner has to push again, because what was pushed may depend on what is cleared here.
    clear(repository)
    size = folder_size(objects)
    if size <= MAX_REPOSITORY:
        return "the repository was full. What no branch holds was cleared: push again"
    return (
        f"refused: the repository would take {_size(size)}, and {_size(MAX_REPOSITORY)} is the"
        " limit. Delete branches and tags that you do not need, and push again ten minutes later:"
        " what no branch or tag holds is cleared then. If main itself is too large, ask your"
        " instructor for `sopslab reset`"
    )


def clear(repository: Repository) -> None:
    """Pack the repository, and delete objects older than ten minutes that no ref holds."""
    subprocess.run(
        ["git", "-C", str(repository.folder), "gc", "--quiet", _PRUNE],
        env=repository.before, stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip


def folder_size(folder: Path) -> int:
    """Return how many bytes a folder's files have, without those that disappear meanwhile."""
    total = 0
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                        continue
                    with suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue
    return total


def too_large_trees(repository: Repository, asked: Iterable[Update]) -> str | None:
    """Return a refusal if the tree that a ref leads to is too large for Flux, else None.

    Flux unpacks any tree, for everybody in one container. A tree can be small on the wire and yet
    endless when it is listed, even if it has only folders.
    """
    for new in dict.fromkeys(update.new for update in asked if not update.deletes):
        try:
            with repository.lines("ls-tree", "-r", "-t", "--long", new) as listed:
                too_large = _is_too_large(listed)
        except SourceError:
            return f"refused: {new} leads to no files: push commits, and tags of commits"
        if too_large:
            return (
                f"refused: more than {MAX_FILES} files, more than {_size(MAX_TREE)} in all, or"
                f" more than {_size(MAX_PATHS)} of paths: a lab needs none of that"
            )
    return None


def _is_too_large(listed: Iterable[str]) -> bool:
    files = folders = size = paths = 0
    for line in listed:
        about, _, path = line.rstrip("\n").partition("\t")
        length = about.split()[3]
        paths += len(path)
        if line.startswith("040000"):
            folders += 1
        else:
            files += 1
            size += 0 if length == "-" else int(length)
        if files > MAX_FILES or folders > MAX_FOLDERS or size > MAX_TREE or paths > MAX_PATHS:
            return True
    return False


def _size(size: int) -> str:
    return f"{size / _MIB:.0f} MiB" if size >= _MIB else f"{size // 1024} KiB"
