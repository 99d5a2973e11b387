"""The lab's tools, and the guard on its Git server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sopslab.course.chapter import UP
from sopslab.model.results import Verdict, failed, passed

_USE_THE_LAB = 'eval "$(sopslab env)"'


@dataclass(frozen=True)
class Tool:
    """A tool of the lab, and what the learner's shell finds under its name.

    `version` is None where it cannot be run; `first` is the path of another program that PATH has
    before it, and `in_path` tells whether PATH has any.
    """

    name: str
    wanted: str
    version: str | None
    in_path: bool = True
    first: str | None = None
    first_version: str | None = None


def judge_tools(tools: Sequence[Tool]) -> Verdict:
    """Judge whether each tool is there in its pinned version, and is the one that a shell finds."""
    for tool in tools:
        if tool.version is None:
            return failed(f"the lab's {tool.name} is missing or cannot be run.", UP)
        if tool.version != tool.wanted:
            found = f"the lab's {tool.name} is {tool.version}, and {tool.wanted} is pinned."
            return failed(found, UP)
    for tool in tools:
        if tool.first is not None and tool.first_version != tool.wanted:
            other = tool.first_version or "of an unknown version"
            return failed(
                f"{tool.name} in this shell is {tool.first}, which is {other};"
                f" the lab's is {tool.wanted}.",
                _USE_THE_LAB,
                blocking=False,
            )
    named = ", ".join(f"{tool.name} {tool.wanted}" for tool in tools)
    if all(tool.in_path for tool in tools):
        return passed(f"{named}.")
    return passed(f"{named}; this shell does not find them before {_USE_THE_LAB}.")


class Part(Enum):
    """How a file that the Git server depends on compares with ours."""

    SAME = "same"
    MISSING = "missing"
    OTHER = "other"


@dataclass(frozen=True)
class GitServer:
    """The embedded Git server.

    `answer` is the HTTP status for somebody unknown, None without an answer.
    """

    url: str
    answer: int | None
    hooks_path: str | None
    hook: Part
    policy: Part


HOOKS_PATH = "/srv/git/etc/hooks"


def judge_server(server: GitServer) -> Verdict:
    """Judge whether the embedded Git server is up and repeats the policy on every push."""
    if server.answer is None:
        return failed(f"the Git server does not answer at {server.url}.", UP)
    if server.answer != 401:
        return failed(
            f"the Git server at {server.url} answers {server.answer} to somebody unknown instead"
            " of asking for a password.",
            UP,
        )
    if server.hooks_path != HOOKS_PATH:
        return failed("the Git server is not configured to use the lab's hooks.", UP)
    if server.hook is not Part.SAME:
        how = "is missing" if server.hook is Part.MISSING else "was changed"
        return failed(f"the Git server's pre-receive hook {how}.", UP)
    if server.policy is not Part.SAME:
        how = "is missing" if server.policy is Part.MISSING else "is not the one of this sopslab"
        return failed(f"the policy of the Git server's hook {how}.", UP)
    return passed("the Git server checks every push with the policy, and asks who is pushing.")
