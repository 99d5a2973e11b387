"""Logins that a Git server refuses: git would delete them from its own store."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from sopslab.config.environment import bare_repository, solo
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.lab.act import learners_clone
from sopslab.lab.observe.clone import look_at_branches
from sopslab.lab.observe.learners_clone import clone_of_learner
from sopslab.lab.observe.logins import is_of_login, refusal
from sopslab.lab.observe.trees import bare
from sopslab.lab.tools.git import Author, list_remote
from sopslab.lab.tools.programs import Failed, lab_environment
from sopslab.model.results import Undecided
from tests.repositories import git

AUTHOR = Author("Zoë", "zoe@example.org")


class Refusing(ThreadingHTTPServer):
    """A Git server on loopback that asks for a login and accepts none."""

    def __init__(self) -> None:
        self.tried: list[str | None] = []
        super().__init__(("127.0.0.1", 0), _Refuse)

    @property
    def url(self) -> str:
        """The address of its repositories."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Refuse(BaseHTTPRequestHandler):
    server: Refusing

    def do_GET(self) -> None:
        self.server.tried.append(self.headers["Authorization"])
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="lab"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Refusing]:
    with Refusing() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def write_login(path: Path, server: Refusing) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = server.url.replace("://", "://ada:made-up@").encode() + b"\n"
    path.write_bytes(content)
    return content


def elsewhere(settings: Settings, server: Refusing) -> Settings:
    """Return the settings of a lab on that Git server, with stored logins."""
    found = settings.model_copy(update={"git_url": server.url})
    for user in (INSTRUCTOR, "learner"):
        write_login(Path(found.login_file(user)), server)
    return found


def test_a_login_that_is_refused_is_still_there(server: Refusing, tmp_path: Path,
    lab: Callable[..., Settings]) -> None:  # fmt: skip
    login = tmp_path / "ada's $(own) login" / "git-credentials"
    content = write_login(login, server)
    with pytest.raises(Failed) as refused:
        list_remote(lab(), f"{server.url}/ada/lab.git", str(login))
    assert is_of_login(refused.value)
    # git asks first without a login, and then with it.
    assert server.tried[0] is None and str(server.tried[-1]).startswith("Basic ")
    assert login.read_bytes() == content


def test_no_look_has_a_login_forgotten(
    server: Refusing, tmp_path: Path, lab: Callable[..., Settings]
) -> None:
    settings = elsewhere(lab(), server)
    copy = Path(bare_repository(settings, solo(settings)))
    copy.mkdir(parents=True)
    git(copy, "init", "--quiet", "--bare")
    stored = {user: Path(settings.login_file(user)) for user in (INSTRUCTOR, "learner")}
    before = {user: path.read_bytes() for user, path in stored.items()}
    assert refusal(settings.for_machine, stored["learner"], "learner/lab") is not None
    bare(settings, solo(settings))
    with pytest.raises(Undecided):
        look_at_branches(settings, tmp_path)
    assert len([one for one in server.tried if one is not None]) == 3
    assert {user: path.read_bytes() for user, path in stored.items()} == before


def test_the_learners_clone_keeps_its_login_and_helpers_of_their_own(
    server: Refusing, tmp_path: Path, lab: Callable[..., Settings]
) -> None:
    settings = elsewhere(lab(), server)
    login = Path(settings.login_file("learner"))
    before = login.read_bytes()
    work = Path(settings.work_dir)
    git(tmp_path, "init", "--quiet", str(work))
    git(work, "remote", "add", "origin", f"{server.url}/learner/lab.git")
    # An earlier version left this configuration.
    git(work, "config", "credential.helper", f"store --file='{login}'")
    own = ["cache --timeout=1", f"store --file={tmp_path}/their-own"]
    for helper in own:
        git(work, "config", "--add", "credential.helper", helper)
    assert "login" in clone_of_learner(settings.for_machine).missing
    for _ in range(2):
        learners_clone.complete(settings.for_machine, "learner/lab", AUTHOR, "#!/bin/sh\n")
    assert clone_of_learner(settings.for_machine).missing == ()
    helpers = git(work, "config", "--get-all", "credential.helper").splitlines()
    assert len(helpers) == 3 and set(own) < set(helpers)
    git(work, "config", "--unset", "credential.helper", "^cache")
    git(work, "config", "--unset", "credential.helper", "their-own$")
    fetched = subprocess.run(
        ["git", "fetch"], cwd=work, env=lab_environment(settings), capture_output=True, check=False
    )
    assert fetched.returncode != 0 and server.tried[-1] is not None
    assert login.read_bytes() == before
