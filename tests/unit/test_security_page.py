"""docs/security.md promises figures: each is that of the code."""

from __future__ import annotations

import pytest

from sopslab.gitserver import asking, backend, limits, receive, uploads
from sopslab.gitserver.niceness import LONG_BYTES
from sopslab.gitserver.server import Limits
from sopslab.layout import POD_PIDS_LIMIT, PROJECT, SYSTEM_SHARE
from sopslab.policy import sandbox, sources
from sopslab.web import server as board

PAGE = " ".join((PROJECT / "docs" / "security.md").read_text(encoding="utf-8").split())
KIB, MIB = 1024, 1024 * 1024
WORDS = {2: "two", 4: "four", 10: "ten"}
DEFAULT = Limits()


def word(number: int) -> str:
    """Return a number as the page writes it."""
    return WORDS.get(number, str(number))


@pytest.mark.parametrize(
    "sentence",
    [
        f"{receive.SECONDS:g} s for the hook",
        f"those of more than {LONG_BYTES / KIB:g} KiB, make way",
        f"{word(DEFAULT.of_a_user)} requests a learner",
        f"{limits.MAX_BROUGHT / MIB:g} MiB a push",
        f"{limits.MAX_REPOSITORY / MIB:g} MiB and {limits.MAX_REFS} branches a repository",
        f"of a push at least the first {LONG_BYTES / KIB:g} KiB",
        f"then {uploads.LEAST_SENT / KIB:g} KiB a second have to come",
        f"{uploads.LEAST_READ / KIB:g} KiB of an answer have to be read",
        f"{word(DEFAULT.long_pushes)} of the {word(DEFAULT.pushes)} pushes at a time may be longer",
        f"end after {backend.PUSH_SECONDS:g} s or {backend.FETCH_SECONDS:g} s",
        f"more than {DEFAULT.strangers} connections without a request",
        f"printable names of {word(limits.MAX_PARTS)} parts at most",
        f"the answer is escaped, and takes {asking.SECONDS:g} s at most",
        f"{sandbox.CPU_S} s of processor, {sandbox.MEMORY / MIB:g} MiB and no network",
        f"read up to {sources.OTHERS.size / MIB:g} MiB and {sources.OTHERS.seconds:g} s,",
        f"history {sources.OWN.size / MIB:g} MiB and {sources.OWN.seconds / 60:g} min;",
        f"a pod ends at {POD_PIDS_LIMIT} processes",
        f"has {SYSTEM_SHARE} % of the node's processors",
        f"a connection without a request for {board._HEAD_S:g} s is closed",
        f"more than {board._STRANGERS} that have not asked",
        f"or all have more than {board._STRANGERS_IN_ALL}, the oldest is closed",
        f"of those that have asked there are {board._CONNECTIONS} at most",
    ],
)
def test_the_figures_of_the_security_page_are_those_of_the_code(sentence: str) -> None:
    # With what is before a figure: 5 s is no part of 25 s.
    assert f" {sentence}" in PAGE
