"""The learner's clone, examined with Git: where it is, what is committed and pushed, and whether
the commit hooks are installed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from sopslab.checks.rules.machine import HOOK_CONFIG
from sopslab.checks.snapshot import Branches, Commit, History, Hooks, Push, Relation
from sopslab.course.chapter import UP, Chapter
from sopslab.errors import LabError
from sopslab.lab.observe.incidents import read_incidents
from sopslab.lab.observe.learners_clone import commit_hook, hook_of
from sopslab.lab.tools.git import MAIN, login_options
from sopslab.lab.tools.programs import Answer, ask, git_environment
from sopslab.layout import SECRETS, TEMPLATES
from sopslab.model.repositories import CommitHook
from sopslab.model.results import Undecided
from sopslab.model.yaml_loader import LOADER
from sopslab.policy import callers
from sopslab.policy.recipients import CONFIG

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

# Has Git take the configuration of the clone alone.
_CLONE_ONLY = "GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null"


def find_work(settings: Settings, folder: Path) -> Path:
    """Return the clone of the learner's repository that contains `folder`, else the clone in the
    lab's folder.

    Raises Undecided if there is neither.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top.code == 0:
        origin = _git(folder, "config", "--get", "remote.origin.url")
        ours = f"{settings.git_base_url}/{settings.learner_repository}"
        if origin.code == 0 and _plain(origin.text) == _plain(ours):
            return Path(top.text)
    work = Path(settings.work_dir)
    if not (work / ".git").exists():
        raise Undecided(f"there is no clone at {work}", UP)
    return work


def _plain(url: str) -> tuple[str, str]:
    """Return host and path of a URL in a form that can be compared."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2], parts.path.rstrip("/").removesuffix(".git")


def _git(work: Path, *arguments: str) -> Answer:
    return ask(["git", "-C", str(work), *arguments], git_environment())


def _asked(work: Path, *arguments: str) -> Answer:
    """Return what git says. Raises Undecided if it fails."""
    answer = _git(work, *arguments)
    if answer.code:
        raise Undecided(f"git {arguments[0]} failed in {work} with exit code {answer.code}")
    return answer


def read_text(file: Path) -> str | None:
    """Return the text of a file, None if it is not there. Raises Undecided if it cannot be read."""
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise Undecided(f"{file} cannot be read: {error.strerror}") from None


def look_at_commit(work: Path, chapter: Chapter) -> Commit:
    """Return whether the secrets of the clone are committed. Raises Undecided if this cannot be
    read."""
    head = _git(work, "rev-parse", "--quiet", "--verify", "HEAD^{commit}")
    if head.code:
        return Commit(None)
    status = _asked(
        work, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames",
        "--", SECRETS, CONFIG,
    )  # fmt: skip
    changes = tuple(record[3:] for record in os.fsdecode(status.out).split("\0") if record)
    blob = _git(work, "cat-file", "blob", f"HEAD:{chapter.file}")
    if blob.code:
        return Commit(head.text, changes, in_head=False)
    try:
        here = (work / chapter.file).read_bytes()
    except OSError as error:
        raise Undecided(f"{chapter.file} cannot be read: {error.strerror}") from None
    return Commit(head.text, changes, same=_lines(here) == _lines(blob.out))


def _lines(data: bytes) -> bytes:
    """Return the content of a file with the line ends that Git stores."""
    return data.replace(b"\r\n", b"\n")


def look_at_branches(settings: Settings, work: Path) -> Branches:
    """Return the branches on the Git server, read with the learner's login. Raises Undecided if the
    server does not answer."""
    trust = ["-c", f"http.sslCAInfo={settings.git_ca}"] if settings.git_ca else []
    answer = ask(
        [
            "git", *trust, "ls-remote", "--quiet", "--heads",
            f"{settings.git_base_url}/{settings.learner_repository}.git",
        ],
        git_environment() | login_options(settings.login_file(settings.learner.id)),
        folder=work,
        patience=10,
    )  # fmt: skip
    if answer.code:
        raise Undecided("the Git server could not be asked for its branch main", UP)
    heads = {
        name: commit
        for commit, _, name in (line.partition("\t") for line in answer.text.splitlines())
    }
    return Branches(heads.get(MAIN), not heads)


def look_at_push(work: Path, head: str | None, main: str | None) -> Push:
    """Return how HEAD compares with the branch main on the Git server.

    + main: the commit of that branch, None if it does not exist
    """
    branch = _git(work, "symbolic-ref", "--quiet", "--short", "HEAD").text
    if head is None or main is None or main == head:
        return Push(branch)
    if _git(work, "merge-base", "--is-ancestor", main, head).code == 0:
        return Push(branch, Relation.AHEAD)
    # If main was never fetched, only the Git server knows whether it builds on HEAD.
    known = _git(work, "cat-file", "-e", f"{main}^{{commit}}").code == 0
    pushed = _git(work, "merge-base", "--is-ancestor", head, main if known else "origin/main")
    return Push(branch, Relation.BEHIND if pushed.code == 0 else Relation.DIVERGED)


def look_at_history(settings: Settings, work: Path) -> History:
    """Return what the policy finds in the whole history and, if it finds anything, the incidents on
    record.

    Raises Undecided if there are findings, but the records cannot be read.
    """
    report = callers.history(str(work))
    if not report.findings:
        return History(report)
    try:
        incidents = read_incidents(settings)
    except LabError as error:
        raise Undecided(
            f"the history holds a secret in plain text or a key, and the records cannot be read:"
            f" {str(error).splitlines()[0]}"
        ) from None
    return History(report, settings.learner_repository, tuple(incidents.values()))


def look_at_hooks(settings: Settings, work: Path) -> Hooks:
    """Return whether Git runs the lab's commit hooks in a clone, and if not, the command after
    which it does. A hook of the learner's own stays."""
    # `--git-path` takes the setting core.hooksPath into account.
    named = _asked(work, "rev-parse", "--git-path", "hooks/pre-commit").text
    path = work / named
    state = commit_hook(path)
    install = "" if state is CommitHook.CHECKS else _install(settings, work, path, state)
    wanted = _hooks(read_text(TEMPLATES / "learner" / HOOK_CONFIG))
    found = _hooks(read_text(work / HOOK_CONFIG))
    if wanted is None:
        raise Undecided(f"the lab's own {HOOK_CONFIG} cannot be read")
    missing = tuple(name for name, hook in wanted.items() if (found or {}).get(name) != hook)
    return Hooks(str(path), state is CommitHook.CHECKS, found is not None, missing, install)


def _install(settings: Settings, work: Path, path: Path, state: CommitHook) -> str:
    """Return the command that has Git run the lab's checks, beside a hook of the learner's own.

    + path: where Git looks for the hook
    + state: what is there
    """
    if state is CommitHook.MISSING and _is_same(path, hook_of(settings.work_dir)):
        return UP
    # pre-commit runs the hook that was there, too.
    go, install = f"cd {shlex.quote(str(work))}", "pre-commit install"
    everywhere = _git(work, "config", "--get-all", "core.hooksPath")
    if everywhere.code:
        return f"{go} && {install}"
    own = work / _asked(work, "rev-parse", "--git-common-dir").text / "hooks" / "pre-commit"
    point = f"git config --replace-all core.hooksPath {shlex.quote(str(own.parent))}"
    if commit_hook(own) is CommitHook.CHECKS:
        return f"{go} && {point}"
    # While this is set, pre-commit refuses to install. What is set beyond the clone stays there.
    of_clone = _git(work, "config", "--local", "--get-all", "core.hooksPath")
    steps = [go] if of_clone.code else [go, "git config --unset-all core.hooksPath"]
    if of_clone.text == everywhere.text:
        return " && ".join([*steps, install])
    return " && ".join([*steps, f"{_CLONE_ONLY} {install}", point])


def _is_same(one: Path, other: Path) -> bool:
    # The hook itself may be a link.
    return one.parent.resolve() == other.parent.resolve()


def _hooks(text: str | None) -> dict[str, dict[str, Any]] | None:
    """Return the local hooks in the text of a pre-commit configuration, by id; None if the text is
    not such a configuration."""
    try:
        repos = yaml.load(text or "", LOADER)["repos"]
        return {
            str(hook["id"]): hook
            for repo in repos
            if repo["repo"] == "local"
            for hook in repo["hooks"]
        }
    except (yaml.YAMLError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
