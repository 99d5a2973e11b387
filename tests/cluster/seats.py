"""A room of container machines: each has its own engine and an sshd, and nothing of ours."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sopslab.config.inputs import local_settings
from tests.cluster.debian import ENGINE, Machine, machine
from tests.cluster.lab import lab_name, run, wait_until

SUITE = "bookworm"
# The packages that docs/instructors.md names.
PACKAGES = ("openssh-server", "python3", "git", "iptables", "util-linux", "sudo")
HOME = "/root"
SEAT_ROOT = f"{HOME}/.local/share/sops-lab"
SOPSLAB = f"{SEAT_ROOT}/bin/sopslab"


@dataclass(frozen=True)
class Seat:
    """A machine that can be logged in to as root with the room's key."""

    learner: str
    machine: Machine
    key: Path

    @property
    def address(self) -> str:
        form = "{{.NetworkSettings.IPAddress}}"
        return run(["docker", "inspect", "--format", form, self.machine.container]).stdout.strip()

    def serve(self) -> None:
        """Start the machine's sshd, and wait until it listens."""
        public = self.key.with_suffix(".pub").read_text()
        self.machine.run(
            "sh", "-euc",
            'mkdir -p /run/sshd ~/.ssh; printf "%s" "$1" >~/.ssh/authorized_keys;'
            " chmod -R go= ~/.ssh; /usr/sbin/sshd", "sh", public,
        )  # fmt: skip
        wait_until(self._listens, f"sshd listens at the seat of {self.learner}", 30)

    def reboot(self) -> None:
        run(["docker", "restart", "--time", "1", self.machine.container])
        self.serve()

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.address, 22), 1).close()
        except OSError:
            return False
        return True


@dataclass
class Room:
    """Seats, and the controller: this machine, with the store that it has."""

    seats: dict[str, Seat]
    folder: Path
    name: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "SOPSLAB_INVENTORY": "inventories/seats.py",
            "SOPSLAB_ROSTER": str(self.folder / "class.yaml"),
            "SOPSLAB_LAB": self.name,
            # A user with nothing set for ssh but the key.
            "HOME": str(self.folder / "home"),
            "SOPSLAB_ROOT": self.root,
        }

    @property
    def root(self) -> str:
        return local_settings().root

    def write_roster(self, **hosts: str) -> None:
        """Write a roster of the seats' learners, and of others by id at these addresses."""
        entries = [
            {"id": learner, "name": learner.title(), "host": host, "user": "root", "group": "all"}
            for learner, host in {
                **{one.learner: one.address for one in self.seats.values()}, **hosts,
            }.items()
        ]  # fmt: skip
        (self.folder / "class.yaml").write_text(json.dumps(entries))

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sopslab", *words],
            env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    def sopslab(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run a verb to its end; return its exit code and its answer."""
        process = self.start(*words, "--json")
        out, err = process.communicate(timeout=1800)
        assert out, err
        answer: dict[str, Any] = json.loads(out)
        return process.returncode, answer

    def up(self, *words: str) -> tuple[int, dict[str, Any]]:
        return self.sopslab("up", "--install-docker", *words)


@contextmanager
def room(
    folder: Path,
    learners: Sequence[str],
    packages: Sequence[str] = (*PACKAGES, *ENGINE[SUITE]),
) -> Iterator[Room]:
    """Yield a room with a seat for each of the learners.

    + packages: the packages of the distribution that each machine has
    """
    key = folder / "home" / ".ssh" / "id_ed25519"
    key.parent.mkdir(parents=True, mode=0o700)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    # OpenSSH takes the home folder from the password database, whatever HOME says.
    (key.parent / "config").write_text(f"IdentityFile {key}\n")
    with ExitStack() as stack:
        seats = {
            learner: Seat(learner, stack.enter_context(machine(SUITE, *packages)), key)
            for learner in learners
        }
        for one in seats.values():
            one.serve()
        made = Room(seats, folder, lab_name("room"))
        made.write_roster()
        stack.callback(shutil.rmtree, Path(made.root, "rooms", made.name), ignore_errors=True)
        yield made
