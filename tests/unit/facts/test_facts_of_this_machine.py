"""Looks at this machine, and at folders that the tests make."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.observe.accounts import account_digest, known_accounts, stored_accounts
from sopslab.lab.observe.copies import bare_repositories
from sopslab.lab.observe.docker import container, image_labels, lab_networks, network
from sopslab.lab.observe.folders import any_folder, lab_folder, leftovers
from sopslab.lab.observe.kind import limits_in
from sopslab.lab.observe.learners_clone import clone_of_learner
from sopslab.lab.observe.machine import (
    asked_over_the_network,
    listeners,
    machine_state,
    name_servers,
    recorded_value,
)
from sopslab.lab.observe.records import content_mark
from sopslab.lab.tools.git import login_helper
from sopslab.model.docker import Container, Network
from sopslab.model.kind import Limits
from sopslab.model.repositories import Origin
from sopslab.provision.operations import git as operations_git
from tasks.learners import commit_hook
from tests.fake import Applied
from tests.repositories import begin_repository, commit, git
from tests.texts import write_files, write_program


def test_the_machine_is_described_in_numbers(tmp_path: Path) -> None:
    machine = machine_state(root=str(tmp_path), commands=["sh", "no-such-command"])
    assert machine.uid == os.getuid()
    assert machine.user == pwd.getpwuid(os.getuid()).pw_name
    assert machine.machine == os.uname().machine
    assert machine.cpus == len(os.sched_getaffinity(0))
    assert machine.missing == ("no-such-command",)
    assert 0 < machine.disk_kib <= shutil.disk_usage(tmp_path).total // 1024
    assert machine.memory_kib > 0
    assert machine.cgroup in {1, 2}
    assert machine.writable


def test_a_root_that_does_not_exist_yet_has_the_disk_of_its_parent(tmp_path: Path) -> None:
    machine = machine_state(root=str(tmp_path / "Über eins" / "two"), commands=[])
    assert machine.disk_kib > 0
    assert machine.writable
    assert not list(tmp_path.iterdir())


def test_a_root_that_cannot_be_looked_into_has_the_disk_of_the_parent_that_can(
    tmp_path: Path,
) -> None:
    # Root may enter every folder. This name is too long for any, which fails in the same way.
    assert machine_state(root=f"{tmp_path}/{'x' * 300}/root", commands=[]).disk_kib > 0


def test_a_root_on_a_read_only_file_system_is_not_writable() -> None:
    assert not machine_state(root="/proc/self/sops-lab", commands=[]).writable


def test_a_listening_socket_is_found_and_a_free_port_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        taken, free = listening.getsockname()[1], bound.getsockname()[1]
        assert listeners([taken, free]) == {str(taken): "another program"}
    assert listeners([taken]) == {}


def test_a_socket_of_ip_version_6_is_found() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6) as listening:
        port = listening.getsockname()[1]
        assert listeners([port]) == {str(port): "another program"}


def test_the_container_that_publishes_a_port_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tmp_path / "docker", "#!/bin/sh\nprintf 'lab-git\\nother\\n'\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert listeners([port]) == {str(port): "lab-git other"}


def test_a_recorded_value_is_read_and_no_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "limit").write_text("128\n")
    (tmp_path / "empty").write_text("")
    assert recorded_value(str(tmp_path / "limit")) == "128"
    assert recorded_value(str(tmp_path / "empty")) is None
    assert recorded_value(str(tmp_path / "absent")) is None


def test_the_name_servers_of_this_machine_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/etc/resolv.conf": b"nameserver 127.0.0.53\n",
        "/run/systemd/resolve/resolv.conf": b"nameserver 127.0.0.1\nnameserver 192.0.2.53\n",
    }
    monkeypatch.setattr("sopslab.lab.observe.machine.read", files.get)
    assert name_servers() == ["192.0.2.53"]


@pytest.mark.parametrize(
    ("options", "daemon", "resolv", "upstream", "expected"),
    [
        ([], "", [], [], []),
        ([], "", ["nameserver 192.0.2.53"], [], ["192.0.2.53"]),
        ([], "{}", ["# nameserver 192.0.2.1", "search example.org", "nameserver"], [], []),
        ([], "", ["nameserver 127.0.0.53"], ["nameserver 192.0.2.53"], ["192.0.2.53"]),
        ([], "", ["nameserver 127.0.0.53"], [], []),
        ([], "", ["nameserver 127.0.0.1", "nameserver 192.0.2.53"], [], ["192.0.2.53"]),
        ([], "", ["nameserver fe80::1%eth0", "nameserver 2001:db8::53"], [], []),
        ([], '{"dns": ["192.0.2.7", "192.0.2.7"]}', ["nameserver 192.0.2.53"], [], ["192.0.2.7"]),
        (["--dns", "192.0.2.8", "--dns=192.0.2.9"], "", [], [], ["192.0.2.8", "192.0.2.9"]),
        (["--dns-search=example.org"], "", ["nameserver 192.0.2.53"], [], ["192.0.2.53"]),
    ],
)  # fmt: skip
def test_name_servers_are_those_that_docker_asks_over_the_network(
    options: list[str], daemon: str, resolv: list[str], upstream: list[str], expected: list[str]
) -> None:
    found = asked_over_the_network(
        ["dockerd", *options], daemon, "\n".join(resolv), "\n".join(upstream)
    )
    assert found == expected


def test_a_lab_is_there_when_its_folder_is(lab: Callable[..., Settings]) -> None:
    settings = lab()
    assert not lab_folder(settings.for_machine)
    Path(settings.lab_dir).mkdir(parents=True)
    assert lab_folder(settings.for_machine)


@pytest.fixture
def accounts(lab: Callable[..., Settings]) -> Settings:
    """A Git server's data with a complete user, `ada`, and three incomplete ones."""
    settings = lab()
    data = Path(settings.git_dir)
    for user in ("ada", "no-password", "no-line", "half"):
        folder = data / "credentials" / user
        folder.mkdir(parents=True)
        (folder / "username").write_text(user)
        (folder / "password").write_text("" if user == "no-password" else "it's $ecret\\n")
    (data / "credentials" / "half" / "username").unlink()
    (data / "htpasswd").write_text("ada:$2b$10$x\nno-password:$2b$10$x\nhalf:$2b$10$x\n")
    return settings


def test_only_complete_users_count(accounts: Settings) -> None:
    assert known_accounts(accounts.for_machine).complete == ("ada",)


def test_no_users_are_no_users(lab: Callable[..., Settings]) -> None:
    assert known_accounts(lab().for_machine).complete == ()


@pytest.mark.parametrize(
    ("user", "given", "same"),
    [
        ("ada", "ada\nit's $ecret\\n", True),
        ("ada", "ada\nit's $ecret", False),
        ("ada", "eve\nit's $ecret\\n", False),
        ("nobody", "ada\nit's $ecret\\n", False),
        ("half", "half\nit's $ecret\\n", False),
    ],
)
def test_an_account_is_compared_without_being_shown(
    accounts: Settings, user: str, given: str, same: bool
) -> None:
    username, password = given.split("\n")
    stored = stored_accounts(accounts.for_machine, users=[user])
    assert (stored.get(user) == account_digest(username, password)) is same
    assert "$ecret" not in str(stored)


def test_only_complete_bare_repositories_count(lab: Callable[..., Settings]) -> None:
    settings = lab()
    folder = Path(settings.git_dir) / "repositories"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "platform.git")
    git(folder, "init", "--quiet", "--bare", "ada/lab.git")
    (folder / "half.git").mkdir()
    wanted = ["platform", "ada/lab", "half", "absent"]
    found = bare_repositories(settings.for_machine, repositories=wanted)
    assert found == ["platform", "ada/lab"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A clone whose last commit has a note about its content and is pushed to the origin."""
    folder = tmp_path / "copy"
    begin_repository(tmp_path / "origin.git", folder)
    git(folder, "checkout", "--quiet", "-B", "main")
    message = ("-m", "Lay out", "-m", "Sops-lab-content: abc123")
    git(folder, "commit", "--quiet", "--allow-empty", *message)
    git(folder, "push", "--quiet", "origin", "main")
    return folder


@pytest.fixture
def platform(copy: Path, lab: Callable[..., Settings]) -> Settings:
    """A lab whose clone of the platform repository is `copy`."""
    settings = lab()
    Path(settings.manifests_dir).mkdir(parents=True)
    copy.rename(settings.platform_dir)
    return settings


def test_the_note_of_a_pushed_commit_is_read(platform: Settings) -> None:
    assert content_mark(platform.for_machine) == "abc123"
    Path(platform.manifests_dir).rmdir()
    assert content_mark(platform.for_machine) is None


def test_a_commit_that_was_not_pushed_has_no_note(platform: Settings) -> None:
    message = ("-m", "More", "-m", "Sops-lab-content: abc124")
    git(Path(platform.platform_dir), "commit", "--quiet", "--allow-empty", *message)
    assert content_mark(platform.for_machine) is None


def commit_file(settings: Settings, path: str) -> None:
    clone = Path(settings.platform_dir)
    write_files(clone, {path: "by hand\n"})
    commit(clone, "By hand")


def test_records_below_docs_leave_the_note_as_it_is(platform: Settings) -> None:
    commit_file(platform, "docs/incidents/2026-11-25-leak.yaml")
    assert content_mark(platform.for_machine) == "abc123"


def test_a_change_by_hand_an_empty_copy_and_none_have_no_note(platform: Settings) -> None:
    commit_file(platform, "flux/a.yaml")
    assert content_mark(platform.for_machine) is None
    shutil.rmtree(platform.platform_dir)
    assert content_mark(platform.for_machine) is None
    git(Path(platform.lab_dir), "init", "--quiet", "platform")
    assert content_mark(platform.for_machine) is None


def test_what_a_killed_run_was_writing_is_found_and_nothing_of_the_learners(
    lab: Callable[..., Settings],
) -> None:
    settings = lab()
    assert leftovers(settings.for_machine) == []
    root = Path(settings.lab_dir)
    unfinished = (".new.a1/files", "keys/.new.b2", "class/seats/.roster.new", "git/etc.new/a")
    complete = ("work/mine.new", "git/repositories/x.new", "git/etc/new", "class/seats/ada/b.new")
    for name in (*unfinished, *complete):
        (root / name).mkdir(parents=True)
    (root / "link").symlink_to(root / "work")
    found = [str(Path(path).relative_to(root)) for path in leftovers(settings.for_machine)]
    assert found == [".new.a1", "class/seats/.roster.new", "git/etc.new", "keys/.new.b2"]


def test_a_folder_counts_and_a_file_does_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    paths = {name: str(tmp_path / name) for name in ("file", "link", "nothing")}
    assert not any_folder([paths["file"], paths["nothing"]])
    assert any_folder([paths["nothing"], paths["link"]])


INSPECTED: dict[str, dict[str, Any]] = {
    "container": {
        "State": {"Status": "running", "Running": True},
        "Config": {"Labels": None},
        "NetworkSettings": {"Networks": {"bridge": {}, "kind": {}}},
    },
    "network": {"Labels": {"sops-lab.root": "/srv"}},
    "image": {"Config": {"Labels": {"sops-lab.cni": "static"}}},
}
DOCKER = """#!/bin/sh
[ "$3" != absent ] || { echo '[]'; exit 1; }
[ "$1 $2" != "network ls" ] || exec printf 'one\\ntwo\\n'
cat "$(dirname "$0")/$1.json"
"""


def test_what_docker_says_of_an_object_is_told_and_nothing_of_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = write_program(tmp_path / "docker", DOCKER)
    for kind, said in INSPECTED.items():
        (tmp_path / f"{kind}.json").write_text(json.dumps([said]))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert container("a") == Container(running=True, networks=("bridge", "kind"), labels={})
    assert network("a") == Network({"sops-lab.root": "/srv"})
    assert image_labels("a") == {"sops-lab.cni": "static"}
    assert lab_networks() == ["one", "two"]
    paused = INSPECTED["container"] | {"State": {"Status": "paused", "Running": True}}
    (tmp_path / "container.json").write_text(json.dumps([paused]))
    assert container("a") == Container(running=False, networks=("bridge", "kind"), labels={})
    assert (container("absent"), network("absent"), image_labels("absent")) == (None, None, {})
    # The engine does not answer.
    docker.write_text("#!/bin/sh\nexit 1\n")
    assert (container("a"), network("a"), image_labels("a")) == (None, None, {})
    # Whoever asks for the networks of others has to know that.
    assert lab_networks() is None


@pytest.mark.parametrize(
    ("quota", "share"), [("800ms", 40), ("3.600s", 180), ("1min 12s", 3600), ("infinity", 0)]
)
def test_the_limits_of_a_node_are_read_as_systemd_and_the_kubelet_write_them(
    quota: str, share: int
) -> None:
    said = f"cgroupDriver: systemd\npodPidsLimit: 256\nCPUQuotaPerSecUSec={quota}\n"
    assert limits_in(said, 2) == Limits(pids=256, share=share)
    assert limits_in("podPidsLimit: -1\n", 2) == Limits(pids=0, share=0)


def test_what_a_clone_lacks_is_told(lab: Callable[..., Settings]) -> None:
    settings = lab()
    work = Path(settings.work_dir)
    assert clone_of_learner(settings.for_machine).missing == ("clone", "hooks")
    work.mkdir(parents=True)
    git(work, "init", "--quiet")
    assert clone_of_learner(settings.for_machine).missing == ("hooks", "login")
    git(work, "config", "credential.helper", login_helper(settings.login_file("learner")))
    assert clone_of_learner(settings.for_machine).missing == ("hooks",)
    hook = work / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    # The lab's own hook is recognised by its text, whichever version installed it; any other is the
    # learner's, and stays.
    hook.write_text(commit_hook(settings))
    assert clone_of_learner(settings.for_machine).missing == ("hooks",)
    hook.chmod(0o755)
    found = clone_of_learner(settings.for_machine)
    assert (found.missing, found.hook) == ((), commit_hook(settings))
    for mode in (0o755, 0o644):
        hook.write_text("#!/bin/sh\n")
        hook.chmod(mode)
        found = clone_of_learner(settings.for_machine)
        assert (found.missing, found.hook) == ((), "")


@pytest.mark.parametrize(
    ("login", "moved"),
    [
        ("http://ada:p%40ss@127.0.0.1:8418", False),
        ("http://ada:p%40ss@127.0.0.1%3a8418", False),
        ("http://ada:p%40ss@127.0.0.1:84180", True),
        ("https://ada:p%40ss@127.0.0.1:8418", True),
        ("http://ada:p%40ss@192.0.2.10:8418", True),
        ("", True),
    ],
)
def test_a_login_for_another_address_has_moved(login: str, moved: bool, accounts: Settings) -> None:
    """git stores the second login in place of the first one after it has used it."""
    file = Path(accounts.git_dir) / "credentials" / "ada" / "git-credentials"
    file.write_text(f"{login}\n")
    assert known_accounts(accounts.for_machine).moved == (("ada",) if moved else ())


def test_a_login_that_has_moved_keeps_its_password(
    accounts: Settings, lab: Callable[..., Settings]
) -> None:
    folder = Path(accounts.git_dir) / "credentials" / "ada"
    file = folder / "git-credentials"
    file.write_text("http://ada:p%40s,s@127.0.0.1%3a8418\n")
    networked = lab(git_bind="192.0.2.10")
    assert Applied(operations_git.users, settings=networked, users=["ada"]).changed
    assert file.read_text() == "https://ada:p%40s,s@192.0.2.10:8418\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (folder / "password").read_text() == "it's $ecret\\n"
    assert not Applied(operations_git.users, settings=networked, users=["ada"]).changed


def test_where_a_clone_came_from_is_told(copy: Path, lab: Callable[..., Settings]) -> None:
    settings = lab()
    work = Path(settings.work_dir)
    assert clone_of_learner(settings.for_machine).origin is None
    work.parent.mkdir(parents=True)
    copy.rename(work)
    origin = git(work, "config", "remote.origin.url")
    assert clone_of_learner(settings.for_machine).origin == Origin(origin, "")
    git(work, "config", "http.sslCAInfo", "/lab eins/ca.crt")
    assert clone_of_learner(settings.for_machine).origin == Origin(origin, "/lab eins/ca.crt")


def test_a_clone_follows_the_server_to_the_network_and_back(
    copy: Path, lab: Callable[..., Settings]
) -> None:
    networked, loopback = lab(git_bind="192.0.2.10"), lab()
    work = Path(networked.work_dir)
    work.parent.mkdir(parents=True)
    copy.rename(work)
    write_program(work / ".git" / "hooks" / "pre-commit", "#!/bin/sh\n")
    git(work, "config", "remote.origin.url", "http://127.0.0.1:8418/learner/lab.git")
    ca = f"{networked.lab_dir}/tls/ca.crt"
    for settings, found in (
        (networked, Origin("https://192.0.2.10:8418/learner/lab.git", ca)),
        (loopback, Origin("http://127.0.0.1:8418/learner/lab.git", "")),
    ):
        arguments = {"settings": settings, "repository": "learner/lab", "hook": "#!/bin/sh"}
        assert Applied(operations_git.clone, **arguments).changed
        assert clone_of_learner(settings.for_machine).origin == found
        assert not Applied(operations_git.clone, **arguments).changed
