"""What starts programs on the lab's machine, and writes what is private."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count, repeat
from pathlib import Path
from types import ModuleType

import gevent.subprocess  # type: ignore[import-untyped]
import pytest

from sopslab.config.settings import Settings
from sopslab.lab.tools import docker, files, programs
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed, Stream, ask, lab_environment, lines, run
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.results import Undecided
from sopslab.policy import gitleaks
from sopslab.policy.processes import kill_with_descendants
from tests.processes import runs


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_lines_come_as_they_are_printed_and_a_failure_in_the_end() -> None:
    program = """
import sys
print(sys.stdin.read(), flush=True)
print("two", flush=True)
sys.exit("not all of it")
"""
    found = []
    with pytest.raises(Failed) as failed:
        for line in lines(python(program), os.environ, stdin=b"one"):
            found.append(line)
    assert found == ["one", "two"]
    assert failed.value.lines == ["not all of it"]


def test_what_the_user_has_set_for_git_sops_and_kubectl_does_not_count(
    lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab(git_bind="192.0.2.10")
    theirs = {
        **{"KUBECONFIG": "/home/ada/.kube/config", "KUBECACHEDIR": "/home/ada/.kube/cache"},
        **{"GIT_DIR": "/home/ada/.git", "GIT_CONFIG_GLOBAL": "/home/ada/.gitconfig"},
        **{"SOPS_AGE_KEY_FILE": "/home/ada/keys.txt", "no_proxy": "example.org"},
    }
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    found = lab_environment(settings.for_machine)
    assert not [name for name, value in found.items() if "/home/ada" in value and name in theirs]
    assert "GIT_DIR" not in found and "SOPS_AGE_KEY_FILE" not in found
    assert found["KUBECONFIG"] == settings.lab_kubeconfig
    assert found["GIT_SSL_CAINFO"] == settings.git_ca
    assert found["PATH"].split(os.pathsep)[0] == settings.bin_dir
    assert found["NO_PROXY"] == found["no_proxy"] == "example.org,192.0.2.10"
    script = "import os, sys; sys.exit(any(v == sys.argv[1] for v in os.environ.values()))"
    for value in theirs.values():
        run([sys.executable, "-c", script, value], found)


def test_go_programs_that_end_within_a_moment_hardly_collect_garbage(
    lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab()
    folder = Path(settings.bin_dir)
    folder.mkdir(parents=True)
    for name in ("docker", "sops", "gitleaks"):
        (folder / name).write_text('#!/bin/sh\necho "${GOGC:-as ever}"\n')
        (folder / name).chmod(0o755)
    environment = {
        name: text for name, text in os.environ.items() if name not in ("GOGC", "SOPSLAB_GITLEAKS")
    }
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    monkeypatch.setattr(os, "environ", environment)
    assert docker.ask_docker("info").text == docker.try_docker("info").text == "400"
    assert ask([str(folder / "sops")], programs.clean_environment(settings)).text == "400"
    # What docker is told to do may take long, and a Git server has little memory for its scanner.
    assert docker.docker("run") == "as ever"
    assert scanner_says() == "as ever"
    programs.keep_to_the_lab(settings)
    assert scanner_says() == "400"


def scanner_says() -> str:
    with gitleaks.begin() as begun:
        return begun.process().communicate()[0].decode().strip()


def test_who_prints_for_too_long_is_stopped() -> None:
    program = "import time; print(1, flush=True); time.sleep(600)"
    found = lines(python(program), os.environ, patience=1.5)
    assert next(found) == "1"
    with pytest.raises(Failed) as failed:
        next(found)
    assert "timed out after 1.5 s" in failed.value.lines[0]


def test_who_was_stopped_timed_out_even_if_its_end_is_seen_before_the_stopping_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(process: subprocess.Popen[bytes]) -> None:
        kill_with_descendants(process)
        time.sleep(1)

    monkeypatch.setattr(programs, "kill_with_descendants", stop)
    with pytest.raises(Failed) as failed:
        list(lines(["sleep", "600"], os.environ, patience=0.5))
    assert failed.value.lines == ["sleep timed out after 0.5 s"]


# A program that never ends, with a helper: this one would say so if it got to its end.
HELPED = """
(sleep 20; echo >outlived) &
echo $! >helper
wait
"""


@pytest.mark.parametrize("module", [subprocess, gevent.subprocess])
@pytest.mark.parametrize(
    "start", [ask, run, lambda *command, **more: list(lines(*command, **more))],
    ids=["ask", "run", "lines"],
)  # fmt: skip
def test_who_takes_too_long_is_ended_with_its_helpers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    start: Callable[..., object],
) -> None:
    # pyinfra puts gevent's module in the place of Python's.
    monkeypatch.setattr(programs, "subprocess", module)
    monkeypatch.chdir(tmp_path)
    with pytest.raises((Failed, Undecided)):
        start(["sh", "-c", HELPED], os.environ, patience=2)
    assert not Path("outlived").exists()
    assert wait_until(lambda: not runs(Path("helper").read_text().strip()), 10, 0.01)


@pytest.mark.parametrize("days", [-1, 1])
def test_no_wait_is_cut_short_or_drawn_out_by_a_date_that_changes(
    monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    dates = count(time.time(), days * 86_400)
    monkeypatch.setattr(time, "time", lambda: next(dates))
    late = iter([False, False, True])
    assert wait_until(lambda: next(late), 60, 0.01)
    never = repeat(False, 1000)
    assert not wait_until(lambda: next(never), 0.05, 0.01)


def test_a_stream_is_taken_line_by_line_until_nobody_wants_more() -> None:
    program = "import time; print('a\\nb\\nc', flush=True); time.sleep(600)"
    taken: list[bytes] = []

    def take(line: bytes) -> bool:
        taken.append(line)
        return len(taken) < 2

    stream = Stream(python(program), os.environ, take)
    assert wait_until(lambda: stream.is_over, 30, 0.01)
    assert taken == [b"a\n", b"b\n"]


def test_a_stream_can_be_ended_and_ends_with_its_program() -> None:
    taken: list[bytes] = []
    endless = "import time; print(1, flush=True); time.sleep(600)"

    def take(line: bytes) -> bool:
        taken.append(line)
        return True

    stream = Stream(python(endless), os.environ, take)
    assert wait_until(lambda: bool(taken), 30, 0.01)
    assert not stream.is_over
    stream.end()
    assert stream.is_over

    ended = Stream(python("print(1)"), os.environ, lambda line: True)
    assert wait_until(lambda: ended.is_over, 30, 0.01)


def test_a_program_that_is_not_there_has_failed() -> None:
    with pytest.raises(Failed):
        Stream(["/nonexistent/kubectl"], os.environ, lambda line: True)
    with pytest.raises(Failed) as failed:
        list(lines(["/nonexistent/kubectl"], os.environ))
    assert failed.value.name == "kubectl"
    assert failed.value.lines[0].endswith(": not found")


def test_new_folders_are_private_and_those_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "seats" / "ada"
    before = os.umask(0)
    try:
        files.private_folder(folder)
        files.private_folder(folder)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, folder.parent, folder)]
    assert modes == [0o755, 0o700, 0o700]
    (folder / "file").touch()
    with pytest.raises(FileExistsError):
        files.private_folder(folder / "file")


def test_what_cannot_be_removed_does_not_keep_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    for name in ("a", "kept", "z"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").touch()
        (folder / name).chmod(0o500)
    (folder / "link").symlink_to(tmp_path)
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None and Path(f"/proc/self/fd/{dir_fd}").readlink().name == "kept":
            raise PermissionError(path)
        unlink(path, dir_fd=dir_fd)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        with pytest.raises(PermissionError):
            files.remove_all(folder)
    assert [path.name for path in folder.iterdir()] == ["kept"]
    files.remove_all(folder)
    assert list(tmp_path.iterdir()) == []
    files.remove_all(folder)


def test_what_a_program_says_orders_no_terminal_about(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """Some verbs do a part of the lab's work themselves, on a terminal."""
    log("übung \x1b]0;mine\x07\tdone\n".encode() + b"\xff\n")
    assert capfdbinary.readouterr().err == b"\xc3\xbcbung \\x1b]0;mine\\x07\tdone\n\\xff\n"
