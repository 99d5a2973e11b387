"""The learners' access: only to their own namespace and repository, and refused once it was
replaced."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
import yaml

from sopslab.errors import Exit
from tests.cluster.classroom import SEATS, Classroom

pytestmark = pytest.mark.every_provider

ACCESS = {"client.crt", "client.key", "generation", "kubeconfig"}


def access(classroom: Classroom, seat: str) -> dict[str, bytes]:
    """Return every file with which one learner logs in, by its name."""
    folder = Path(classroom.lab.settings.seat_dir(seat))
    credentials = Path(classroom.lab.settings.git_dir) / "credentials" / seat
    found = {name: (folder / name).read_bytes() for name in ACCESS}
    return {**found, **{path.name: path.read_bytes() for path in credentials.iterdir()}}


def requests(classroom: Classroom) -> list[str]:
    """Return the certificate requests of seats that the cluster still has."""
    selector = "--selector=sops-lab/seat"
    return classroom.lab.kubectl("get", "certificatesigningrequests", selector, "-oname").split()


@pytest.mark.parametrize("seat", SEATS)
def test_a_kubeconfig_opens_the_learners_own_namespace_and_no_other(
    classroom: Classroom, seat: str
) -> None:
    classroom.kubectl_as(seat, "get", "pods,secrets,configmaps")
    who = yaml.safe_load(classroom.kubectl_as(seat, "auth", "whoami", "-oyaml").stdout)
    user = who["status"]["userInfo"]
    assert user["username"].startswith(f"sops-lab:{seat}:")
    assert set(user["groups"]) == {"sops-lab:learners", "system:authenticated"}
    others = [f"{other}-develop" for other in SEATS if other != seat]
    for namespace in (
        *others,
        f"lab-{seat}-sys",
        "flux-system",
        "kube-system",
        "default",
        "develop",
    ):
        done = classroom.kubectl_as(seat, "-n", namespace, "get", "pods", check=False)
        assert done.returncode != 0 and "(Forbidden)" in done.stderr, namespace
    for everything in (("get", "nodes"), ("get", "namespaces"), ("get", "secrets", "-A")):
        done = classroom.kubectl_as(seat, *everything, check=False)
        assert done.returncode != 0 and "(Forbidden)" in done.stderr, everything


@pytest.mark.parametrize("seat", SEATS)
def test_access_is_its_owners_alone_and_no_request_is_left(classroom: Classroom, seat: str) -> None:
    folder = Path(classroom.lab.settings.seat_dir(seat))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in ACCESS}
    assert modes == dict.fromkeys(ACCESS, 0o600)
    assert requests(classroom) == []


@pytest.mark.soak
def test_another_up_leaves_all_access_as_it_is(classroom: Classroom) -> None:
    before = {seat: access(classroom, seat) for seat in SEATS}
    answer = classroom.up()
    assert classroom.lab.changes(answer) == []
    assert {seat: access(classroom, seat) for seat in SEATS} == before


@pytest.mark.soak
def test_a_kubeconfig_that_got_lost_is_written_again(classroom: Classroom) -> None:
    before = {seat: access(classroom, seat) for seat in SEATS}
    classroom.kubeconfig("bob").unlink()
    answer = classroom.up()
    changes = classroom.lab.changes(answer)
    # The kubeconfig in the seat's folder, and the one that the Git server hands out.
    assert len(changes) == 2 and "access" in changes[0], changes
    classroom.kubectl_as("bob", "get", "pods")
    after = {seat: access(classroom, seat) for seat in SEATS}
    assert {seat for seat in SEATS if after[seat] != before[seat]} == {"bob"}
    same = after["bob"]["generation"] == before["bob"]["generation"]
    assert same, "nothing was said to be worthless"


@pytest.fixture
def old(classroom: Classroom, tmp_path: Path) -> Path:
    """The access that bob had at the beginning of the test, kept by somebody else."""
    folder = tmp_path / "old"
    folder.mkdir()
    for name, content in access(classroom, "bob").items():
        (folder / name).write_bytes(content)
    return folder


def test_reissued_access_works_and_what_was_there_before_is_refused(
    classroom: Classroom, old: Path
) -> None:
    assert classroom.logs_in("bob", old / "git-credentials")
    assert classroom.pods_with(old / "kubeconfig").returncode == 0
    before = {seat: access(classroom, seat) for seat in SEATS}
    recipient, head = classroom.lab.recipient("bob"), classroom.head("bob")
    done = classroom.lab.sopslab("reissue", "bob")
    assert "bob has new access" in done.stdout
    # At once, and not some time later: the command has waited for it.
    refused = classroom.pods_with(old / "kubeconfig")
    assert refused.returncode != 0 and "(Forbidden)" in refused.stderr
    assert not classroom.logs_in("bob", old / "git-credentials")
    classroom.kubectl_as("bob", "get", "pods")
    credentials = Path(classroom.lab.settings.git_dir) / "credentials"
    assert classroom.logs_in("bob", credentials / "bob" / "git-credentials")
    after = {seat: access(classroom, seat) for seat in SEATS}
    assert {name for name in after["bob"] if after["bob"][name] != before["bob"][name]} == {
        *ACCESS, "password", "git-credentials",
    }  # fmt: skip
    for seat in ("ada", "eve"):
        assert after[seat] == before[seat]
        classroom.kubectl_as(seat, "get", "pods")
        assert classroom.logs_in(seat, credentials / seat / "git-credentials")
    assert (classroom.lab.recipient("bob"), classroom.head("bob")) == (recipient, head)
    password = before["bob"]["password"].decode()
    assert password not in done.stdout + done.stderr
    assert not any((Path(classroom.lab.settings.class_dir) / "retired").iterdir())
    assert requests(classroom) == []
    answer = classroom.up()
    assert classroom.lab.changes(answer) == []
    assert {seat: access(classroom, seat) for seat in SEATS} == after


@pytest.mark.soak
def test_access_that_was_removed_is_made_anew_and_what_was_there_opens_nothing(
    classroom: Classroom, old: Path
) -> None:
    """This is the repair in the documentation, after all files about bob's access were lost."""
    before = access(classroom, "ada")
    for path in (Path(classroom.lab.settings.seat_dir("bob")),
                 Path(classroom.lab.settings.git_dir) / "credentials" / "bob"):  # fmt: skip
        shutil.rmtree(path)
    classroom.up()
    refused = classroom.pods_with(old / "kubeconfig")
    assert refused.returncode != 0 and "(Forbidden)" in refused.stderr
    assert not classroom.logs_in("bob", old / "git-credentials")
    classroom.kubectl_as("bob", "get", "pods")
    new = Path(classroom.lab.settings.git_dir) / "credentials" / "bob" / "git-credentials"
    assert classroom.logs_in("bob", new)
    assert access(classroom, "ada") == before
    assert classroom.lab.changes(classroom.up()) == []


@pytest.mark.soak
def test_the_old_certificate_opens_nothing_even_where_it_is_used_with_the_new_address(
    classroom: Classroom, old: Path
) -> None:
    classroom.lab.sopslab("reissue", "bob")
    said = yaml.safe_load(classroom.kubeconfig("bob").read_text())
    former = yaml.safe_load((old / "kubeconfig").read_text())
    mixed = old / "mixed"
    mixed.write_text(yaml.safe_dump({**said, "users": former["users"]}))
    assert "(Forbidden)" in classroom.pods_with(mixed).stderr
    mixed.write_text(yaml.safe_dump({**former, "users": said["users"]}))
    assert classroom.pods_with(mixed).returncode == 0, "only the certificate makes the difference"


def test_a_seat_that_does_not_exist_is_refused_before_anything_is_touched(
    classroom: Classroom,
) -> None:
    before = {seat: access(classroom, seat) for seat in SEATS}
    done = classroom.lab.sopslab("reissue", "ada", "nobody", check=False)
    assert done.returncode == Exit.INPUT
    assert done.stderr.startswith("there is no seat nobody: the class has ada, bob, eve")
    assert len(done.stderr.splitlines()) == 1
    assert {seat: access(classroom, seat) for seat in SEATS} == before
