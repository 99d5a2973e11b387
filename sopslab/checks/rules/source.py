"""The way from the Git server to the source controller: repository, branch, credential, source."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from sopslab.checks.objects import resume, source
from sopslab.checks.rules.platform import hands_off, restore
from sopslab.checks.rules.results import Cause, cause
from sopslab.checks.snapshot import Snapshot, known
from sopslab.course.chapter import UP
from sopslab.model.objects import is_suspended

_REFUSED = (401, 403)


def examine_repository(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if the repository is missing."""
    if not known(seen.there):
        repository = seen.environment.repository
        yield cause(
            "repository-missing",
            f"The Git server has no repository {repository}.",
            f"repository {repository}",
            "is not there",
            UP,
        )


def examine_branches(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if Flux finds no branch main in the repository."""
    if not known(seen.there):
        return
    branches = known(seen.branches)
    what = f"repository {seen.environment.repository}"
    to_main = seen.chapter.at_work("git push origin HEAD:main")
    if branches.empty:
        yield cause(
            "empty-repository",
            "The learner's repository has no branch, so Flux finds nothing new to read there.",
            what,
            "has no branch",
            to_main,
        )
    elif branches.main is None:
        yield cause(
            "branch-deleted",
            "The Git server has no branch main; Flux goes on with what it read before.",
            what,
            "has branches, but main is not among them",
            to_main,
        )


def _what(seen: Snapshot) -> str:
    return f"GitRepository {seen.chapter.system}/{seen.chapter.source}"


def examine_source(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each way in which the source differs from the platform's."""
    found, what = source(seen), _what(seen)
    if found is None:
        yield cause(
            "source-missing",
            f"Flux has no GitRepository {seen.chapter.source}, so it reads nothing of yours.",
            what,
            "is gone",
            UP,
        )
        return
    spec = found["spec"]
    if is_suspended(found):
        yield cause(
            "suspended-source",
            f"The GitRepository {seen.chapter.source} is suspended, so Flux reads nothing new.",
            what,
            "spec.suspend is true",
            resume(found),
        )
    branch = (spec.get("ref") or {}).get("branch")
    if branch != "main":
        yield cause(
            "wrong-branch",
            "Flux reads another branch than main.",
            what,
            f"spec.ref.branch is {branch}{hands_off(found)}",
            restore(found, seen),
        )
    if (spec.get("secretRef") or {}).get("name") != seen.environment.login:
        yield cause(
            "wrong-login",
            "Flux reads Git with another credential than its own.",
            what,
            f"spec.secretRef does not name {seen.environment.login}{hands_off(found)}",
            restore(found, seen),
        )


def examine_address(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if Flux reads from another address than the repository's."""
    found = source(seen)
    if found is not None and (url := found["spec"].get("url")) != seen.url:
        yield cause(
            "source-controller-without-git",
            "The source controller does not reach the Git server: it asks at another address.",
            _what(seen),
            f"spec.url is {url}, and the repository is at {seen.url}{hands_off(found)}",
            restore(found, seen),
        )


def examine_login(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if Flux has no credential for the Git server, or the server refuses it."""
    login = known(seen.login)
    what = f"Secret {seen.chapter.system}/{seen.environment.login}"
    if login is None:
        yield cause(
            "git-credential-missing",
            "Flux has no credential for the Git server.",
            what,
            "is not there, or lacks username or password",
            UP,
        )
    elif login.answer in _REFUSED:
        which = "the one" if login.ours else "not the one"
        yield cause(
            "git-credential-revoked",
            "The Git server refuses the credential with which Flux reads.",
            what,
            f"the Git server answered {login.answer} to it; it is {which} that the lab has stored",
            # `up` makes no new password while one is stored.
            f"rm -r {shlex.quote(login.account)} && {UP}" if login.ours else UP,
        )


def examine_artifact(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if the source controller no longer has the artifact that the source names."""
    if source(seen) is not None and known(seen.stored) is False:
        yield cause(
            "artifact-lost",
            "Flux says that it has stored what it read, but the source controller has lost it.",
            _what(seen),
            "its artifact is not served",
            f"flux --namespace {seen.chapter.system} reconcile source git {seen.chapter.source}",
        )
