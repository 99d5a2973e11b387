"""`sopslab backup` and `sopslab restore`: who can open a backup, their output, and their
refusals."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from sopslab.checks.takeover import FORMAT
from sopslab.cli.main import main
from sopslab.config.inputs import LAB, LAB_FILE, ROOT
from sopslab.config.settings import Settings
from sopslab.errors import Exit
from sopslab.lab.act.repositories import DOOMED
from sopslab.model.formats import Format, render_format
from tests.conftest import find_tool
from tests.unit.backups.backup_material import Made

Sopslab = Callable[..., Result]
KIM = {"id": "kim", "name": "Kim", "email": "kim@example.org"}
IN_CLUSTER: dict[str, object] = {
    "cluster_provider": "existing", "context": "prod", "kubeconfig": "/home/ada/config",
    "registry": "registry.example/class",
    "git_in_cluster": {"host": "git.example.org", "port": 443},
}  # fmt: skip


@pytest.fixture
def sopslab(made: Made, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch) -> Sopslab:
    """Return a function that runs the command on the lab of `made`."""
    monkeypatch.setenv(ROOT, made.settings.root)
    return lambda *arguments, **more: CliRunner().invoke(main, list(map(str, arguments)), **more)


def lab_file(monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: object) -> None:
    """Choose a lab file with these settings."""
    path = folder / "chosen.yaml"
    path.write_text(yaml.safe_dump(settings))
    monkeypatch.setenv(LAB_FILE, str(path))


def problems(done: Result) -> Sequence[str]:
    """Return the problems of a command that refused its input."""
    assert done.exit_code == Exit.INPUT, done.output
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_a_lab_goes_to_another_machine_with_the_settings_that_belong_to_it(
    sopslab: Sopslab, made: Made, elsewhere: Settings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = tmp_path / "lab.age"
    lab_file(monkeypatch, tmp_path, learner=KIM, git_port=9000)
    done = sopslab("backup", file, "--recipient", made.recipient, "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"], told["lab"]) == (0, True, "lab")
    assert (told["repositories"], told["commits"], told["seats"]) == (3, 3, 0)
    assert told["bytes"] == file.stat().st_size and told["seconds"] >= 0
    assert told["left_out"] == ["work/elsewhere", "work/link"]

    monkeypatch.setenv(ROOT, elsewhere.root)
    monkeypatch.delenv(LAB_FILE)
    done = sopslab("restore", file, "--identity", made.identity)
    assert done.exit_code == 0, done.output
    kept = Path(elsewhere.lab_dir, "lab.yaml")
    assert yaml.safe_load(kept.read_text()) == {"lab": "lab", "learner": KIM}
    assert kept.stat().st_mode & 0o777 == 0o600
    assert f"other settings (learner): they are in {kept}" in done.stdout
    assert f"clone in {elsewhere.work_dir} are the backup's" in done.stdout
    assert done.stdout.splitlines()[-1] == "Next: sopslab up"
    assert Path(elsewhere.keys_dir, "ada.agekey").exists()


def test_with_the_same_settings_there_is_nothing_to_copy(
    sopslab: Sopslab, made: Made, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOT, elsewhere.root)
    done = sopslab("restore", made.file, "--identity", made.identity, "--json")
    told = json.loads(done.stdout)
    assert (told["ok"], told["commits"], told["settings"]) == (True, 3, None)
    assert told["files"] == made.written.files
    assert not Path(elsewhere.lab_dir, "lab.yaml").exists()


def test_nobody_is_taken_for_granted(sopslab: Sopslab, tmp_path: Path) -> None:
    (said,) = problems(sopslab("backup", tmp_path / "f"))
    assert "name who may open the backup" in said
    assert not (tmp_path / "f").exists()


def test_an_instructors_key_that_is_elsewhere_opens_it(
    sopslab: Sopslab, made: Made, elsewhere: Settings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    lab_file(monkeypatch, tmp_path, instructor_recipient=made.recipient)
    assert sopslab("backup", tmp_path / "f").exit_code == 0
    monkeypatch.setenv(ROOT, elsewhere.root)
    assert sopslab("restore", tmp_path / "f", "--identity", made.identity).exit_code == 0


def test_all_that_is_wrong_with_recipients_is_told_and_no_identity_repeated(
    sopslab: Sopslab, made: Made, tmp_path: Path
) -> None:
    identity = made.identity.read_text().splitlines()[-1]
    own = Path(made.settings.keys_dir, "instructor.pub").read_text().strip()
    mistyped = made.recipient[:-1] + ("p" if made.recipient.endswith("q") else "q")
    given = (identity, own, "ssh-ed25519 AAAA", mistyped)
    options = [word for one in given for word in ("--recipient", one)]
    said = problems(sopslab("backup", tmp_path / "f", *options))
    for problem, part in zip(
        said, ("is an identity", "keys/instructor.agekey", "age's own", "checksum"), strict=True
    ):
        assert part in problem
    assert identity not in "".join(said)


def test_recipients_of_two_kinds_do_not_go_together(
    sopslab: Sopslab, made: Made, tmp_path: Path
) -> None:
    made_too = subprocess.run(
        [find_tool("age-keygen"), "-pq"], capture_output=True, text=True, check=True
    ).stdout
    quantum = re.findall(r"age1pq1\w+", made_too)[0]
    options = ("--recipient", made.recipient, "--recipient", quantum)
    (said,) = problems(sopslab("backup", tmp_path / "f", *options))
    assert "do not go together" in said
    both = ("--recipient", made.recipient, "--passphrase")
    assert "exclude one another" in problems(sopslab("backup", tmp_path / "f", *both))[0]


@pytest.mark.parametrize("typed", ["", "short", "eleven char", "a\tb" * 9])
def test_a_passphrase_that_can_be_guessed_is_refused(
    sopslab: Sopslab, tmp_path: Path, typed: str
) -> None:
    done = sopslab("backup", tmp_path / "f", "--passphrase", input=f"{typed}\n")
    (said,) = problems(done)
    assert said.startswith("the passphrase has")
    assert not typed or typed not in said


def test_a_backup_is_not_kept_in_what_it_is_of(sopslab: Sopslab, made: Made) -> None:
    place = Path(made.settings.lab_dir, "work", "f")
    done = sopslab("backup", place, "--recipient", made.recipient)
    assert "is lost with it" in problems(done)[0]
    done = sopslab("backup", "/nowhere/f", "--recipient", made.recipient)
    assert "cannot be written" in problems(done)[0]


def test_what_is_no_ordinary_file_is_not_replaced(
    sopslab: Sopslab, made: Made, tmp_path: Path
) -> None:
    pipe, link, kept = (tmp_path / name for name in ("pipe", "link", "kept"))
    os.mkfifo(pipe)
    kept.write_text("mine\n")
    link.symlink_to(kept)
    for place in (pipe, link):
        done = sopslab("backup", place, "--recipient", made.recipient)
        assert "is no ordinary file" in problems(done)[0]
    assert pipe.is_fifo() and link.is_symlink() and kept.read_text() == "mine\n"


def test_a_lab_that_is_not_there_or_newer_is_not_backed_up(
    sopslab: Sopslab, made: Made, elsewhere: Settings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(ROOT, elsewhere.root)
    backup = ("backup", tmp_path / "f", "--recipient", made.recipient)
    done = sopslab(*backup)
    assert (done.exit_code, "there is no lab lab" in done.stderr) == (Exit.FAILED, True)
    Path(elsewhere.keys_dir).mkdir(parents=True)
    Path(elsewhere.format_file).write_text(render_format(Format(FORMAT + 1, "9.1.0")))
    assert sopslab(*backup).exit_code == Exit.FORMAT
    assert not (tmp_path / "f").exists()


def test_a_lab_without_its_repositories_is_not_backed_up(
    sopslab: Sopslab, made: Made, elsewhere: Settings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(ROOT, elsewhere.root)
    Path(elsewhere.keys_dir).mkdir(parents=True)
    Path(elsewhere.format_file).write_text(render_format(Format(FORMAT)))
    done = sopslab("backup", tmp_path / "f", "--recipient", made.recipient)
    assert (done.exit_code, "there are no repositories in" in done.stderr) == (Exit.FAILED, True)
    assert not (tmp_path / "f").exists()


@pytest.fixture
def copied(made: Made) -> Iterator[Callable[[str, str], None]]:
    """Return a function that copies a folder of the lab's repositories; the copies are removed at
    the end."""
    folder, copies = Path(made.settings.git_dir, "repositories"), []

    def copy(source: str, target: str) -> None:
        copies.append(folder / target)
        shutil.copytree(folder / source, folder / target)

    yield copy
    for each in copies:
        shutil.rmtree(each)


def test_every_repository_that_no_restore_would_take_is_named_before_anything_is_written(
    sopslab: Sopslab, made: Made, tmp_path: Path, copied: Callable[[str, str], None]
) -> None:
    copied("ada", "ada.bak")
    copied("bob/lab.git", "bob/lab.old.git")
    done = sopslab("backup", tmp_path / "f", "--recipient", made.recipient)
    assert done.exit_code == Exit.FAILED, done.output
    first, second = done.stderr.splitlines()
    assert "/ada.bak/lab.git is no repository of a lab" in first
    assert "/bob/lab.old.git is no repository of a lab" in second
    assert not (tmp_path / "f").exists()


def test_a_backup_leaves_no_repository_out_that_has_lost_its_head(
    sopslab: Sopslab, made: Made, tmp_path: Path, copied: Callable[[str, str], None]
) -> None:
    copied("ada", "eve")
    Path(made.settings.git_dir, "repositories", "eve", "lab.git", "HEAD").unlink()
    done = sopslab("backup", tmp_path / "f", "--recipient", made.recipient)
    assert done.exit_code == Exit.FAILED, done.output
    assert "the repository eve/lab could not be read" in done.stderr
    assert not (tmp_path / "f").exists()


def test_what_a_killed_run_was_removing_is_not_in_a_backup(
    sopslab: Sopslab, made: Made, elsewhere: Settings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, copied: Callable[[str, str], None],
) -> None:  # fmt: skip
    copied("ada", f"{DOOMED}eve")
    done = sopslab("backup", tmp_path / "f", "--recipient", made.recipient)
    assert done.exit_code == 0, done.output
    monkeypatch.setenv(ROOT, elsewhere.root)
    done = sopslab("restore", tmp_path / "f", "--identity", made.identity)
    assert done.exit_code == 0, done.output
    restored = Path(elsewhere.git_dir, "repositories")
    assert sorted(path.name for path in restored.iterdir()) == ["ada", "bob", "platform.git"]


def test_a_lab_whose_repositories_are_in_the_cluster_is_not_backed_up_without_them(
    sopslab: Sopslab, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab_file(monkeypatch, tmp_path, **IN_CLUSTER)
    done = sopslab("backup", tmp_path / "f", "--recipient", made.recipient)
    assert done.exit_code == Exit.FAILED
    assert "lab: the Git server in the cluster does not answer" in done.stderr
    assert not (tmp_path / "f").exists()


def test_a_restore_says_whose_repositories_count_where_the_cluster_may_have_others(
    sopslab: Sopslab, made: Made, elsewhere: Settings, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(ROOT, elsewhere.root)
    lab_file(monkeypatch, tmp_path, **IN_CLUSTER)
    done = sopslab("restore", made.file, "--identity", made.identity)
    assert done.exit_code == 0, done.output
    assert "kubectl delete namespace sops-lab-git-lab" in done.stdout


def test_a_restore_asks_for_what_opens_the_file(
    sopslab: Sopslab, made: Made, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOT, elsewhere.root)
    assert "--identity FILE" in problems(sopslab("restore", made.file))[0]


def test_another_lab_is_not_restored_under_this_name(
    sopslab: Sopslab, made: Made, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOT, elsewhere.root)
    monkeypatch.setenv(LAB, "other")
    done = sopslab("restore", made.file, "--identity", made.identity)
    assert done.exit_code == Exit.FAILED
    assert "it is of the lab 'lab', and other is chosen (SOPSLAB_LAB)" in done.stderr
