"""The gate: who reads and who writes which repository, as decided by the real script."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.places import FLUX, INSTRUCTOR
from sopslab.config.settings import Settings
from tasks.git import server_configuration
from tests.texts import write_program

READ, WRITE = "git-upload-pack", "git-receive-pack"
Gate = Callable[[str, str, str], str]
REACHED = "reached 262144 262144 1\n"
"""The answer of the backend: it runs, with at most this many kibibytes of address space, and blocks
of 512 bytes of a file; what writes more of one fails with 1, and is not killed by a signal."""
BACKEND = """\
#!/bin/sh
bounds="$(ulimit -S -v) $(ulimit -S -f)"
ulimit -S -f 1
head -c 9999 /dev/zero 2>/dev/null >"$0.written"
echo reached $bounds $?
"""


@pytest.fixture
def gate(lab: Callable[..., Settings], tmp_path: Path) -> Gate:
    """Return a function that asks the gate for a user, a path and a query: REACHED, or why not."""
    backend = write_program(tmp_path / "backend", BACKEND)
    text = server_configuration(lab())["gate"].content.decode()
    script = tmp_path / "gate"
    script.write_text(text.replace("/usr/lib/git-core/git-http-backend", str(backend)))

    def ask(user: str, path: str, query: str = "") -> str:
        done = subprocess.run(
            ["sh", str(script)],
            env={"PATH": "/usr/bin:/bin", "REMOTE_USER": user, "PATH_INFO": path,
                 "QUERY_STRING": query},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        if done.stdout == REACHED:
            return REACHED
        head, _, sentence = done.stdout.partition("\n\n")
        assert head == "Status: 403 Forbidden\nContent-Type: text/plain", done
        return sentence.removesuffix("\n")

    return ask


MAY = [
    (INSTRUCTOR, "/platform.git", READ),
    (INSTRUCTOR, "/platform.git", WRITE),
    (INSTRUCTOR, "/ada/lab.git", READ),
    (INSTRUCTOR, "/ada/lab.git", WRITE),
    (FLUX, "/platform.git", READ),
    (FLUX, "/ada/lab.git", READ),
    ("ada", "/ada/lab.git", READ),
    ("ada", "/ada/lab.git", WRITE),
]
USERS = (INSTRUCTOR, FLUX, "ada", "bob")
REPOSITORIES = ("/platform.git", "/ada/lab.git")


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("repository", REPOSITORIES)
@pytest.mark.parametrize("service", [READ, WRITE])
def test_who_may_do_what(gate: Gate, user: str, repository: str, service: str) -> None:
    may = (user, repository, service) in MAY
    said = REACHED if may else f"{user} may not do this in {repository}"
    assert gate(user, f"{repository}/info/refs", f"service={service}") == said
    assert gate(user, f"{repository}/{service}", "") == said


NO_REPOSITORY = "there is no such repository"
ONLY_REPOSITORIES = "there are only repositories here"
ONLY_SMART = "only the smart protocol of Git is spoken here"


@pytest.mark.parametrize(
    ("path", "query", "sentence"),
    [
        ("/", "", ONLY_REPOSITORIES),
        ("/ada/lab.git", "", ONLY_REPOSITORIES),
        ("/ada/lab.git/HEAD", "", ONLY_REPOSITORIES),
        ("/ada/lab.git/config", "", ONLY_REPOSITORIES),
        ("/ada/lab.git/objects/info/packs", "", ONLY_REPOSITORIES),
        ("/ada/lab.git/info/refs", "", ONLY_SMART),
        ("/ada/lab.git/info/refs", "service=git-upload-archive", ONLY_SMART),
        (
            "/ada/lab.git/info/refs",
            "service=git-upload-pack&service=git-receive-pack",
            ONLY_SMART,
        ),
        ("/ada/lab.git/git-upload-archive", "", ONLY_REPOSITORIES),
        ("/ada/lab.git/../../bob/lab.git/git-upload-pack", "", NO_REPOSITORY),
        ("/ada/../bob/lab.git/git-upload-pack", "", NO_REPOSITORY),
        ("/ada%2f..%2fbob/lab.git/git-upload-pack", "", NO_REPOSITORY),
        ("/ada/lab.git/bob/lab.git/git-upload-pack", "", NO_REPOSITORY),
        ("//lab.git/git-upload-pack", "", NO_REPOSITORY),
        ("/./lab.git/git-upload-pack", "", NO_REPOSITORY),
        ("/ADA/lab.git/git-upload-pack", "", NO_REPOSITORY),
        ("/ada/platform.git/git-upload-pack", "", NO_REPOSITORY),
        ("/ada/lab.git//git-upload-pack", "", NO_REPOSITORY),
    ],
)
@pytest.mark.parametrize("user", ["ada", INSTRUCTOR])
def test_whatever_is_not_spelled_like_that_is_nowhere(
    gate: Gate, user: str, path: str, query: str, sentence: str
) -> None:
    assert gate(user, path, query) == sentence
