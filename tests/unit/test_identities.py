"""Age identities, with the real age-keygen: made once, kept, and refused if they are damaged."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.checks.snapshot import ClusterKey, Identity
from sopslab.config.environment import solo
from sopslab.config.naming import next_key
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.lab.act.identities import generate
from sopslab.lab.observe.host_secrets import held_keys
from sopslab.lab.observe.identities import identity_states
from sopslab.lab.observe.keys import PublicKeys, look_at_identity, recipients_here
from sopslab.model.identities import IdentityState
from sopslab.provision.operations import age
from tests.fake import Applied
from tests.repositories import make_identity, public_key
from tests.texts import write_program

BACKUP = "restore it from your backup"


def stand_in_kubectl(folder: Path, secret: object) -> None:
    """Put a kubectl into the lab's bin that answers with one object, alone or in a list."""
    answer = folder / "answer.json"
    answer.write_text(json.dumps(secret))
    (folder / "list.json").write_text(json.dumps({"items": [secret]}))
    write_program(
        folder / "kubectl",
        f"""#!/bin/sh
case "$*" in
*/secrets*) cat "{folder}/list.json" ;;
*) cat "{answer}" ;;
esac
""",
    )


def key_secret(identity: Path, entry: str = "age.agekey") -> object:
    return {
        "metadata": {"namespace": "flux-system"},
        "data": {entry: base64.b64encode(identity.read_bytes()).decode()},
    }


@pytest.fixture
def settings(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Settings:
    """A lab with the real age-keygen and a kubeconfig."""
    tools("age-keygen")
    found = lab()
    Path(found.lab_dir).mkdir(parents=True)
    Path(found.lab_kubeconfig).write_text("apiVersion: v1\n")
    return found


@pytest.fixture
def identity(settings: Settings) -> Path:
    """The identity of the lab's learner, as `up` makes it."""
    made = Applied(age.identities, settings=settings, keys={"learner": None})
    assert made.changed
    return Path(settings.keys_dir) / "learner.agekey"


def state(settings: Settings, key: str = "learner") -> tuple[str | None, str | None]:
    found = identity_states(settings.for_machine, keys=[key])[key]
    return found.recipient, found.problem


def identities(settings: Settings, *keys: str) -> dict[str, str | None]:
    found = identity_states(settings.for_machine, keys=list(keys))
    return {key: state.recipient for key, state in found.items()}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_an_identity_is_its_owners_alone_whatever_the_umask(settings: Settings, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert Applied(age.identities, settings=settings, keys={"learner": None}).changed
    finally:
        os.umask(before)
    folder = Path(settings.keys_dir)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "learner.agekey").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["learner.agekey", "learner.pub"]
    assert (folder / "learner.pub").read_text().strip() == public_key(folder / "learner.agekey")


def test_an_identity_that_is_there_is_left_alone(settings: Settings, identity: Path) -> None:
    before = identity.read_bytes(), identity.stat().st_mtime_ns
    again = Applied(age.identities, settings=settings, keys={"learner": None})
    assert (again.changed, again.failed) == (False, False)
    assert (identity.read_bytes(), identity.stat().st_mtime_ns) == before


def test_a_private_key_is_in_no_output(settings: Settings, identity: Path) -> None:
    secret = identity.read_text().split()[-1]
    assert secret.startswith("AGE-SECRET-KEY-1")
    made = Applied(age.identities, settings=settings, keys={"instructor": None})
    for output in (made.stdout, made.stderr):
        assert "AGE-SECRET-KEY" not in output


def change_one_character(path: Path) -> None:
    text = path.read_text().rstrip("\n")
    path.write_text(f"{text[:-1]}{'Q' if text[-1] != 'Q' else 'P'}\n")


def truncate(path: Path) -> None:
    text = path.read_text()
    path.write_text(text[: text.index("AGE-SECRET-KEY-1") + 40])


def add_bom(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def add_second(path: Path) -> None:
    other = path.with_name("other")
    make_identity(other)
    path.write_text(path.read_text() + other.read_text())
    other.unlink()


def make_link(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "one-character": (change_one_character, BACKUP),
    "truncated": (truncate, BACKUP),
    "empty": (lambda path: path.write_bytes(b""), BACKUP),
    "comments-only": (lambda path: path.write_text("# created\n"), BACKUP),
    "zeros": (lambda path: path.write_bytes(bytes(189)), BACKUP),
    "byte-order-mark": (add_bom, BACKUP),
    "two-identities": (add_second, BACKUP),
    "mode-644": (lambda path: path.chmod(0o644), "chmod 600 "),
    "mode-660": (lambda path: path.chmod(0o660), "chmod 600 "),
    "symbolic-link": (make_link, "symbolic link"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_identity_is_refused_and_never_made_anew(
    damage: str, settings: Settings, identity: Path
) -> None:
    inflict, expected = DAMAGE[damage]
    inflict(identity)
    before = {path.name: path.read_bytes() for path in identity.parent.iterdir()}
    refused = Applied(age.identities, settings=settings, keys={"learner": None})
    assert refused.failed
    assert f"the identity {identity} cannot be used: " in refused.stderr
    assert expected in refused.stderr
    assert "AGE-SECRET-KEY" not in refused.stderr
    assert {path.name: path.read_bytes() for path in identity.parent.iterdir()} == before


def test_a_directory_in_its_place_is_refused(settings: Settings, identity: Path) -> None:
    identity.unlink()
    identity.mkdir()
    assert state(settings) == (None, "it is not a file")


def test_a_dangling_link_is_refused(settings: Settings, identity: Path) -> None:
    identity.unlink()
    identity.symlink_to("nowhere")
    assert state(settings)[1] == "it is a symbolic link"


def test_an_identity_of_somebody_else_is_refused_with_the_fix(
    settings: Settings, identity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As root, the test gives the file to another user; otherwise it changes who the reader is.
    nobody = 65534
    if os.getuid() == 0:
        os.chown(identity, nobody, -1)
        assert f"chown root {identity}" in (state(settings)[1] or "")
    else:
        monkeypatch.setattr(os, "geteuid", lambda: nobody)
        assert f"chown nobody {identity}" in (state(settings)[1] or "")


def test_an_identity_that_was_lost_is_not_made_anew(settings: Settings, identity: Path) -> None:
    recipient = public_key(identity)
    identity.unlink()
    refused = Applied(age.identities, settings=settings, keys={"learner": None})
    assert refused.failed
    assert f"the identity {identity} is gone, and it was {recipient}" in refused.stderr
    assert not identity.exists()


def test_an_identity_that_was_exchanged_is_refused_with_both_public_keys(
    settings: Settings, identity: Path
) -> None:
    recorded = public_key(identity)
    identity.unlink()
    other = make_identity(identity)
    refused = Applied(age.identities, settings=settings, keys={"learner": None})
    assert refused.failed
    assert recorded in refused.stderr
    assert other in refused.stderr


@pytest.mark.parametrize("end", ["\n", "", "\nmore\n"])
def test_what_was_noted_counts_however_its_file_ends(
    end: str, settings: Settings, identity: Path
) -> None:
    recorded = public_key(identity)
    (identity.parent / "learner.pub").write_text(f"{recorded}{end}")
    identity.unlink()
    make_identity(identity)
    refused = Applied(age.identities, settings=settings, keys={"learner": None})
    assert refused.failed
    assert recorded in refused.stderr


def test_without_the_tool_nothing_is_said_of_an_identity(lab: Callable[..., Settings]) -> None:
    settings = lab()
    folder = Path(settings.keys_dir)
    folder.mkdir(parents=True)
    make_identity(folder / "learner.agekey")
    (folder / "learner.pub").write_text("age1noted\n")
    found = identity_states(settings.for_machine, keys=["learner"])["learner"]
    assert found == IdentityState(recorded="age1noted")
    (folder / "learner.agekey").chmod(0o644)
    others = f"it can be read by others: chmod 600 {folder}/learner.agekey"
    assert state(settings) == (None, others)


def test_the_identities_of_a_class_are_told_apart_whatever_is_in_their_files(
    settings: Settings,
) -> None:
    folder = Path(settings.keys_dir)
    folder.mkdir(parents=True, mode=0o700)
    own = {name: make_identity(folder / f"{name}.agekey") for name in ("ada", "bob", "eve", "zoe")}
    assert identities(settings, *own, "nobody") == {**own, "nobody": None}
    # As many identities as files, but two in one file and none in another.
    add_second(folder / "ada.agekey")
    (folder / "bob.agekey").write_text("# nothing\n")
    assert identities(settings, *own) == {**own, "ada": None, "bob": None}


def test_recipients_are_here_whose_identities_are(settings: Settings, identity: Path) -> None:
    assert recipients_here(settings) == {public_key(identity): "keys/learner.agekey"}
    following = identity.parent / "next" / "learner.agekey"
    following.parent.mkdir()
    following.with_suffix(".pub").write_text(f"{make_identity(following)}\nage1another\n")
    (identity.parent / "elsewhere.pub").write_text("age1elsewhere\n")
    assert recipients_here(settings) == {
        public_key(identity): "keys/learner.agekey",
        public_key(following): "keys/next/learner.agekey",
        "age1another": "keys/next/learner.agekey",
    }


def test_post_quantum_identities_are_made_where_the_lab_has_them(
    lab: Callable[..., Settings], settings: Settings
) -> None:
    quantum = lab(age_key_type="pq")
    assert Applied(age.identities, settings=quantum, keys={"ada": None, "bob": None}).changed
    made = identities(quantum, "ada", "bob")
    assert all((recipient or "").startswith("age1pq1") for recipient in made.values())
    again = Applied(age.identities, settings=quantum, keys={"ada": None, "bob": None})
    assert (again.changed, again.failed) == (False, False)


def test_an_instructors_identity_that_is_elsewhere_is_neither_made_nor_read(
    lab: Callable[..., Settings], settings: Settings, tmp_path: Path
) -> None:
    recipient = make_identity(tmp_path / "elsewhere.agekey")
    apart = lab(instructor_recipient=recipient)
    keys = {INSTRUCTOR: None, "learner": None}
    assert Applied(age.identities, settings=apart, keys=keys).changed
    folder = Path(apart.keys_dir)
    assert sorted(path.name for path in folder.iterdir()) == ["learner.agekey", "learner.pub"]
    assert identities(apart, INSTRUCTOR)[INSTRUCTOR] == recipient
    # An identity from an earlier time stays, whatever it holds, and so does its successor.
    for key in (INSTRUCTOR, next_key(INSTRUCTOR)):
        (folder / f"{key}.agekey").parent.mkdir(exist_ok=True)
        (folder / f"{key}.agekey").write_text("damaged\n")
    assert identities(apart, INSTRUCTOR, next_key(INSTRUCTOR)) == {
        INSTRUCTOR: recipient, next_key(INSTRUCTOR): None,
    }  # fmt: skip
    seen = look_at_identity(apart, INSTRUCTOR, PublicKeys(apart))
    assert seen == Identity(recipient)
    again = Applied(age.identities, settings=apart, keys=keys)
    assert (again.changed, again.failed) == (False, False)
    assert (folder / f"{INSTRUCTOR}.agekey").read_text() == "damaged\n"


def test_an_identity_of_the_users_own_is_adopted(settings: Settings) -> None:
    folder = Path(settings.keys_dir)
    folder.mkdir(parents=True, mode=0o700)
    recipient = make_identity(folder / "learner.agekey")
    assert Applied(age.identities, settings=settings, keys={"learner": None}).changed
    assert (folder / "learner.pub").read_text().strip() == recipient
    assert public_key(folder / "learner.agekey") == recipient


def test_an_identity_that_appears_meanwhile_is_not_overwritten(settings: Settings) -> None:
    # The link at the end decides, and not the look before it.
    folder = Path(settings.keys_dir)
    folder.mkdir(parents=True, mode=0o700)
    recipient = make_identity(folder / "learner.agekey")
    with pytest.raises(FileExistsError):
        generate(settings.for_machine, "x25519", [str(folder / "learner")])
    assert public_key(folder / "learner.agekey") == recipient
    assert not (folder / "learner.pub").exists()
    assert not list(folder.glob(".new.*"))


def test_new_identities_are_on_the_disk_before_anything_is_encrypted_to_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, flushed = os.fsync, []

    def noticed(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noticed)
    folder = Path(settings.keys_dir, "next")
    generate(settings.for_machine, "x25519", [f"{folder}/ada", f"{folder}/bob"])
    parts = (folder / "ada.agekey", folder / "bob.agekey", folder, folder.parent)
    assert flushed == [part.stat().st_ino for part in parts]


def held(settings: Settings) -> ClusterKey:
    (found,) = held_keys(settings.for_machine, [solo(settings)]).values()
    return found


def test_the_clusters_key_is_read_in_public(settings: Settings, identity: Path) -> None:
    stand_in_kubectl(Path(settings.bin_dir), key_secret(identity))
    found = held(settings)
    assert found == ClusterKey(True, {"age.agekey": frozenset({public_key(identity)})})
    assert found.problem is None


def test_a_cluster_without_the_key_has_none(settings: Settings) -> None:
    write_program(Path(settings.bin_dir) / "kubectl", "#!/bin/sh\nexit 0\n")
    found = held(settings)
    assert (found, found.kept, found.problem) == (ClusterKey(False), None, None)


def test_an_entry_that_flux_would_not_read_is_named(settings: Settings, identity: Path) -> None:
    stand_in_kubectl(Path(settings.bin_dir), key_secret(identity, entry="identity"))
    found = held(settings)
    assert "lacks the entry age.agekey (it has: identity)" in (found.problem or "")
    assert (found.recipients, found.kept) == (frozenset(), None)


def test_an_entry_of_another_name_that_flux_reads_is_as_good(
    settings: Settings, identity: Path
) -> None:
    stand_in_kubectl(Path(settings.bin_dir), key_secret(identity, entry="other.agekey"))
    found = held(settings)
    assert found.problem is None
    assert (found.recipients, found.kept) == (frozenset({public_key(identity)}), "other.agekey")


@pytest.mark.parametrize("content", ["", "AGE-SECRET-KEY-1DAMAGED\n"])
def test_an_entry_without_a_valid_identity_is_named(
    settings: Settings, tmp_path: Path, content: str
) -> None:
    (tmp_path / "key").write_text(content)
    stand_in_kubectl(Path(settings.bin_dir), key_secret(tmp_path / "key"))
    found = held(settings)
    assert found.problem == "its entry age.agekey holds no valid age identity"
    assert found.kept is None


@pytest.mark.parametrize("entry", ["age.agekey", "other.agekey"])
def test_a_lost_identity_that_the_cluster_still_has_is_offered_and_recovered(
    lab: Callable[..., Settings], settings: Settings, identity: Path, entry: str
) -> None:
    recipient, content = public_key(identity), identity.read_bytes()
    stand_in_kubectl(Path(settings.bin_dir), key_secret(identity, entry=entry))
    shutil.rmtree(settings.keys_dir)
    refused = Applied(age.identities, settings=settings, keys={"learner": solo(settings)})
    assert refused.failed
    assert f"the cluster still has it ({recipient}): `sopslab up --key-from cluster`" in (
        refused.stderr
    )
    assert not identity.exists()
    recovered = Applied(
        age.identities, settings=lab(key_from="cluster"), keys={"learner": solo(settings)}
    )
    assert recovered.changed
    assert identity.read_bytes().strip() == content.strip()
    assert identity.stat().st_mode & 0o777 == 0o600
    assert state(settings) == (recipient, None)


def test_a_differing_identity_stops_the_run_and_is_kept_when_the_clusters_is_taken(
    lab: Callable[..., Settings], settings: Settings, identity: Path, tmp_path: Path
) -> None:
    mine = public_key(identity)
    theirs = make_identity(tmp_path / "theirs")
    stand_in_kubectl(Path(settings.bin_dir), key_secret(tmp_path / "theirs"))
    refused = Applied(age.identities, settings=settings, keys={"learner": solo(settings)})
    assert refused.failed
    assert f"the store has {mine}, the cluster has {theirs}" in refused.stderr
    assert public_key(identity) == mine
    taken = Applied(
        age.identities, settings=lab(key_from="cluster"), keys={"learner": solo(settings)}
    )
    assert taken.changed
    assert public_key(identity) == theirs
    (archived,) = (identity.parent / "archive").iterdir()
    assert public_key(archived) == mine


def test_a_differing_identity_stays_when_the_stores_is_right(
    lab: Callable[..., Settings], settings: Settings, identity: Path, tmp_path: Path
) -> None:
    mine = public_key(identity)
    make_identity(tmp_path / "theirs")
    stand_in_kubectl(Path(settings.bin_dir), key_secret(tmp_path / "theirs"))
    kept = Applied(age.identities, settings=lab(key_from="store"), keys={"learner": solo(settings)})
    assert (kept.changed, kept.failed) == (False, False)
    assert public_key(identity) == mine
