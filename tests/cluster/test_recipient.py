"""A lab that gets its instructor's public key: the private half is on no machine of the lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.errors import Exit
from sopslab.layout import CANARY_PATH
from tests.cluster.lab import Lab, lab_name
from tests.cluster.learner import FILE, Learner
from tests.cluster.test_rotate import assert_whole, rotate, show, sops
from tests.repositories import make_identity
from tests.texts import replaced

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The instructor's identity, which the lab never sees."""
    path = tmp_path_factory.mktemp("instructor") / "mine.agekey"
    make_identity(path)
    return path


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, elsewhere: Path) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("recipient")
    given = {"instructor_recipient": recipient_of(elsewhere)}
    with Lab(lab_name("recipient"), folder, given).made() as lab:
        yield lab


def recipient_of(identity: Path) -> str:
    """Return the public key that `age-keygen` noted in the file of an identity."""
    (line,) = [one for one in identity.read_text().splitlines() if "public key: " in one]
    return line.rpartition(" ")[2]


def identities(lab: Lab) -> set[str]:
    """Return the names of the identities in the lab's folder."""
    return {path.name for path in Path(lab.settings.lab_dir).rglob("*.agekey")}


def test_the_chapter_works_and_the_instructor_opens_it_with_a_key_of_their_own(
    apart: Lab, elsewhere: Path, tmp_path: Path
) -> None:
    assert identities(apart) == {"learner.agekey"}
    Learner(apart, apart.learner(tmp_path)).finish()
    for path in (FILE, CANARY_PATH):
        assert sops(apart, show(apart, path), elsewhere).returncode == 0
    apart.run("git", "pull", "--quiet", "--rebase", cwd=Path(apart.settings.work_dir))
    assert_whole(apart)


def test_a_rotation_needs_the_environments_own_key_only(apart: Lab, elsewhere: Path) -> None:
    apart.sopslab("reset", "--to", "done", "--json")
    before = apart.recipient()
    rotate(apart, "learner-key")
    assert apart.recipient() != before == apart.recipient(archived(apart))
    for path in (FILE, CANARY_PATH):
        assert sops(apart, show(apart, path), elsewhere).returncode == 0
        assert before not in show(apart, path)
    assert "instructor.agekey" not in identities(apart)
    assert_whole(apart)
    refused = rotate(apart, "instructor-key", check=False)
    assert refused["code"] == Exit.INPUT
    assert "not on this machine" in refused["problems"][0]


def archived(lab: Lab) -> str:
    (path,) = Path(lab.settings.keys_dir, "archive").glob("learner-*.agekey")
    return f"archive/{path.stem}"


def test_another_recipient_takes_over_what_was_encrypted(
    apart: Lab, elsewhere: Path, tmp_path: Path
) -> None:
    apart.sopslab("reset", "--to", "done", "--json")
    follows = tmp_path / "other.agekey"
    given = apart.file.read_text()
    before = recipient_of(elsewhere)
    apart.file.write_text(replaced(given, before, make_identity(follows)))
    try:
        assert apart.up()["code"] == Exit.OK
        for path in (FILE, CANARY_PATH):
            assert sops(apart, show(apart, path), follows).returncode == 0
            assert sops(apart, show(apart, path), elsewhere).returncode == 128
        assert_whole(apart)
    finally:
        apart.file.write_text(given)
        apart.up()
    assert sops(apart, show(apart, FILE), elsewhere).returncode == 0
