"""Links in a learner's tree: nothing that runs with the instructor's rights follows one of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.environment import at_seat
from sopslab.config.settings import Settings
from sopslab.incidents.leak import PATH, leak_dir
from sopslab.provision.operations import drill
from tasks.drill import drill_text
from tests.beginnings import begin
from tests.fake import Applied
from tests.marks import mostly_soak
from tests.repositories import learner
from tests.texts import write_program
from tests.unit.test_faults import IN_GIT, KUBECTL, follow, inject, undo
from tests.unit.test_reset import FOLDER, KUSTOMIZATION, Class

LIST = f"{FOLDER}/kustomization.yaml"
# Paths that are read or written for a learner, with the folders on the way.
ON_THE_WAY = ["flux", "flux/secrets", FOLDER, LIST]
LINKS = [*ON_THE_WAY, PATH, ".sops.yaml", "lab.md", "src/app.py", ".gitattributes"]


@pytest.fixture
def classroom(
    lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path, beginnings: Path
) -> Class:
    """Return a seat whose learner has done the exercise."""
    made = Class(lab(), tmp_path / "learners", {})
    ada = at_seat(learner("ada"))

    def make() -> None:
        folder = tools("sops", "age", "age-keygen")
        write_program(folder / "kubectl", KUBECTL)
        made.folder.mkdir()
        made.add(ada)
        assert made.reset("ada", to="done").changed
        follow(made, "ada")

    if begin(tmp_path, beginnings / "classroom", make):
        made.find(ada)
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the instructor's in which writes through a link would succeed."""
    folder = tmp_path / "outside"
    for part in ("", "flux/secrets/develop", "secrets/develop", "develop", "src"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / part / "kustomization.yaml").write_text(KUSTOMIZATION)
    return folder


def seen(folder: Path) -> dict[str, bytes]:
    """Return every path below a folder, with the content of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def link(classroom: Class, path: str, outside: Path) -> str:
    """Put a link at `path` on a learner's main; the rest of the path exists at its target, too."""
    place = classroom.clone("ada") / path
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.is_dir():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    target = outside / path if path.count("/") > 2 else outside
    place.symlink_to(outside / "kustomization.yaml" if path == LIST else target)
    return classroom.commit("ada", f"Link {path}")


def stage(classroom: Class) -> Applied:
    environment = classroom.seats["ada"]
    return Applied(
        drill.leak,
        settings=classroom.settings,
        environment=environment,
        text=drill_text(classroom.settings, environment),
    )


@pytest.mark.parametrize("path", LINKS)
def test_a_drill_writes_through_no_link(classroom: Class, outside: Path, path: str) -> None:
    before, main = seen(outside), link(classroom, path, outside)

    done = stage(classroom)

    assert seen(outside) == before
    if path in (*ON_THE_WAY, PATH):
        assert done.failed
        assert f"{path} on main is not a file or folder but leads elsewhere" in done.stderr
        assert classroom.refs("ada")["heads/main"] == main
    else:
        assert not done.failed, done.stderr
    assert not [
        one
        for one in Path(leak_dir(classroom.settings, "ada")).parent.rglob("*")
        if one.is_symlink()
    ]


@pytest.mark.parametrize(
    "path", mostly_soak([*ON_THE_WAY, ".sops.yaml", "lab.md"], ON_THE_WAY[0], ".sops.yaml")
)
def test_a_fault_and_its_undoing_write_through_no_link(
    classroom: Class, outside: Path, path: str
) -> None:
    before = seen(outside)
    for fault in ("not-wired", "wrong-recipient"):
        assert not inject(classroom, fault).failed
        follow(classroom, "ada")
    link(classroom, path, outside)
    assert not undo(classroom).failed
    (Path(classroom.settings.lab_dir) / "faults" / "ada").unlink()
    follow(classroom, "ada")
    link(classroom, path, outside)
    for fault in IN_GIT:
        inject(classroom, fault)
    assert seen(outside) == before


def test_a_reset_to_every_checkpoint_writes_through_no_link(
    classroom: Class, outside: Path
) -> None:
    before = seen(outside)
    for number, path in enumerate(LINKS):
        link(classroom, path, outside)
        for checkpoint in ("start", "encrypted", "wired", "done"):
            assert not classroom.reset("ada", to=checkpoint, saved=f"saved/{number}").failed
            assert not classroom.failures()
        follow(classroom, "ada")
    assert seen(outside) == before


def test_an_attribute_of_a_learner_runs_no_program(
    classroom: Class, outside: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A learner cannot call filters, merge and diff drivers of the instructor's own git."""
    ran = tmp_path / "ran"
    configuration = tmp_path / "gitconfig"
    configuration.write_text(
        "".join(
            f'[{section} "lab"]\n\t{key} = "touch {ran}; cat"\n'
            for section, key in (
                ("filter", "clean"),
                ("filter", "smudge"),
                ("diff", "textconv"),
                ("diff", "command"),
                ("merge", "driver"),
            )
        )
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    work = classroom.clone("ada")
    (work / ".gitattributes").write_text("* filter=lab diff=lab merge=lab\n")
    # The instructor's own git calls the filter.
    subprocess.run(["git", "hash-object", ".gitattributes"], cwd=work, check=True)
    assert ran.exists()
    ran.unlink()
    classroom.commit("ada", "Have attributes")
    assert not inject(classroom, "not-wired").failed
    assert not undo(classroom).failed
    assert not classroom.reset("ada").failed
    follow(classroom, "ada")
    (work / ".gitattributes").write_text("* filter=lab diff=lab merge=lab\n")
    classroom.commit("ada", "Have attributes")
    assert not stage(classroom).failed
    assert not ran.exists()
