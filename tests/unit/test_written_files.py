"""Files that operations write on a host, really written: complete, private, and only once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from sopslab.config.naming import bridge_name
from sopslab.config.settings import Settings
from sopslab.files.render import RenderedFile
from sopslab.model.passwords import essence
from sopslab.provision.operations import git, host
from sopslab.provision.operations.lab import leftovers
from sopslab.provision.operations.tree import tree
from tests.fake import Applied
from tests.texts import read_files, write_program

USERS = ("instructor", "flux", "learner")
STAND_IN_IPTABLES = """#!/bin/sh
# Keeps the rules of DOCKER-USER in a file; as `iptables` it answers -S, as `iptables-restore` it
# does what it reads, each the way the real ones do.
rules=$(dirname "$0")/rules
case $0 in *-restore) ;; *) exec cat "$rules" ;; esac
while read -r verb rest; do
    case $verb in
    -D) grep -vxF -e "-A $rest" "$rules" >"$rules.new" || true ;;
    -I) { echo "-A $rest"; cat "$rules"; } >"$rules.new" ;;
    *) continue ;;
    esac
    mv "$rules.new" "$rules"
done
"""


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_passwords_are_made_once_and_for_their_owner_alone(
    lab: Callable[..., Settings], umask: int
) -> None:
    settings = lab()
    folder = Path(settings.git_dir)
    before = os.umask(umask)
    try:
        assert Applied(git.users, settings=settings, users=USERS).changed
    finally:
        os.umask(before)
    made = read_files(folder)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    # The Git server reads these files by its group.
    assert {modes.pop("htpasswd"), modes.pop("token")} == {0o640}
    assert {path: mode for path, mode in modes.items() if mode != 0o600} == {}
    lines = dict(line.split(":", 1) for line in made["htpasswd"].decode().splitlines())
    assert set(lines) == set(USERS)
    for user in USERS:
        password = made[f"credentials/{user}/password"]
        assert bcrypt.checkpw(essence(password), lines[user].encode())
        stored = made[f"credentials/{user}/git-credentials"].decode()
        assert stored == f"http://{user}:{password.decode()}@127.0.0.1:8418\n"
    assert not Applied(git.users, settings=settings, users=USERS).changed
    assert read_files(folder) == made


def test_a_lost_password_is_made_anew_and_the_others_stay(lab: Callable[..., Settings]) -> None:
    settings = lab()
    folder = Path(settings.git_dir)
    Applied(git.users, settings=settings, users=USERS)
    before = read_files(folder)
    (folder / "credentials" / "flux" / "password").unlink()
    assert Applied(git.users, settings=settings, users=USERS).changed
    after = read_files(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "htpasswd",
        "credentials/flux/password",
        "credentials/flux/git-credentials",
    }


@pytest.mark.parametrize("password", ["plain", "it's $(id) `x` \\n %s", "a:b/c@d#e?f", "pässwörd"])
def test_an_account_elsewhere_is_stored_literally_and_changed_when_it_changes(
    lab: Callable[..., Settings], password: str
) -> None:
    settings = lab(git_url="https://git.example/class", git_username="a b", git_password=password)

    def apply(word: str) -> bool:
        return Applied(
            git.accounts, settings=settings, users=["flux"], username="a b", password=word
        ).changed

    assert apply(password)
    stored = Path(settings.git_dir) / "credentials" / "flux"
    assert (stored / "username").read_text() == "a b"
    assert (stored / "password").read_text() == password
    assert not apply(password)
    assert apply("another")
    assert (stored / "password").read_text() == "another"


def test_repositories_are_made_once_and_half_made_ones_anew(lab: Callable[..., Settings]) -> None:
    settings = lab()
    wanted = ("platform", "learner/lab")
    folder = Path(settings.git_dir) / "repositories"
    (folder / "platform.git" / "refs").mkdir(parents=True)
    assert Applied(git.repositories, settings=settings, repositories=wanted).changed
    (folder / "platform.git" / "kept").write_text("a learner's push")
    assert not Applied(git.repositories, settings=settings, repositories=wanted).changed
    assert (folder / "platform.git" / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert (folder / "platform.git" / "kept").exists()


def test_a_tree_is_exactly_what_was_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "a b" / "tree"
    wanted = {
        "bin/run": RenderedFile(b"#!/bin/sh\n", executable=True),
        "$(id).txt": RenderedFile(b"\x00\xff", executable=False),
    }
    folder.mkdir(parents=True)
    (folder / "old").write_text("")
    assert Applied(tree, path=str(folder), files=wanted).changed
    assert read_files(folder) == {path: file.content for path, file in wanted.items()}
    assert os.access(folder / "bin" / "run", os.X_OK)
    assert [path.name for path in folder.parent.iterdir()] == ["tree"]
    assert not Applied(tree, path=str(folder), files=wanted).changed


def test_leftovers_of_a_killed_run_are_swept_and_a_learners_files_are_not(
    lab: Callable[..., Settings],
) -> None:
    settings = lab()
    folder = Path(settings.lab_dir)
    kept = [
        folder / "work" / "notes.new",
        folder / "work" / ".new.mine" / "file",
        folder / "git" / "repositories" / "learner" / "lab.new",
        folder / "keys" / "learner.agekey",
    ]
    left = [
        folder / ".new.a1B2c3" / "file",
        folder / "keys" / ".new.it's" / "identity",
        folder / "git" / "htpasswd.new",
        folder / "keys" / "learner.pub.new",
    ]
    for path in (*kept, *left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert Applied(leftovers, settings=settings).changed
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in left)
    assert not Applied(leftovers, settings=settings).changed


def test_firewall_rules_come_in_order_and_go_without_those_of_others(
    lab: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab()
    bridge = bridge_name(settings.lab)
    for name in ("iptables", "iptables-restore"):
        write_program(tmp_path / name, STAND_IN_IPTABLES)
    write_program(tmp_path / "sudo", '#!/bin/sh\nwhile [ "$1" != sh ]; do shift; done\nexec "$@"\n')
    rules = tmp_path / "rules"
    others = "-N DOCKER-USER\n-A DOCKER-USER -i sl-b -p udp -j RETURN\n-A DOCKER-USER -j RETURN\n"
    # What an older version left, in another order.
    rules.write_text(f"{others}-A DOCKER-USER -i {bridge} ! -o {bridge} -j REJECT\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert Applied(host.firewall, bridge=bridge).changed
    ours = [line for line in rules.read_text().splitlines() if bridge in line]
    assert [line.split()[-1] for line in ours if "53 " not in line] == [
        "RETURN", "icmp-port-unreachable", "RETURN", "icmp-port-unreachable",
    ]  # fmt: skip
    assert ours[-1].startswith(f"-A DOCKER-USER ! -i {bridge} -o {bridge} -j REJECT")
    assert not Applied(host.firewall, bridge=bridge).changed
    assert Applied(host.firewall_removal, settings=settings).changed
    assert rules.read_text() == others
    assert not Applied(host.firewall_removal, settings=settings).changed
