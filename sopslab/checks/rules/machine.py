"""The lab's machine: its tools, its Git server with the push hook, and the commit hooks."""

from __future__ import annotations

from collections.abc import Iterator

from sopslab.checks.rules.results import Cause, cause
from sopslab.checks.snapshot import GitServer, Part, Snapshot, known
from sopslab.course.chapter import UP

HOOKS_PATH = "/srv/git/etc/hooks"
HOOK_CONFIG = ".pre-commit-config.yaml"
_PARTS = {Part.MISSING: "is missing", Part.OTHER: "is not what this sopslab delivers"}


def examine_tools(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each tool of the lab that is missing or has not the pinned version."""
    for tool in known(seen.tools):
        what = f"the lab's {tool.name}"
        if tool.version is None:
            yield cause("tool-missing", "A tool of the lab is missing.", what, "does not run", UP)
        elif tool.version != tool.wanted:
            yield cause(
                "tool-version",
                "A tool of the lab has another version than the pinned one.",
                what,
                f"is {tool.version}, and {tool.wanted} is pinned",
                UP,
            )


def examine_access(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause for each thing that the lab owes a seat's learner and has not made."""
    access, who = known(seen.access), seen.environment.id
    if access is None:
        return
    if not access.kubeconfig:
        yield cause(
            "kubeconfig-missing",
            "The seat has no kubeconfig yet.",
            f"the kubeconfig of {who}",
            "is not made",
            UP,
        )
    if not access.password:
        yield cause(
            "password-missing",
            "The seat has no password for the Git server yet.",
            f"the password of {who}",
            "is not made",
            UP,
        )


def examine_kubeconfig(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if the kubeconfig of a seat's learner has expired."""
    end = known(seen.expired)
    if end is not None:
        yield cause(
            "kubeconfig-ended",
            "The learner's kubeconfig has ended: once there is another, the learner fetches that.",
            f"the kubeconfig of {seen.environment.id}",
            f"was good until {end}",
            UP,
        )


def examine_server(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if the lab's own Git server does not answer, asks for no password, or does not
    check pushes."""
    server = known(seen.server)
    guard = server.guard
    if guard is None:
        return
    what = f"the Git server at {server.url}"
    if server.answer is None:
        yield _down(server)
    elif server.answer != 401:
        yield cause(
            "git-server-open",
            "The Git server does not ask for a password.",
            what,
            f"answers {server.answer} to somebody unknown",
            UP,
        )
    if guard.hooks_path != HOOKS_PATH:
        yield _unguarded(what, "is not configured to use the lab's hooks")
    elif guard.hook is not Part.SAME:
        yield _unguarded("the Git server's pre-receive hook", _PARTS[guard.hook])
    elif guard.policy is not Part.SAME:
        yield _unguarded("the policy of the Git server's hook", _PARTS[guard.policy])


def examine_foreign_server(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if a Git server that is not the lab's own does not answer."""
    server = known(seen.server)
    if server.guard is None and server.answer is None:
        yield _down(server)


def _down(server: GitServer) -> Cause:
    return cause(
        "git-server-down",
        "The Git server does not answer, so pulls and pushes fail.",
        "the Git server",
        f"no answer at {server.url}, where this machine reaches it",
        UP,
    )


def _unguarded(what: str, how: str) -> Cause:
    return cause(
        "git-server-unguarded",
        "The Git server does not check what is pushed.",
        what,
        how,
        UP,
    )


def examine_hooks(seen: Snapshot) -> Iterator[Cause]:
    """Yield a cause if a commit is not checked before it is made."""
    hooks = known(seen.hooks)
    if hooks is None:
        return
    sentence = "The commit hooks are not as the lab gave them."
    if not hooks.runs_pre_commit:
        yield cause(
            "hooks-missing",
            "The commit hook does not run, so no commit is checked before it is pushed.",
            hooks.path,
            "is missing, cannot be run, or does not run pre-commit",
            hooks.install,
        )
        return
    restore = seen.chapter.restore(HOOK_CONFIG)
    if not hooks.configured:
        yield cause("hooks-changed", sentence, HOOK_CONFIG, "is missing or cannot be read", restore)
    elif hooks.missing:
        named = " and ".join(hooks.missing)
        lacks = f"does not have the hook {named} as the lab gave it"
        yield cause("hooks-changed", sentence, HOOK_CONFIG, lacks, restore)
