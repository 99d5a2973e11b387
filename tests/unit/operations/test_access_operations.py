"""The learners' access, made and replaced with the real openssl, and with stand-ins for git and for
the cluster that signs."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from sopslab.config.settings import Seat, Settings
from sopslab.lab.observe.access import seat_access
from sopslab.lab.observe.users import seat_generations
from sopslab.model.passwords import essence
from sopslab.provision.operations import access, git, seats
from tests.beginnings import begin
from tests.commands import failures
from tests.fake import Applied
from tests.marks import mostly_soak, soak
from tests.signing import SigningCluster
from tests.texts import read_files, write_program

CLASS = tuple(
    Seat(id=seat, name=seat.title(), email=f"{seat}@lab.example", group=None)
    for seat in ("ada", "bob", "007")
)
IDS = [seat.id for seat in CLASS]


@pytest.fixture
def settings(lab: Callable[..., Settings]) -> Settings:
    return lab()


@pytest.fixture
def cluster(settings: Settings) -> SigningCluster:
    return SigningCluster(settings)


def openssl(*arguments: str, stdin: bytes) -> str:
    return subprocess.run(
        ["openssl", *arguments], input=stdin, capture_output=True, check=True
    ).stdout.decode()


def name(settings: Settings, *ids: str) -> Applied:
    return Applied(access.generations, settings=settings, seats=list(ids or IDS))


def generations(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = seat_generations(settings.for_machine)
    return found


def issue(settings: Settings, *ids: str) -> Applied:
    name(settings, *ids)
    return Applied(access.kubeconfigs, settings=settings, seats=list(ids or IDS))


@pytest.fixture
def classroom(settings: Settings, cluster: SigningCluster, beginnings: Path) -> Settings:
    """A class with access to the cluster and to a Git server."""

    def make() -> None:
        Path(settings.class_dir).mkdir(parents=True)
        roster = "[" + ",".join(seat.model_dump_json() for seat in CLASS) + "]"
        (Path(settings.class_dir) / "roster.json").write_text(roster)
        assert Applied(git.users, settings=settings, users=IDS).changed
        assert issue(settings).changed

    begin(Path(settings.root), beginnings / "classroom", make)
    return settings


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_kubeconfig_is_complete_and_its_owners_alone(
    settings: Settings, cluster: SigningCluster, umask: int
) -> None:
    before = os.umask(umask)
    try:
        assert issue(settings).changed
    finally:
        os.umask(before)
    assert failures(settings) == {}
    wanted = {"client.crt", "client.key", "generation", "kubeconfig"}
    for seat in IDS:
        folder = Path(settings.seat_dir(seat))
        assert folder.stat().st_mode & 0o777 == 0o700
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert modes == dict.fromkeys(wanted, 0o600)
        said: dict[str, Any] = yaml.safe_load((folder / "kubeconfig").read_text())
        (context,) = said["contexts"]
        # YAML would read a name such as 007 as a number.
        assert said["current-context"] == context["name"] == seat
        assert context["context"] == {
            "cluster": "sops-lab-lab", "namespace": f"{seat}-develop", "user": seat,
        }  # fmt: skip
        (server,) = said["clusters"]
        assert server["cluster"]["server"] == "https://127.0.0.1:6443"
        ca = base64.b64decode(server["cluster"]["certificate-authority-data"])
        assert ca == (cluster.folder / "ca.crt").read_bytes()
        (user,) = said["users"]
        certificate = base64.b64decode(user["user"]["client-certificate-data"])
        key = base64.b64decode(user["user"]["client-key-data"])
        assert key == (folder / "client.key").read_bytes()
        subject = openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253", stdin=certificate)
        user = f"sops-lab:{seat}:{generations(settings)[seat]}"
        assert subject == f"subject=CN={user},O=sops-lab:learners\n"
        public = openssl("x509", "-noout", "-pubkey", stdin=certificate)
        assert public == openssl("pkey", "-pubout", stdin=key)
        assert "prime256v1" in openssl("pkey", "-text", "-noout", stdin=key)
    assert [path.name for path in Path(settings.class_dir).glob(".new*")] == []


def test_a_request_asks_for_what_a_client_needs_and_no_request_stays(
    settings: Settings, cluster: SigningCluster
) -> None:
    cluster.tell("keeps")
    assert issue(settings, "ada").changed
    (request,) = cluster.requests
    assert re.fullmatch(r"sops-lab-ada-[0-9a-f]{14}-[0-9]+", request["metadata"]["name"])
    assert request["metadata"]["labels"]["sops-lab/seat"] == "ada"
    assert request["spec"]["signerName"] == "kubernetes.io/kube-apiserver-client"
    assert request["spec"]["usages"] == ["client auth"]
    assert request["spec"]["expirationSeconds"] == 30 * 24 * 3600
    (cluster.folder / "keeps").unlink()
    assert issue(settings, "bob").changed
    assert cluster.requests == [], "those of a killed run go with ours"


def test_every_call_is_pinned_to_the_labs_own_context(
    settings: Settings, cluster: SigningCluster
) -> None:
    issue(settings)
    assert len(cluster.calls) >= 5
    assert [call for call in cluster.calls if "--context kind-lab" not in call] == []


def test_a_second_run_changes_nothing(classroom: Settings) -> None:
    made = read_files(Path(classroom.class_dir))
    again = issue(classroom)
    assert (again.changed, again.failed) == (False, False)
    assert read_files(Path(classroom.class_dir)) == made


def test_only_what_is_stale_is_made_anew(classroom: Settings) -> None:
    (Path(classroom.seat_dir("bob")) / "client.key").chmod(0o644)
    made = read_files(Path(classroom.class_dir))
    assert issue(classroom).changed
    after = read_files(Path(classroom.class_dir))
    assert {name for name in made if made[name] != after[name]} == {
        "seats/bob/client.crt", "seats/bob/client.key", "seats/bob/kubeconfig",
    }  # fmt: skip


def test_no_private_key_is_in_an_output_or_an_argument(
    settings: Settings, cluster: SigningCluster
) -> None:
    done = issue(settings)
    keys = [(Path(settings.seat_dir(seat)) / "client.key").read_text() for seat in IDS]
    said = "\n".join([done.stdout, done.stderr, *cluster.calls])
    assert "PRIVATE KEY" not in said
    for key in keys:
        assert key.splitlines()[1] not in said


def broken_folder(settings: Settings, cluster: SigningCluster) -> None:
    folder = Path(settings.seat_dir("bob"))
    folder.parent.mkdir(parents=True)
    folder.write_text("not a folder")


def full_folder(settings: Settings, cluster: SigningCluster) -> None:
    (Path(settings.seat_dir("bob")) / "kubeconfig" / "mine").mkdir(parents=True)


FAULTS: dict[str, tuple[Callable[[Settings, SigningCluster], None], str]] = {
    "no-folder": (broken_folder, "its generation could not be written: "),
    "a-folder-in-its-place": (full_folder, "its access could not be written: "),
    "refused": (
        lambda settings, cluster: cluster.tell("refuses", "bob"),
        "the cluster did not take its request for a certificate (the lab may not do that in this",
    ),
    "denied": (
        lambda settings, cluster: cluster.tell("denies", "bob"),
        "its certificate was not signed: Denied\n",
    ),
}


@pytest.mark.parametrize("fault", mostly_soak(FAULTS, "refused", "denied"))
def test_a_seat_that_fails_says_why_and_all_others_are_finished(
    fault: str, settings: Settings, cluster: SigningCluster
) -> None:
    inflict, expected = FAULTS[fault]
    inflict(settings, cluster)
    done = issue(settings)
    assert (done.changed, done.failed) == (True, False)
    (sentence,) = failures(settings).values()
    assert list(failures(settings)) == ["bob"]
    assert sentence.startswith(expected)
    assert len(sentence.splitlines()) == 1
    states = seat_access(settings.for_machine, seats=IDS)
    assert [seat for seat, state in states.items() if state == "current"] == ["ada", "007"]
    assert [path.name for path in Path(settings.class_dir).glob(".new*")] == []


@pytest.mark.soak
def test_what_failed_before_keeps_its_own_reason(
    settings: Settings, cluster: SigningCluster
) -> None:
    cluster.tell("refuses", "bob")
    failed = Path(settings.class_dir) / "failed"
    failed.mkdir(parents=True)
    (failed / "bob").write_text("its key is gone\n")
    assert issue(settings).changed
    assert failures(settings) == {"bob": "its key is gone\n"}


@pytest.mark.parametrize("how", mostly_soak(["unapproved", "silent"], "silent"))
def test_who_waits_for_a_signature_says_for_what_and_no_longer_than_it_should(
    settings: Settings, cluster: SigningCluster, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(access, "ISSUED_WITHIN", 2)
    cluster.tell(how, "bob")
    assert issue(settings).changed
    sentence = failures(settings)["bob"]
    assert sentence.startswith("its certificate was not signed within 2 s: kube-controller-")
    assert ("(the lab may not do that" in sentence) == (how == "unapproved")
    assert set(failures(settings)) == {"bob"}


def test_a_cluster_that_does_not_answer_fails_the_run(
    settings: Settings, cluster: SigningCluster
) -> None:
    cluster.tell("gone")
    done = issue(settings)
    assert done.failed
    assert "took none of the requests for certificates: nothing answers" in done.stderr
    assert failures(settings) == {}
    assert [path.name for path in Path(settings.class_dir).glob(".new*")] == []


def hashes(settings: Settings) -> dict[str, str]:
    text = (Path(settings.git_dir) / "htpasswd").read_text()
    return dict(line.split(":", 1) for line in text.splitlines())


def replace(settings: Settings, *ids: str) -> Applied:
    return Applied(access.replacement, settings=settings, seats=list(ids))


def test_replaced_access_has_another_password_and_another_user(
    classroom: Settings, cluster: SigningCluster
) -> None:
    made, before = read_files(Path(classroom.lab_dir)), generations(classroom)
    assert replace(classroom, "bob").changed
    after_it = generations(classroom)
    assert {seat for seat in IDS if after_it[seat] != before[seat]} == {"bob"}
    states = seat_access(classroom.for_machine, seats=IDS)
    assert states == {
        "ada": "current",
        "bob": "stale: its certificate is of another generation",
        "007": "current",
    }
    assert issue(classroom).changed
    after = read_files(Path(classroom.lab_dir))
    changed = {name for name in made if made[name] != after[name]}
    assert changed == {
        "class/seats/bob/client.crt", "class/seats/bob/client.key", "class/seats/bob/generation",
        "class/seats/bob/kubeconfig", "git/credentials/bob/git-credentials",
        "git/credentials/bob/password", "git/htpasswd",
    }  # fmt: skip
    password = after["git/credentials/bob/password"]
    assert bcrypt.checkpw(essence(password), hashes(classroom)["bob"].encode())
    old = made["git/credentials/bob/password"]
    assert not bcrypt.checkpw(essence(old), hashes(classroom)["bob"].encode())
    certificate = after["class/seats/bob/client.crt"]
    assert f"CN = sops-lab:bob:{after_it['bob']}" in openssl(
        "x509", "-noout", "-subject", stdin=certificate
    )


def test_what_was_replaced_is_kept_for_the_proof_and_for_nobody_else(classroom: Settings) -> None:
    seat, credentials = Path(classroom.seat_dir("bob")), Path(classroom.git_dir) / "credentials"
    old = {
        "kubeconfig": (seat / "kubeconfig").read_bytes(),
        "git-credentials": (credentials / "bob" / "git-credentials").read_bytes(),
    }
    replace(classroom, "bob")
    first = generations(classroom)["bob"]
    folder = Path(classroom.class_dir) / "retired" / "bob" / f"before-{first}"
    assert read_files(folder) == old
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    # Replaced a second time, as after a killed run: what the first replacement kept is still there.
    replace(classroom, "bob")
    assert read_files(folder) == old
    second = generations(classroom)["bob"]
    assert second != first
    assert (folder.parent / f"before-{second}" / "git-credentials").exists()


@pytest.mark.parametrize("content", mostly_soak(["", "two\n", "1\n", None], None))
def test_what_was_lost_never_comes_back(
    classroom: Settings, cluster: SigningCluster, content: str | None
) -> None:
    had, folder = generations(classroom), Path(classroom.seat_dir("bob"))
    path = folder / "generation"
    shutil.rmtree(folder) if content is None else path.write_text(content)
    assert issue(classroom).changed
    assert generations(classroom)["bob"] not in {*had.values(), "1", ""}
    assert {seat: found for seat, found in generations(classroom).items() if seat != "bob"} == {
        seat: found for seat, found in had.items() if seat != "bob"
    }
    states = dict.fromkeys(IDS, "current")
    assert seat_access(classroom.for_machine, seats=IDS) == states
    assert not name(classroom).changed


@pytest.mark.soak
def test_access_that_an_older_version_counted_is_issued_anew(
    classroom: Settings, cluster: SigningCluster
) -> None:
    folder = Path(classroom.seat_dir("bob"))
    (folder / "generation").unlink()
    old = (folder / "client.crt").read_bytes()
    assert issue(classroom).changed
    assert (folder / "client.crt").read_bytes() != old
    assert seat_access(classroom.for_machine, seats=IDS) == dict.fromkeys(IDS, "current")


def test_a_password_is_in_no_output(classroom: Settings) -> None:
    path = Path(classroom.git_dir) / "credentials/bob/password"
    before = path.read_text()
    done = replace(classroom, "bob")
    password = path.read_text()
    assert len(password) > 20 and password != before
    assert password not in done.stdout + done.stderr


def test_on_another_git_server_only_the_certificate_is_replaced(
    lab: Callable[..., Settings], classroom: Settings
) -> None:
    elsewhere = lab(git_url="https://git.example", git_username="a", git_password="b")
    made = read_files(Path(classroom.git_dir))
    assert replace(elsewhere, "ada").changed
    assert read_files(Path(classroom.git_dir)) == made
    (kept,) = (Path(classroom.class_dir) / "retired" / "ada").iterdir()
    assert [path.name for path in kept.iterdir()] == ["kubeconfig"]


def test_the_seats_that_failed_are_reported(classroom: Settings, cluster: SigningCluster) -> None:
    cluster.tell("refuses", "bob")
    replace(classroom, "ada", "bob")
    assert issue(classroom, "ada", "bob").changed
    done = Applied(seats.report, settings=classroom, seats=["ada", "bob"])
    assert done.failed
    assert "1 of 2 seats are not ready:" in done.stderr
    assert "  bob: the cluster did not take its request for a certificate" in done.stderr


# A stand-in for git, with a server that admits one login: the one in the file `admitted`.
_GIT = """#!/bin/sh
cmp -s "${GIT_CONFIG_VALUE_2##* }" "$(dirname "$0")/admitted" \\
    || { echo "fatal: Authentication failed for '$3'" >&2; exit 128; }
"""


@pytest.fixture
def replaced(classroom: Settings, cluster: SigningCluster, beginnings: Path) -> Settings:
    """A class in which bob's access has been replaced, and servers that know the new access."""

    def make() -> None:
        assert replace(classroom, "bob").changed
        assert issue(classroom, "bob").changed
        write_program(Path(classroom.bin_dir) / "git", _GIT)
        cluster.tell("bound", f"sops-lab:bob:{generations(classroom)['bob']}")
        admit(classroom, Path(classroom.git_dir) / "credentials" / "bob")

    begin(Path(classroom.root), beginnings / "replaced", make)
    return classroom


def user_of(folder: Path) -> str:
    """Return the user of the certificate in a folder's kubeconfig."""
    said = yaml.safe_load((folder / "kubeconfig").read_text())
    data = base64.b64decode(said["users"][0]["user"]["client-certificate-data"])
    subject = openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253", stdin=data)
    return str(re.findall("CN=([^,\n]*)", subject)[0])


def admit(settings: Settings, folder: Path) -> None:
    admitted = (folder / "git-credentials").read_bytes()
    (Path(settings.bin_dir) / "admitted").write_bytes(admitted)


def prove(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Applied:
    monkeypatch.setattr(access, "KNOWN_WITHIN", 1)
    return Applied(access.proof, settings=settings, seats=IDS)


@pytest.mark.soak
def test_what_is_proven_worthless_is_not_kept(
    replaced: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_files(Path(replaced.git_dir))
    done = prove(replaced, monkeypatch)
    assert (done.changed, done.failed) == (True, False), done.stderr
    assert not (Path(replaced.class_dir) / "retired" / "bob").exists()
    assert read_files(Path(replaced.git_dir)) == before
    assert not prove(replaced, monkeypatch).changed


@pytest.mark.parametrize(
    ("bound", "password", "sentence"),
    [
        (("old", "new"), "new", "the old certificate still opens bob-develop"),
        soak((), "new", "the new certificate does not open bob-develop: "),
        soak(("new",), "old", "the old password still opens bob/lab"),
        soak(
            ("new",),
            "another",
            "the new password does not open bob/lab: the Git server refuses the login",
        ),
    ],
)
def test_what_is_not_proven_is_said_and_kept(
    replaced: Settings,
    cluster: SigningCluster,
    monkeypatch: pytest.MonkeyPatch,
    bound: tuple[str, ...],
    password: str,
    sentence: str,
) -> None:
    (kept,) = (Path(replaced.class_dir) / "retired" / "bob").iterdir()
    users = {"old": user_of(kept), "new": user_of(Path(replaced.seat_dir("bob")))}
    cluster.tell("bound", *(users[which] for which in bound))
    if password != "new":
        ada = Path(replaced.git_dir) / "credentials" / "ada"
        admit(replaced, kept if password == "old" else ada)
    done = prove(replaced, monkeypatch)
    assert done.failed
    assert f"bob: after 1 s {sentence}" in done.stderr
    assert sorted(path.name for path in kept.iterdir()) == ["git-credentials", "kubeconfig"]


def test_a_refusal_for_another_reason_is_no_proof(
    replaced: Settings, cluster: SigningCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.tell("gone")
    done = prove(replaced, monkeypatch)
    assert done.failed
    assert "the old certificate was not refused: the server does not answer" in done.stderr


@pytest.mark.soak
def test_who_failed_is_not_waited_for(
    replaced: Settings, cluster: SigningCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.tell("bound")
    (Path(replaced.class_dir) / "failed" / "bob").write_text("the cluster refused it\n")
    assert not prove(replaced, monkeypatch).failed
    assert any((Path(replaced.class_dir) / "retired" / "bob").iterdir())
