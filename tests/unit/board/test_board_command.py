"""The command `sopslab board` as a process: on a class on disk, with a stand-in for kubectl."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from sopslab import __version__
from sopslab.checks.takeover import FORMAT
from sopslab.cli.main import main
from sopslab.config.settings import Settings
from sopslab.lab.observe.progress import recorded_progress
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.formats import Format, render_format
from tests.texts import write_program
from tests.unit.board.class_material import Class

_LINE = re.compile(r"The board is at (http://127\.0\.0\.1:\d+/[\w-]+/)(\S*)\n")


@dataclass
class Started:
    """A board that runs as a process."""

    process: subprocess.Popen[str]

    def url(self) -> str:
        """Return the address that the board prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = _LINE.fullmatch(line)
        assert found is not None, line
        return found[1] + found[2]

    def end(self, number: int) -> tuple[int, str]:
        """End the board by a signal; return its exit code and its output after the address."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out + err


def _read(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return str(answer.read().decode())


@pytest.fixture
def made(up: Callable[..., Class]) -> Class:
    """A class of two on a lab that is up; one of them lacks a kubeconfig."""
    found = up("ada", "bob")
    Path(found.settings.format_file).write_text(render_format(Format(FORMAT, __version__)))
    Path(found.settings.seat_dir("bob"), "kubeconfig").unlink()
    return found


@pytest.fixture
def start(made: Class) -> Iterator[Callable[..., Started]]:
    """Return a function that starts boards of that class."""
    running: list[Started] = []

    def begin(*options: str) -> Started:
        command = [sys.executable, "-m", "sopslab", "board", *options]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        running.append(Started(process))
        return running[-1]

    yield begin
    for one in running:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)], ids=["interrupted", "told"]
)
def test_it_serves_the_class_until_it_is_to_end(
    made: Class, start: Callable[..., Started], number: int, code: int
) -> None:
    board = start("--projector")
    url = board.url()
    stream = urllib.request.urlopen(url.replace("?projector", "events"), timeout=60)
    page = ""
    while "data: <tr" not in page:
        page += stream.readline().decode()

    assert url.endswith("/?projector")
    assert 'id="r-bob" class="stuck"' in page
    assert "The seat has no kubeconfig yet (" in page
    assert [(one.seat, one.step) for one in recorded_progress(made.settings) if one.stuck] == [
        ("bob", "access")
    ]
    rows = Path(made.settings.git_dir, "rows")
    assert {path.name for path in rows.iterdir()} == {"ada.json", "bob.json"}
    assert board.end(number) == (code, "")
    stream.close()
    assert list(rows.iterdir()) == []
    following = made.kubectl.with_name("kubectl.class.watching").read_text().split()
    assert len(following) == 2 and not any(Path("/proc", one).exists() for one in following)


def test_a_second_board_of_a_lab_is_refused_and_the_first_one_named(
    start: Callable[..., Started],
) -> None:
    first = start()
    url = first.url()
    second = start()
    out, err = second.process.communicate(timeout=60)

    assert second.process.returncode == 3
    assert out == ""
    assert err == (
        f"the board of this lab is served already, by process {first.process.pid}: use that one,"
        " or end it first\n"
    )
    assert "<main" in _read(url)


def test_it_comes_back_where_it_was(start: Callable[..., Started]) -> None:
    first = start()
    url = first.url()
    first.process.kill()
    first.process.wait()

    assert start().url() == url


def test_a_learner_who_reads_the_list_of_processes_finds_no_token(
    made: Class, start: Callable[..., Started], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = write_program(
        tmp_path / "browser", '#!/bin/sh\necho "$1" >"$0.asked.new"\nmv "$0.asked.new" "$0.asked"\n'
    )
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    board = start("--open")
    token = board.url().split("/")[3]
    asked = tmp_path / "browser.asked"
    assert wait_until(asked.exists, 60, pause=0.05)
    address = asked.read_text().strip()

    assert address.startswith("file://")
    assert token not in address
    assert token in Path(address.removeprefix("file://")).read_text()
    assert token not in Path(f"/proc/{board.process.pid}/cmdline").read_text()


def test_where_no_lab_is_none_is_begun(settings: Settings) -> None:
    done = CliRunner().invoke(main, ["board"])

    assert done.exit_code == 1
    assert done.stderr == "there is no lab lab on this machine: `sopslab up` makes it\n"
    assert not Path(settings.lab_dir).exists()


def test_without_tls_it_is_not_served_over_the_network(made: Class) -> None:
    done = CliRunner().invoke(main, ["board", "--at-git-bind"])

    assert done.exit_code == 2
    assert "can be at git_bind only where" in done.stderr
