"""What git prints of a repository is read within bounds, and nothing is decided beyond them."""

from __future__ import annotations

import sys
import time

import pytest

from sopslab.policy import callers, sources
from sopslab.policy.output import Bounds, Exceeded, printed
from sopslab.policy.sources import Repository, SourceError, TooMuch
from tests.processes import runs
from tests.unit.policy.conftest import Repo

MIB = 1024 * 1024
WIDE = Bounds(64 * MIB, 60)


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


@pytest.mark.parametrize("size", [0, 1, 3 * MIB])
def test_what_a_program_prints_is_all_there(size: int) -> None:
    text = f"import sys; sys.stdout.write('x' * {size})"
    assert b"".join(printed(program(text), {}, Bounds(size, 60))) == b"x" * size


def test_what_a_program_reads_is_all_there_while_it_prints() -> None:
    given = b"abc\n" * MIB
    assert b"".join(printed(["cat"], {"PATH": "/usr/bin:/bin"}, WIDE, stdin=given)) == given


def test_a_program_that_does_not_read_is_given_up_by_the_writer_alone() -> None:
    assert list(printed(program("print()"), {}, WIDE, stdin=b"x" * MIB)) == [b"\n"]


@pytest.mark.parametrize(
    ("bounds", "text", "said"),
    [
        (Bounds(2 * MIB, 60), "while True: print('x' * 9999)", "prints more than 2 MiB"),
        (Bounds(64 * MIB, 0.5), "import time; time.sleep(60)", "takes longer than 0.5 s"),
        (
            Bounds(64 * MIB, 0.5),
            "import time\nwhile True: print(flush=True); time.sleep(0.01)",
            "takes longer than 0.5 s",
        ),
    ],
    ids=["much", "silent", "slow"],
)
def test_a_program_without_an_end_is_ended(bounds: Bounds, text: str, said: str) -> None:
    begun = f"import os; print(os.getpid(), flush=True)\n{text}"
    pieces, started = printed(program(begun), {}, bounds), time.monotonic()
    pid = next(pieces).split()[0].decode()
    with pytest.raises(Exceeded, match=said):
        list(pieces)
    assert time.monotonic() - started < 30
    assert not runs(pid)


def test_a_program_whose_output_nobody_wants_any_more_is_ended() -> None:
    pieces = printed(
        program("import os, time; print(os.getpid(), flush=True); time.sleep(60)"), {}, WIDE
    )
    pid = next(pieces).split()[0].decode()
    pieces.close()
    assert not runs(pid)


def test_what_a_repository_is_asked_has_its_bounds(repo: Repo) -> None:
    commit = repo.commit("a.yaml", "a\n" * 100)
    narrow = Repository(str(repo.folder), bounds=Bounds(10, 60))
    with pytest.raises(TooMuch, match="too much to look at at once: git ls-tree prints more"):
        narrow.run("ls-tree", "-r", commit)
    with pytest.raises(TooMuch, match="git ls-tree"):
        list(narrow.tree(commit, most=(10, MIB)))
    with pytest.raises(SourceError, match="git ls-tree failed with exit code"):
        narrow.run("ls-tree", "nothing")
    wide = Repository(str(repo.folder))
    assert list(wide.records("ls-tree", "-z", "--name-only", commit)) == [b"a.yaml"]


def test_a_history_that_lists_too_much_is_not_taken_for_a_clean_one(
    repo: Repo, gitleaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        repo.commit(f"{number}.yaml", f"a: {number}\n")
    folder = str(repo.folder)
    assert callers.history(folder).exit_code == 0
    monkeypatch.setattr(sources, "OWN", Bounds(150, 60))
    report = callers.history(folder)
    assert report.exit_code == 2
    assert report.undecided == [
        "there is too much to look at at once: git diff-tree prints more than 0 MiB"
    ]


def test_what_is_staged_and_lists_too_much_is_not_taken_for_clean(
    repo: Repo, gitleaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("a.yaml", "a: b\n")
    repo.git("add", "-A")
    folder = str(repo.folder)
    assert callers.pre_commit(folder).exit_code == 0
    monkeypatch.setattr(sources, "OWN", Bounds(10, 60))
    assert callers.pre_commit(folder).exit_code == 2
