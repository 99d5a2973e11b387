"""`up` brings a lab that an older version made up to date, and the lab loses nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.layout import PROJECT
from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.cluster.test_elsewhere import another_root

pytestmark = pytest.mark.soak

# A commit from before the Git server handed out kubeconfigs. Once a version is released, this has
# to be its tag. The present store has to have everything of the older version.
OLDER = "f0161ef7f8fedc7d8053202163f06bbddffff2cb"


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The older product, in a folder that Python searches before the present one."""
    folder = tmp_path_factory.mktemp("older")
    packed = subprocess.run(
        ["git", "archive", OLDER], cwd=PROJECT, capture_output=True, check=False
    )
    assert packed.returncode == 0, "this needs the history: `git fetch --unshallow`"
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    # Hide the installed distribution, too: it has plugins of pyinfra from the present product.
    about = folder / "sops_lab-0.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: sops-lab\nVersion: 0\n")
    return folder


def handed_out(classroom: Classroom) -> set[str]:
    """Return the seats for which the Git server has a kubeconfig."""
    found = Path(classroom.lab.settings.git_dir).glob("access/*/kubeconfig")
    return {path.parent.name for path in found}


@pytest.fixture(scope="module")
def aged(older: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """A class that the older product made, in a root of its own: in the store, it replaces what was
    made by other recipes than its own, and labs of other tests need that."""
    folder = tmp_path_factory.mktemp("aged")
    plain = Path(Lab(lab_name("plain"), folder, {}).settings.root)
    root = another_root(plain, folder / "root")
    classroom = Classroom(Lab(lab_name("aged"), folder, {}, root=str(root)))
    classroom.lab.remove()
    try:
        classroom.up(PYTHONPATH=str(older))
        assert not handed_out(classroom), "this was the present version"
        # The present version finds what it has made itself, which takes minutes.
        shutil.rmtree(root / "store")
        run(["cp", "-al", str(plain / "store"), str(root)])
        yield classroom
    finally:
        classroom.lab.remove()


def test_an_up_of_the_present_version_keeps_what_is_the_learners(
    aged: Classroom, tmp_path: Path
) -> None:
    lab = aged.lab
    ids = (*SEATS, lab.settings.learner.id)
    keys = {name: lab.recipient(name) for name in (*ids, "instructor")}
    pushed = lab.push_notes(tmp_path)
    aged.push(aged.clone("ada", tmp_path))
    heads = {seat: aged.head(seat) for seat in SEATS}

    aged.up()

    assert {name: lab.recipient(name) for name in keys} == keys
    assert lab.head() == pushed
    assert {seat: aged.head(seat) for seat in SEATS} == heads
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected
    for seat in SEATS:
        aged.kubectl_as(seat, "get", "pods")
    assert handed_out(aged) == set(SEATS)
    wait_until(lambda: aged.up()["changed"] == 0, "nothing is left to do", 120)
