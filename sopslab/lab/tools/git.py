"""Git, without the user's configuration. No learner's tree is checked out here: a file that is
written into a work tree goes where the links in the tree lead, with the rights of the process that
writes."""

from __future__ import annotations

import copy
import os
import shlex
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sopslab.config.places import Places
from sopslab.errors import LabError
from sopslab.lab.tools.programs import Answer, ask, lab_environment, run
from sopslab.lab.tools.waiting import wait_until
from sopslab.layout import LAB_EMAIL

MAIN = "refs/heads/main"
# How `update-ref` names a ref that is not there.
NOTHING = "0" * 40
# No transaction of Git takes this many seconds: a lock that lasts longer was left by a killed git.
_LOCK_S = 5
_LINK, _SUBMODULE = b"120000", b"160000"
_ORDINARY = "100644"
# With the helper `store` itself, git would remove a login from the file when a server refuses it.
_ONLY_GET = '!only_get() { [ "$2" != get ] || git credential-store --file="$1" get; }; only_get'


@dataclass(frozen=True)
class Author:
    """Who a commit is by."""

    name: str
    email: str


SOPS_LAB = Author("sops-lab", LAB_EMAIL)


@dataclass(frozen=True)
class Entry:
    """A file of a tree: its mode, and the name of its blob."""

    mode: str
    blob: str


def login_helper(login: str) -> str:
    """Return a credential helper with which git logs in with the accounts in a file and never
    changes the file."""
    return f"{_ONLY_GET} {shlex.quote(login)}"


def login_options(login: str) -> dict[str, str]:
    """Return the environment variables with which git logs in with the accounts in a file and no
    others, past any proxy."""
    return {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_0": "http.proxy",
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": "credential.helper",
        "GIT_CONFIG_VALUE_1": "",
        "GIT_CONFIG_KEY_2": "credential.helper",
        "GIT_CONFIG_VALUE_2": login_helper(login),
    }


def list_remote(places: Places, url: str, login: str, *refs: str) -> bytes:
    """Return the refs of a repository that a server lists; it lists them for users who may read the
    repository. Raises Failed.

    + login: the file with the account for the server, in a folder that is in no repository
    + refs: the refs to list; without any, all of them
    """
    environment = lab_environment(places) | login_options(login)
    command = ["git", "ls-remote", "--quiet", url, *refs]
    return run(command, environment, folder=Path(login).parent, patience=20)


def clone(
    places: Places, url: str, folder: str | Path, login: str, settings: Mapping[str, str]
) -> Git:
    """Return a new clone of a repository on a server. Raises Failed.

    + login: the file with the accounts for the server
    + settings: what is configured for the clone
    """
    options = [option for pair in settings.items() for option in ("--config", "=".join(pair))]
    run(
        ["git", "clone", "--quiet", *options, url, str(folder)],
        lab_environment(places) | login_options(login),
    )
    return Git(places, folder, work=True, login=login)


class Git:
    """A bare repository, or, with `work`, the repository of a work tree."""

    def __init__(
        self,
        places: Places,
        folder: str | Path,
        *,
        work: bool = False,
        login: str | None = None,
        objects: Path | None = None,
    ) -> None:
        """
        + folder: the repository
        + work: whether it is the folder of a work tree
        + login: the file with the accounts for a server, if git asks one
        + objects: the folder with another repository's objects, which this one lacks; they are only
          read
        """
        self.folder = Path(folder)
        self._command = ["git", f"--git-dir={folder}"]
        if work:
            # No program of a learner is run: neither their hooks nor one that watches their files.
            no_programs = ["-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false"]
            self._command = ["git", "-C", str(folder), *no_programs]
        self._environment = lab_environment(places) | (login_options(login) if login else {})
        if objects is not None:
            self._environment |= {
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects),
                "GIT_OPTIONAL_LOCKS": "0",
            }

    def durable(self) -> Git:
        """Return the repository with a git that writes everything through to the disk, so that it
        outlives a loss of power."""
        durable = copy.copy(self)
        durable._command = [*self._command, "-c", "core.fsync=all"]
        return durable

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        patience: float = 60,
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return what git prints. Raises Failed."""
        together = self._environment | dict(environment or {})
        return run([*self._command, *arguments], together, stdin=stdin, patience=patience)

    def text(
        self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> str:
        """Return what git prints as text, without the newline at the end. Raises Failed."""
        return os.fsdecode(self.run(*arguments, stdin=stdin, environment=environment)).rstrip("\n")

    def ask(self, *arguments: str) -> Answer:
        """Return what git answers, whatever its exit code. Raises Undecided."""
        return ask([*self._command, *arguments], self._environment)

    def is_there(self) -> bool:
        """Whether git takes the folder for a repository."""
        return self.ask("rev-parse", "--git-dir").code == 0

    def ref(self, name: str) -> str | None:
        """Return what a ref points at, None if it is not there.

        + name: the whole name, such as `refs/heads/main`
        """
        # `rev-parse` would take the branch `refs/lab/x`, which a learner may push to another Git
        # server, for a missing ref of that name.
        return self._told("show-ref", "--verify", "--hash", name)

    def commit(self, name: str) -> str | None:
        """Return the commit that a name stands for, None if there is none."""
        if name.startswith("refs/"):
            return self.ref(name)
        return self._told("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")

    def _told(self, *arguments: str) -> str | None:
        answer = self.ask(*arguments)
        return answer.text if answer.code == 0 and answer.text else None

    @property
    def branch(self) -> str | None:
        """The branch that HEAD is on, as a ref; None where it is on none."""
        answer = self.ask("symbolic-ref", "--quiet", "HEAD")
        return answer.text if answer.code == 0 else None

    def blob(self, commit: str, path: str) -> bytes | None:
        """Return a file of a commit, None if there is none."""
        answer = self.ask("cat-file", "blob", f"{commit}:{path}")
        return answer.out if answer.code == 0 else None

    def tree(self, commit: str, *paths: str) -> dict[str, Entry]:
        """Return the files of a commit by their paths, links and submodules too. Raises Failed.

        + paths: folders to look into; without any, all
        """
        listed = self.run("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths)
        found = {}
        for line in filter(None, listed.split(b"\0")):
            about, _, path = line.partition(b"\t")
            mode, _, blob = about.decode("ascii").split()
            found[os.fsdecode(path)] = Entry(mode, blob)
        return found

    def blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of blobs, each by its id, in one process. A name that stands for no
        blob is left out. Raises Failed.

        + names: ids, or paths in commits as `commit:path`, without line breaks
        """
        asked = "".join(f"{name}\n" for name in dict.fromkeys(names))
        if not asked:
            return {}
        return dict(_blobs(self.run("cat-file", "--batch", stdin=os.fsencode(asked))))

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Return how many bytes objects have, by the names asked for, in one process. A name that
        stands for none is left out. Raises Failed.

        + names: ids, or paths in commits as `commit:path`, without line breaks
        """
        asked = list(dict.fromkeys(names))
        if not asked:
            return {}
        stdin = os.fsencode("".join(f"{name}\n" for name in asked))
        said = self.text("cat-file", "--batch-check=%(objectsize)", stdin=stdin).split("\n")
        return {name: int(line) for name, line in zip(asked, said, strict=True) if line.isdigit()}

    def files(self, commit: str, folder: str) -> dict[str, bytes]:
        """Return the files of a commit below a folder, by their paths. Raises Failed."""
        entries = self.tree(commit, folder)
        held = self.blobs(entry.blob for entry in entries.values())
        return {path: held[entry.blob] for path, entry in entries.items() if entry.blob in held}

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether a commit is in the history of another, or is the same commit."""
        return self.ask("merge-base", "--is-ancestor", older, newer).code == 0

    def count(self, commit: str | None, but: str) -> int:
        """Return how many commits are in the history of `commit` but not in that of `but`; 0 if
        `commit` is None."""
        return 0 if commit is None else int(self.text("rev-list", "--count", commit, f"^{but}"))

    def refs_with(self, commit: str, *below: str) -> dict[str, str]:
        """Return the refs that have a commit in their history, and what each of them points at.
        Raises Failed.

        + below: the prefixes of these refs, such as `refs/heads`
        """
        listed = self.text(
            "for-each-ref", "--format=%(refname) %(objectname)", "--contains", commit, *below
        )
        return dict(line.split(" ") for line in listed.split("\n") if line)

    def refuse_links(self, commit: str, *paths: str) -> None:
        """Raise LabError if one of the paths in a commit is a link or a submodule, or leads through
        one. A path that is not there is neither."""
        for path in paths:
            parts = path.split("/")
            for end in range(1, len(parts) + 1):
                way = "/".join(parts[:end])
                listed = self.run("ls-tree", "--full-tree", commit, "--", way)
                if listed.startswith((_LINK, _SUBMODULE)):
                    raise LabError(
                        f"{way} on main is not a file or folder but leads elsewhere: `sopslab"
                        " reset` takes it away"
                    )

    def commit_files(
        self,
        parent: str,
        message: str,
        files: Mapping[str, bytes],
        author: Author = SOPS_LAB,
        *,
        modes: Mapping[str, str] | None = None,
    ) -> str:
        """Make a commit on top of another, in which files are as given, and return it. Raises
        Failed.

        + modes: the modes of files that are not ordinary ones
        """
        modes = modes or {}
        with tempfile.TemporaryDirectory(prefix="sops-lab-index-") as folder:
            index = {"GIT_INDEX_FILE": f"{folder}/index"}
            self.run("read-tree", parent, environment=index)
            entries = [
                f"{modes.get(path, _ORDINARY)} {self._written(content)}\t{path}"
                for path, content in files.items()
            ]
            self.run(
                "update-index", "--add", "-z", "--index-info",
                stdin="".join(f"{entry}\0" for entry in entries).encode(), environment=index,
            )  # fmt: skip
            tree = self.text("write-tree", environment=index)
        return self.commit_tree(tree, [parent], message, author)

    def _written(self, content: bytes) -> str:
        return self.text("hash-object", "-w", "--stdin", stdin=content)

    def commit_tree(
        self, tree: str, parents: Iterable[str], message: str, author: Author = SOPS_LAB
    ) -> str:
        """Make a commit of a tree, and return it. Raises Failed."""
        options = [option for parent in parents for option in ("-p", parent)]
        by = {
            "GIT_AUTHOR_NAME": author.name,
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_COMMITTER_NAME": author.name,
            "GIT_COMMITTER_EMAIL": author.email,
        }
        return self.text("commit-tree", *options, "-m", message, tree, environment=by)

    def update_refs(self, *lines: str) -> None:
        """Change refs as lines for `update-ref --stdin` say: all of them or none, and only if each
        ref is still what its line expects. Raises Failed."""
        if lines:
            self.run("update-ref", "--stdin", stdin="".join(f"{line}\n" for line in lines).encode())

    def unlock(self, refs: Iterable[str]) -> None:
        """Remove the locks that a killed git has left in a bare repository: they do not go by
        themselves, and would keep refs from being changed for ever."""
        _take_away(self.folder / "packed-refs.new")
        for name in ("HEAD", "packed-refs", *refs):
            _take_away(self.folder / f"{name}.lock")

    def push(self, url: str, *refspecs: str, lease: str | None = None) -> None:
        """Push to a server. Raises Failed.

        + lease: a ref, and the commit that it has to be at on the server, as `ref:commit`
        """
        options = [f"--force-with-lease={lease}"] if lease is not None else []
        self.run("push", "--quiet", *options, url, *refspecs)


def _take_away(lock: Path) -> None:
    wait_until(lambda: not lock.exists(), _LOCK_S, pause=0.2)
    lock.unlink(missing_ok=True)


def _blobs(answer: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the blobs in an answer of `git cat-file --batch`."""
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        header = answer[at:end]
        at = end + 1
        if header.endswith((b" missing", b" ambiguous")):
            continue
        name, kind, size = header.decode("ascii").split()
        if kind == "blob":
            yield name, answer[at : at + int(size)]
        at += int(size) + 1
