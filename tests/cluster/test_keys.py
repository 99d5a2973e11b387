"""Keys are never lost, overwritten or silently made anew; a disagreement stops the run."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sopslab.config.job import free_port
from sopslab.errors import Exit
from sopslab.layout import PROJECT
from tests.cluster.lab import Lab, as_root, lab_name, run
from tests.marks import mostly_soak, soak

KEYS_ONLY = """from sopslab.run.session import begin
from tasks.keys import provide_keys

provide_keys(begin())
"""


def key_file(lab: Lab) -> Path:
    return Path(lab.settings.keys_dir) / f"{lab.settings.learner.id}.agekey"


def version(lab: Lab) -> str:
    """Return the resourceVersion of `sops-age`, which every write to it changes."""
    return lab.kubectl(
        "-n", "flux-system", "get", "secret", "sops-age",
        "-o", "jsonpath={.metadata.uid}/{.metadata.resourceVersion}",
    )  # fmt: skip


def put_into_cluster(lab: Lab, identity: str) -> None:
    secret = json.loads(lab.kubectl("-n", "flux-system", "get", "secret", "sops-age", "-ojson"))
    del secret["data"], secret["metadata"]["resourceVersion"]
    secret["stringData"] = {"age.agekey": identity}
    lab.run("kubectl", "replace", "--filename=-", stdin=json.dumps(secret))


def new_identity(lab: Lab) -> tuple[str, str]:
    """Return an identity to which nothing is encrypted, and its public key."""
    identity = lab.run("age-keygen").stdout
    return identity, lab.run("age-keygen", "-y", stdin=identity).stdout.strip()


@pytest.fixture
def kept_keys(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """Put the key store back to what it was, whatever the test did to it."""
    folder = Path(lab.settings.keys_dir)
    shutil.copytree(folder, tmp_path / "kept", symlinks=True)
    yield folder
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder, symlinks=True)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.restores
def test_a_wrong_key_in_the_cluster_stops_the_run_until_it_is_said_which_is_right(
    lab: Lab, kept_keys: Path
) -> None:
    identity, wrong = new_identity(lab)
    put_into_cluster(lab, identity)
    before, content = version(lab), key_file(lab).read_bytes()
    answer = lab.up(check=False)
    assert answer["code"] == Exit.KEYS and answer["changed"] == 0
    said = "\n".join(answer["problems"])
    assert lab.recipient() in said and wrong in said
    assert "--key-from store" in said and "--key-from cluster" in said
    assert version(lab) == before and key_file(lab).read_bytes() == content
    answer = lab.up("--key-from", "store")
    assert [change.split(": ")[1] for change in lab.changes(answer)] == ["Give Flux its Secrets"]
    assert lab.cluster_recipient() == lab.recipient()
    assert key_file(lab).read_bytes() == content


@pytest.mark.soak
@pytest.mark.restores
def test_a_wrong_key_in_the_store_is_replaced_by_the_clusters_and_archived(
    lab: Lab, kept_keys: Path
) -> None:
    right, before = lab.recipient(), version(lab)
    identity, wrong = new_identity(lab)
    key_file(lab).write_text(identity)
    key_file(lab).with_suffix(".pub").write_text(f"{wrong}\n")
    assert lab.up(check=False)["code"] == Exit.KEYS
    answer = lab.up("--key-from", "cluster")
    assert [change.split(": ")[1] for change in lab.changes(answer)] == ["Make the identities"]
    assert lab.recipient() == right and version(lab) == before
    (archived,) = (kept_keys / "archive").iterdir()
    assert archived.read_text() == identity
    for path in (key_file(lab), archived):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.soak
@pytest.mark.restores
def test_a_deleted_key_is_recovered_from_the_cluster_only_when_asked(
    lab: Lab, kept_keys: Path
) -> None:
    right, before = lab.recipient(), version(lab)
    key_file(lab).unlink()
    answer = lab.up(check=False)
    assert answer["code"] == Exit.KEYS and answer["changed"] == 0
    (said,) = answer["problems"]
    assert right in said and "sopslab up --key-from cluster" in said
    assert not key_file(lab).exists() and version(lab) == before
    lab.up("--key-from", "cluster")
    assert lab.recipient() == right and version(lab) == before
    assert stat.S_IMODE(key_file(lab).stat().st_mode) == 0o600


@pytest.mark.soak
def test_a_key_that_is_gone_everywhere_is_not_made_anew(lab: Lab, kept_keys: Path) -> None:
    right = lab.recipient()
    key_file(lab).unlink()
    lab.kubectl("-n", "flux-system", "delete", "secret", "sops-age")
    for arguments in ([], ["--key-from", "cluster"]):
        answer = lab.up(*arguments, check=False)
        assert answer["code"] == Exit.KEYS
        (said,) = answer["problems"]
        assert right in said and "backup" in said
        assert not key_file(lab).exists()


def one_character(content: bytes) -> bytes:
    head, mark, tail = content.rpartition(b"AGE-SECRET-KEY-1")
    return head + mark + (b"Q" if tail[:1] != b"Q" else b"P") + tail[1:]


def with_bom(content: bytes) -> bytes:
    return b"\xef\xbb\xbf" + content


@pytest.mark.restores
@pytest.mark.parametrize(
    "damage",
    [
        one_character,
        *(
            soak(damage)
            for damage in (lambda content: content[:-20], lambda content: b"", with_bom)
        ),
    ],
    ids=["one character", "truncated", "empty", "byte order mark"],
)
def test_a_corrupted_key_is_refused_and_neither_it_nor_the_cluster_is_touched(
    lab: Lab, kept_keys: Path, damage: Callable[[bytes], bytes]
) -> None:
    damaged = damage(key_file(lab).read_bytes())
    key_file(lab).write_bytes(damaged)
    before = version(lab)
    answer = lab.up(check=False)
    assert answer["code"] == Exit.KEYS and answer["changed"] == 0
    (said,) = answer["problems"]
    assert str(key_file(lab)) in said and "restore it from your backup" in said
    assert key_file(lab).read_bytes() == damaged and version(lab) == before


@pytest.mark.soak
@pytest.mark.restores
def test_two_identities_in_a_key_file_are_refused(lab: Lab, kept_keys: Path) -> None:
    key_file(lab).write_text(key_file(lab).read_text() + new_identity(lab)[0])
    before = version(lab)
    answer = lab.up(check=False)
    assert answer["code"] == Exit.KEYS and "one valid age identity" in answer["problems"][0]
    assert version(lab) == before


@pytest.mark.soak
@pytest.mark.restores
def test_a_key_that_others_may_read_is_refused_with_the_command_that_helps(
    lab: Lab, kept_keys: Path
) -> None:
    key_file(lab).chmod(0o644)
    before = version(lab)
    answer = lab.up(check=False)
    assert answer["code"] == Exit.KEYS
    command = f"chmod 600 {key_file(lab)}"
    assert answer["problems"][0].endswith(command)
    assert version(lab) == before
    assert stat.S_IMODE(key_file(lab).stat().st_mode) == 0o644


@pytest.mark.soak
@pytest.mark.restores
def test_a_key_that_is_a_symbolic_link_is_refused(lab: Lab, kept_keys: Path) -> None:
    elsewhere = lab.folder / "elsewhere.agekey"
    key_file(lab).rename(elsewhere)
    key_file(lab).symlink_to(elsewhere)
    before = version(lab)
    try:
        answer = lab.up(check=False)
        assert answer["code"] == Exit.KEYS and "symbolic link" in answer["problems"][0]
        assert key_file(lab).is_symlink() and version(lab) == before
    finally:
        elsewhere.unlink()


@pytest.mark.soak
@pytest.mark.restores
def test_a_cluster_deleted_by_hand_comes_back_with_the_same_keys(lab: Lab, tmp_path: Path) -> None:
    recipients = [lab.recipient(), lab.recipient("instructor")]
    head = lab.head()
    lab.run("kind", "delete", "cluster", "--name", lab.name)
    answer = lab.up(umask=0o077)
    assert answer["changed"] > 0
    assert [lab.recipient(), lab.recipient("instructor")] == recipients
    assert lab.cluster_recipient() == recipients[0]
    assert lab.head() == head
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected
    assert stat.S_IMODE(Path(lab.settings.lab_kubeconfig).stat().st_mode) == 0o600


def make_keys(lab: Lab, folder: Path, umask: int = -1) -> subprocess.CompletedProcess[str]:
    """Run only the step Keys of the real deploy; of the Git server, the lab has only its folder."""
    Path(lab.settings.git_dir).mkdir(parents=True, exist_ok=True)
    deploy = folder / "keys.py"
    deploy.write_text(KEYS_ONLY)
    return run(
        [sys.executable, "-m", "pyinfra", "inventories/local.py", str(deploy), "--yes"],
        env=lab.base_environment, cwd=PROJECT, check=False, umask=umask,
    )  # fmt: skip


@pytest.fixture
def bare(tmp_path: Path) -> Lab:
    """A lab that has its tools and nothing else."""
    root = tmp_path / "root"
    bare = Lab(lab_name("keys"), tmp_path / "lab", {"root": str(root), "git_port": free_port()})
    root.mkdir()
    (root / "bin").symlink_to(Lab(lab_name("keys"), tmp_path / "other", {}).settings.bin_dir)
    return bare


@pytest.mark.parametrize("umask", mostly_soak((0o000, 0o077), 0o000))
def test_keys_are_private_under_any_umask(bare: Lab, tmp_path: Path, umask: int) -> None:
    done = make_keys(bare, tmp_path, umask)
    assert done.returncode == 0, done.stderr
    folder = Path(bare.settings.keys_dir)
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert names["learner.agekey"] == names["instructor.agekey"] == 0o600
    assert set(names) == {
        "learner.agekey", "learner.pub", "instructor.agekey", "instructor.pub",
    }  # fmt: skip
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.soak
def test_a_full_disk_leaves_every_key_as_it_was(bare: Lab, tmp_path: Path) -> None:
    top = Path(bare.settings.lab_dir)
    top.mkdir(parents=True, mode=0o700)
    owner = f"uid={os.getuid()},gid={os.getgid()}"
    run(as_root("mount", "-t", "tmpfs", "-o", f"size=64k,mode=0700,{owner}", "none", str(top)))
    try:
        assert make_keys(bare, tmp_path).returncode == 0
        keys = Path(bare.settings.keys_dir)
        for path in keys.glob("learner.*"):
            path.unlink()
        kept = {path.name: path.read_bytes() for path in keys.iterdir()}
        with pytest.raises(OSError, match="No space left"), (top / "filling").open("wb") as file:
            while True:
                file.write(b"\0" * 4096)
                file.flush()
        done = make_keys(bare, tmp_path)
        assert done.returncode != 0
        assert "Make the identities" in done.stderr, "it failed somewhere else"
        assert "learner.agekey: the disk is full" in done.stderr
        assert {path.name: path.read_bytes() for path in keys.glob("*.*")} == kept
        (top / "filling").unlink()
        assert make_keys(bare, tmp_path).returncode == 0
        assert bare.recipient() != bare.recipient("instructor")
        assert {name: (keys / name).read_bytes() for name in kept} == kept
    finally:
        run(as_root("umount", str(top)))
