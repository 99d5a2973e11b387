"""The folder of the cards: private from the start, complete, and left alone when it is right."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.cards.folder import drop, put
from sopslab.errors import LabError
from sopslab.files.privatefile import NEW


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_0700_and_files_are_0600_under_any_umask(tmp_path: Path) -> None:
    cards = tmp_path / "class" / "cards"
    assert put(cards, {"ada.html": b"a"}) == ["ada.html"]
    assert mode(cards) == 0o700
    assert mode(cards / "ada.html") == 0o600


def test_a_file_is_never_readable_by_others_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    replace = Path.replace

    def look(self: Path, target: Path) -> Path:
        seen.append((mode(self), self.read_bytes(), self.parent == target.parent))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look)
    put(tmp_path, {"ada.html": b"a"})
    assert seen == [(0o600, b"a", True)]


def test_what_is_right_is_not_written_again(tmp_path: Path) -> None:
    put(tmp_path, {"ada.html": b"a", "bob.html": b"b"})
    before = {path.name: path.stat() for path in tmp_path.iterdir()}
    assert put(tmp_path, {"ada.html": b"a", "bob.html": b"c"}) == ["bob.html"]
    after = {path.name: path.stat() for path in tmp_path.iterdir()}
    assert before["ada.html"] == after["ada.html"]
    assert before["bob.html"].st_ino != after["bob.html"].st_ino


def test_modes_that_were_opened_are_closed_again(tmp_path: Path) -> None:
    put(tmp_path, {"ada.html": b"a"})
    tmp_path.chmod(0o755)
    (tmp_path / "ada.html").chmod(0o644)
    assert put(tmp_path, {"ada.html": b"a"}) == ["ada.html"]
    assert mode(tmp_path) == 0o700
    assert mode(tmp_path / "ada.html") == 0o600


def test_a_link_is_replaced_and_what_it_leads_to_is_not_written(tmp_path: Path) -> None:
    cards, other = tmp_path / "cards", tmp_path / "other"
    cards.mkdir()
    other.write_bytes(b"mine")
    (cards / "ada.html").symlink_to(other)
    put(cards, {"ada.html": b"a"})
    assert other.read_bytes() == b"mine"
    assert not (cards / "ada.html").is_symlink()


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"ada.html": b"a"})

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(LabError, match=r"cannot be written .*No space left on device"):
        put(tmp_path, {"ada.html": b"b"})
    assert [path.name for path in tmp_path.iterdir()] == ["ada.html"]
    assert (tmp_path / "ada.html").read_bytes() == b"a"


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / f"{NEW}a1b2").write_bytes(b"half a car")
    put(tmp_path, {"ada.html": b"a"})
    assert [path.name for path in tmp_path.iterdir()] == ["ada.html"]


def test_cards_of_those_who_left_go_and_other_files_stay(tmp_path: Path) -> None:
    put(tmp_path, {"ada.html": b"a", "bob.html": b"b", "bob.pdf": b"b"})
    (tmp_path / "notes.txt").write_text("mine")
    assert drop(tmp_path, ["ada"]) == ["bob.html", "bob.pdf"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ada.html", "notes.txt"]
