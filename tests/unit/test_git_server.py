"""The container of the embedded Git server, with a stand-in for Docker: its options, and what the
server may read and write."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act import accounts, repositories, server
from sopslab.lab.tools.programs import Failed
from tests.listening import listening
from tests.texts import write_program

LABEL = "sops-lab.config=mark"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker that records its arguments; a file beside it makes one of its commands fail."""
    folder = tmp_path / "docker"
    folder.mkdir()
    program = write_program(
        folder / "docker",
        "#!/bin/sh\n"
        'printf \'%s\\n\' "$*" >>"$0.calls"\n'
        '[ "$1" != logs ] || { echo out; echo err >&2; }\n'
        '[ ! -e "$0.fails.$1" ]\n',
    )
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return program


def calls(docker: Path) -> list[str]:
    return docker.with_name("docker.calls").read_text().splitlines()


def make(settings: Settings) -> Settings:
    """Make the data of a Git server as `up` does before the server starts for the first time."""
    Path(settings.git_dir).mkdir(parents=True)
    repositories.make(settings.for_machine, ["platform", "learner/lab"])
    accounts.renew(settings.for_machine, ["learner"])
    return settings


def test_the_server_is_made_anew_and_waited_for(lab: Callable[..., Settings], docker: Path) -> None:
    # There is no container to remove yet.
    docker.with_name("docker.fails.rm").touch()
    with listening() as (address, asked):
        settings = make(lab(git_port=int(address.rpartition(":")[2])))
        server.serve(settings.for_machine, "sops-lab/git:1", LABEL)
    removed, started = calls(docker)
    assert removed == "rm --force --volumes lab-git"
    assert started.startswith(f"run --detach --name lab-git --label {LABEL} ")
    assert started.endswith("sops-lab/git:1 -m sopslab.gitserver /srv/git 8080")
    assert asked[0].startswith("GET / ")


def test_what_can_not_be_started_fails_with_dockers_own_words(
    lab: Callable[..., Settings], docker: Path
) -> None:
    docker.with_name("docker.fails.run").touch()
    with pytest.raises(Failed):
        server.serve(make(lab()).for_machine, "sops-lab/git:1", LABEL)


def test_a_server_that_does_not_answer_is_named_and_its_log_is_kept(
    lab: Callable[..., Settings],
    docker: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.setattr(server, "_PATIENCE", 0)
    settings = make(lab(git_port=1))
    with pytest.raises(LabError, match=r"did not answer at 127\.0\.0\.1:1 within 0 s"):
        server.serve(settings.for_machine, "sops-lab/git:1", LABEL)
    assert calls(docker)[-1] == "logs --tail 5 lab-git"
    assert set(capfdbinary.readouterr().err.split()) == {b"out", b"err"}


def test_over_the_network_it_is_given_its_certificate(
    lab: Callable[..., Settings], docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make(lab(git_bind="192.0.2.10"))
    monkeypatch.setattr(server, "answer", lambda *_: 401)
    server.serve(settings.for_machine, "sops-lab/git:1", LABEL)
    started = calls(docker)[-1]
    assert " --publish 192.0.2.10:8418:8080 " in started
    assert started.endswith("/srv/git 8080 /srv/git/tls/server.pem")


@pytest.mark.parametrize(("processors", "share"), [(1, "0.75"), (2, "1.50"), (8, "6.00")])
def test_it_has_three_quarters_of_the_processors_and_no_right_that_it_needs_not(
    lab: Callable[..., Settings], processors: int, share: str
) -> None:
    settings = lab()
    options = " ".join(server.options_for(settings.for_machine, 1000, 1001, processors))
    for wanted in (
        f"--cpus {share}", "--user 1000:1001", "--read-only", "--cap-drop ALL",
        "--security-opt no-new-privileges", "--security-opt label=disable",
        f"--volume {settings.git_dir}:/srv/git:ro",
        # The passwords themselves are hidden from the server.
        "--tmpfs /srv/git/credentials:ro,size=4k,mode=0",
    ):  # fmt: skip
        assert wanted in options


def modes(folder: Path, *names: str) -> list[int]:
    return [stat.S_IMODE((folder / name).lstat().st_mode) for name in names]


def test_it_can_read_what_it_needs_and_write_repositories_only(
    lab: Callable[..., Settings],
) -> None:
    settings = make(lab())
    data = Path(settings.git_dir)
    (data / "tls").mkdir()
    (data / "tls" / "server.pem").write_text("")
    (data / "tls" / "server.pem").chmod(0o600)
    (data / "access" / "ada").mkdir(parents=True)
    (data / "rows").mkdir()
    for private in (data / "access" / "ada" / "kubeconfig", data / "rows" / "ada.json"):
        private.touch(0o600)
    pushed = data / "repositories" / "learner" / "lab.git" / "objects" / "aa"
    pushed.mkdir()
    (pushed / "read-only").write_text("")
    (pushed / "read-only").chmod(0o444)
    (pushed / "link").symlink_to("/etc/hostname")
    before = Path("/etc/hostname").stat()
    group = 60941 if os.geteuid() == 0 else os.getegid()
    server.prepare(settings.for_machine, group)
    assert modes(data, ".", "htpasswd") == [0o2750, 0o640]
    assert modes(data, "receiver/token", "tls/server.pem") == [0o640, 0o640]
    assert [mode & 0o777 for mode in modes(data, "receiver", "tls")] == [0o750, 0o750]
    # The server can also read what is put there while it runs.
    assert modes(data, "access", "rows", "access/ada") == [0o2750] * 3
    assert modes(data, "access/ada/kubeconfig", "rows/ada.json") == [0o640, 0o640]
    assert modes(data, "credentials/learner/password", "credentials") == [0o600, 0o700]
    repository = data / "repositories" / "learner" / "lab.git"
    # A process that may write to a repository cannot make another one beside it.
    assert modes(repository, "../..", "..", ".", "objects/aa") == [0o2750, 0o2750, 0o2770, 0o2770]
    assert modes(repository, "HEAD", "objects/aa/read-only") == [0o660, 0o440]
    after = Path("/etc/hostname").stat()
    assert (after.st_gid, after.st_mode) == (before.st_gid, before.st_mode)
    for path in (data, data / "htpasswd", pushed, pushed / "link", data / "receiver" / "token"):
        assert path.lstat().st_gid == group
    # The same holds for files that the server writes later.
    shared = ["git", "--git-dir", str(repository), "config", "core.sharedRepository"]
    assert subprocess.run(shared, capture_output=True, text=True).stdout.strip() in {"1", "group"}


def test_a_row_that_the_board_replaces_meanwhile_is_in_nobodys_way(
    lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make(lab())
    rows = Path(settings.git_dir, "rows")
    found = server._all

    def late(folder: Path) -> Iterator[Path]:
        yield from found(folder)
        if folder == rows:
            yield folder / ".ada.json.x.new"

    monkeypatch.setattr(server, "_all", late)
    server.prepare(settings.for_machine, 60941 if os.geteuid() == 0 else os.getegid())
    assert modes(rows, ".") == [0o2750]


def test_a_repository_that_was_not_shared_is_shared(lab: Callable[..., Settings]) -> None:
    settings = make(lab())
    config = Path(settings.git_dir, "repositories", "platform.git", "config")
    subprocess.run(
        ["git", "config", "--file", str(config), "--unset", "core.sharedRepository"], check=True
    )
    server.prepare(settings.for_machine, os.getegid())
    assert "sharedRepository = group" in config.read_text()
