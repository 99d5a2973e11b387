"""A lab with post-quantum keys: the whole exercise works, and no classic recipient is added."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sopslab.errors import Exit
from tests.cluster.lab import Lab, lab_name, run
from tests.cluster.learner import FILE, Learner
from tests.cluster.test_rotate import assert_whole, rotate
from tests.texts import replaced

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def quantum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("quantum")
    with Lab(lab_name("quantum"), folder, {"age_key_type": "pq"}).made() as lab:
        yield lab


def recipients(clone: Path) -> set[str]:
    text = (clone / FILE).read_text()
    return {entry["recipient"] for entry in yaml.safe_load(text)["sops"]["age"]}


def classic(lab: Lab) -> str:
    """Return the recipient of a new classic identity, which nobody keeps."""
    return lab.run("sh", "-c", "age-keygen 2>/dev/null | age-keygen -y").stdout.strip()


def test_the_chapter_works_from_end_to_end(quantum: Lab, tmp_path: Path) -> None:
    learner = Learner(quantum, quantum.learner(tmp_path))
    learner.finish()
    found = recipients(learner.work)
    assert found == {quantum.recipient(), quantum.recipient("instructor")}
    assert all(name.startswith("age1pq1") for name in found)
    assert quantum.cluster_recipient() == quantum.recipient()
    told = learner.verify().by_id["key"]["found"]
    assert len(told) < 400, "a recipient is shown in full"
    quantum.run("scripts/sops-setup.sh", "--check", cwd=learner.work)
    assert quantum.up()["changed"] == 0


def test_a_classic_recipient_beside_them_is_refused_by_the_server(
    quantum: Lab, tmp_path: Path
) -> None:
    clone = quantum.learner(tmp_path)
    manifest = "apiVersion: v1\nkind: Secret\nmetadata: {name: mixed}\nstringData: {a: value}\n"
    mixed = ",".join([quantum.recipient(), quantum.recipient("instructor"), classic(quantum)])
    encrypted = subprocess.run(
        [
            *("sops", "encrypt", "--age", mixed),
            *("--encrypted-regex", "^(data|stringData)$", "--input-type", "yaml"),
            *("--output-type", "yaml", "/dev/stdin"),
        ],
        env=quantum.environment,
        input=manifest,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (clone / "flux/secrets/develop/mixed.yaml").write_text(encrypted)
    run(["git", "add", "--all"], cwd=clone)
    run(["git", "commit", "--quiet", "--no-verify", "-m", "mixed"], cwd=clone)
    pushed = quantum.run("git", "push", cwd=clone, check=False)
    assert pushed.returncode != 0
    assert "sops-mixed-recipients" in pushed.stderr


def test_a_lab_keeps_the_kind_that_it_began_with(quantum: Lab) -> None:
    before = quantum.recipient()
    kept = quantum.file.read_text()
    quantum.file.write_text(replaced(kept, "age_key_type: pq", "age_key_type: x25519"))
    try:
        answer = quantum.up(check=False)
    finally:
        quantum.file.write_text(kept)
    assert answer["code"] == Exit.KEYS
    assert "is of the kind pq, and age_key_type is x25519" in answer["problems"][0]
    assert quantum.recipient() == before
    assert quantum.up()["changed"] == 0


def test_a_key_that_leaked_is_replaced_by_one_of_the_same_kind(quantum: Lab) -> None:
    quantum.sopslab("reset", "--to", "done", "--json")
    old = quantum.recipient()
    rotate(quantum, "learner-key")
    found = recipients(Path(quantum.settings.work_dir))
    assert found == {quantum.recipient(), quantum.recipient("instructor")}
    assert old not in found and all(name.startswith("age1pq1") for name in found)
    assert quantum.cluster_recipient() == quantum.recipient()
    assert_whole(quantum)
