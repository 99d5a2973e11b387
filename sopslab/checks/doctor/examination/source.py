"""From the Git server to the source controller: server, branch, credential, source."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from sopslab.checks.doctor.examination.platform import hands_off, restore
from sopslab.checks.doctor.objects import named
from sopslab.checks.doctor.results import Cause, cause
from sopslab.checks.doctor.seen import Seen, known
from sopslab.course.chapter import UP

_REFUSED = (401, 403)


def examine_server(seen: Seen) -> Iterator[Cause]:
    """Yield why nobody could read the repository, Flux or not."""
    if seen.server is None:
        yield cause(
            "git-server-down",
            "The Git server does not answer, so nobody can read or push.",
            "the Git server",
            "no answer where this machine reaches it",
            UP,
        )
    repository = known(seen.repository)
    what = f"repository {seen.environment.repository}"
    to_main = seen.chapter.at_work("git push origin HEAD:main")
    if not repository.there:
        yield cause(
            "repository-missing", "The learner's repository is gone.", what, "is not there", UP
        )
    elif repository.empty:
        yield cause(
            "empty-repository",
            "The learner's repository is empty, so Flux has nothing to read.",
            what,
            "has no branch",
            to_main,
        )
    elif repository.main is None:
        yield cause(
            "branch-deleted",
            "The branch main is gone; Flux goes on with what it read before.",
            what,
            "has branches, and main is none of them",
            to_main,
        )


def examine_source(seen: Seen) -> Iterator[Cause]:
    """Yield why Flux does not read the repository that is there."""
    objects, chapter = known(seen.objects), seen.chapter
    login = f"Secret {chapter.system}/{seen.environment.login}"
    if objects.login is None:
        yield cause(
            "git-credential-missing",
            "Flux has no credential for the Git server.",
            login,
            "is not there, or lacks username or password",
            UP,
        )
    elif objects.login.answer in _REFUSED:
        ours = objects.login.ours
        yield cause(
            "git-credential-revoked",
            "The Git server refuses the credential with which Flux reads.",
            login,
            f"the Git server answered {objects.login.answer} to it; it is"
            f" {'the one' if ours else 'not the one'} that the lab has stored",
            # What is stored is not made anew while it is there.
            f"rm -r {shlex.quote(objects.login.account)} && {UP}" if ours else UP,
        )
    what = f"GitRepository {chapter.system}/{chapter.source}"
    found = named(objects.flux.repositories, chapter.source)
    if found is None:
        yield cause("source-missing", "Flux has no source for the repository.", what, "is gone", UP)
        return
    spec = found["spec"]
    if spec.get("suspend"):
        yield cause(
            "suspended-source",
            "The source is suspended, so Flux reads nothing new.",
            what,
            "spec.suspend is true",
            f"flux --namespace {chapter.system} resume source git {chapter.source}",
        )
    if spec.get("url") != seen.url:
        yield cause(
            "source-controller-without-git",
            "The source controller does not reach the Git server: it asks at another address.",
            what,
            f"spec.url is {spec.get('url')}, and the repository is at {seen.url}{hands_off(found)}",
            restore(found, seen),
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
    if objects.stored is False:
        yield cause(
            "artifact-lost",
            "Flux says that it has stored what it read, but the source controller has lost it.",
            what,
            "its artifact is not served",
            f"flux --namespace {chapter.system} reconcile source git {chapter.source}",
        )
