"""A run that really fails ends with the exit code of the step that failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sopslab.errors import Exit
from tests.cluster.classroom import Classroom
from tests.cluster.lab import Lab, lab_name, run
from tests.cluster.test_rotate import rotate

pytestmark = pytest.mark.soak


@contextmanager
def obstructed(path: Path) -> Iterator[None]:
    """Put a file where a folder belongs, for as long as the block runs."""
    aside = path.with_name(f"{path.name}.aside")
    if path.exists():
        path.rename(aside)
    path.write_text("no folder\n")
    try:
        yield
    finally:
        path.unlink()
        if aside.exists():
            aside.rename(path)


def code_of(lab: Lab, **more: str) -> Exit:
    """Return the exit code of an `up` that fails, and says why."""
    answer = lab.up(check=False, umask=-1, **more)
    assert answer["problems"]
    assert len(answer["problems"]) == len(set(answer["problems"]))
    return Exit(answer["code"])


def test_the_git_server_has_no_place_for_the_repositories(lab: Lab) -> None:
    with obstructed(lab.bare.parent):
        assert code_of(lab) is Exit.GIT


def test_the_learners_clone_has_no_place(lab: Lab) -> None:
    with obstructed(Path(lab.settings.work_dir)):
        assert code_of(lab) is Exit.LEARNERS


def test_the_canary_does_not_arrive(lab: Lab, tmp_path: Path) -> None:
    clone = lab.learner(tmp_path)
    (clone / "flux/secrets/develop/kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    run(["git", "commit", "--quiet", "--all", "--no-verify", "--message", "Break it"], cwd=clone)
    run(["git", "push", "--quiet", "--force", str(lab.bare), "HEAD:main"], cwd=clone)
    assert code_of(lab) is Exit.CANARY


def test_a_tool_cannot_be_had(tmp_path: Path) -> None:
    # The root is empty, and no proxy serves modules.
    lab = Lab(lab_name("exit-codes"), tmp_path, {}, root=str(tmp_path / "root"))
    done = lab.sopslab("fetch", check=False, GOPROXY="off", GOFLAGS="-mod=mod")
    assert done.returncode == Exit.ARTIFACTS, done.stdout + done.stderr


def test_access_has_no_place(classroom: Classroom) -> None:
    with obstructed(Path(classroom.lab.settings.seat_dir("ada"))):
        done = classroom.lab.sopslab("reissue", "ada", "--json", check=False)
    assert done.returncode == Exit.ACCESS, done.stdout + done.stderr
    classroom.lab.sopslab("reissue", "ada")
    classroom.kubectl_as("ada", "get", "pods")


def test_a_rotation_has_no_place_for_its_record(lab: Lab) -> None:
    with obstructed(Path(lab.settings.lab_dir) / "rotations"):
        answer = rotate(lab, "learner-key", check=False)
    assert Exit(answer["code"]) is Exit.INVENTORY, answer


def test_a_value_is_left_that_only_a_human_can_make(lab: Lab, tmp_path: Path) -> None:
    clone = lab.learner(tmp_path)
    file = "flux/secrets/develop/tls.yaml"
    manifest = {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "tls", "namespace": "develop"},
        "stringData": {"tls.crt": "a certificate", "tls.key": "its key"},
    }  # fmt: skip
    encrypted = lab.run(
        "sops", "encrypt", "--filename-override", file, "--input-type", "json",
        "--output-type", "yaml", "/dev/stdin", cwd=clone, stdin=json.dumps(manifest),
    ).stdout  # fmt: skip
    (clone / file).write_text(encrypted)
    listed = clone / "flux/secrets/develop/kustomization.yaml"
    listed.write_text(f"{listed.read_text()}  - tls.yaml\n")
    run(["git", "add", "flux"], cwd=clone)
    run(["git", "commit", "--quiet", "--message", "Add a certificate"], cwd=clone)
    run(["git", "push", "--quiet"], cwd=clone)
    answer = rotate(lab, "value-exposed", "--exposed", "tls/tls.key", check=False)
    assert Exit(answer["code"]) is Exit.VALUES, answer
    assert any("tls.key" in problem for problem in answer["problems"])
