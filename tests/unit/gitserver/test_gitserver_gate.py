"""The gate: who reads and who writes which repository, as the real script decides it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.settings import FLUX, INSTRUCTOR, Settings
from tasks.git import server_configuration

READ, WRITE = "git-upload-pack", "git-receive-pack"
Gate = Callable[[str, str, str], bool]


@pytest.fixture
def gate(lab: Callable[..., Settings], tmp_path: Path) -> Gate:
    """Return whether a user, a path and a query get as far as git http-backend."""
    backend = tmp_path / "backend"
    backend.write_text("#!/bin/sh\necho reached\n")
    backend.chmod(0o755)
    text = server_configuration(lab())["gate"].content.decode()
    script = tmp_path / "gate"
    script.write_text(text.replace("/usr/lib/git-core/git-http-backend", str(backend)))

    def ask(user: str, path: str, query: str = "") -> bool:
        done = subprocess.run(
            ["sh", str(script)],
            env={"PATH": "/usr/bin:/bin", "REMOTE_USER": user, "PATH_INFO": path,
                 "QUERY_STRING": query},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        if done.stdout != "reached\n":
            assert done.stdout.startswith("Status: 403 Forbidden\n"), done
            return False
        return True

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
    assert gate(user, f"{repository}/info/refs", f"service={service}") == may
    assert gate(user, f"{repository}/{service}", "") == may


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/", ""),
        ("/ada/lab.git", ""),
        ("/ada/lab.git/HEAD", ""),
        ("/ada/lab.git/config", ""),
        ("/ada/lab.git/objects/info/packs", ""),
        ("/ada/lab.git/info/refs", ""),
        ("/ada/lab.git/info/refs", "service=git-upload-archive"),
        ("/ada/lab.git/info/refs", "service=git-upload-pack&service=git-receive-pack"),
        ("/ada/lab.git/git-upload-archive", ""),
        ("/ada/lab.git/../../bob/lab.git/git-upload-pack", ""),
        ("/ada/../bob/lab.git/git-upload-pack", ""),
        ("/ada%2f..%2fbob/lab.git/git-upload-pack", ""),
        ("/ada/lab.git/bob/lab.git/git-upload-pack", ""),
        ("//lab.git/git-upload-pack", ""),
        ("/./lab.git/git-upload-pack", ""),
        ("/ADA/lab.git/git-upload-pack", ""),
        ("/ada/platform.git/git-upload-pack", ""),
        ("/ada/lab.git//git-upload-pack", ""),
    ],
)
@pytest.mark.parametrize("user", ["ada", INSTRUCTOR])
def test_whatever_is_not_spelled_like_that_is_nowhere(
    gate: Gate, user: str, path: str, query: str
) -> None:
    assert not gate(user, path, query)
