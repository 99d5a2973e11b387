"""A seat on this machine, reached by an sshd of the tests. A machine in a container can make only
one cluster in its life; this machine can make another one after the first was cut off."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.config.inputs import CHOOSING, local_settings
from sopslab.config.job import free_port
from sopslab.layout import PROJECT
from tests.cluster.lab import lab_name, wait_until
from tests.sshd import Seat, make_key, seat

pytestmark = pytest.mark.soak

_LONGEST_S = 1500


@dataclass
class Here:
    """A room whose only seat is this machine, with a home of its own."""

    seat: Seat
    folder: Path
    name: str

    @property
    def environment(self) -> dict[str, str]:
        own = {key: value for key, value in os.environ.items() if key not in CHOOSING}
        return {
            **own,
            "SOPSLAB_INVENTORY": "inventories/seats.py",
            "SOPSLAB_ROSTER": str(self.folder / "class.yaml"),
            "SOPSLAB_FILE": str(self.folder / "room.yaml"),
            "SOPSLAB_ROOT": local_settings().root,
            # A user with nothing set for ssh but the key.
            "HOME": str(self.folder / "home"),
        }

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "said").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "sopslab", *words],
                env=self.environment, cwd=PROJECT, stdout=said, stderr=said,
                start_new_session=True,
            )  # fmt: skip

    def sopslab(self, *words: str) -> dict[str, Any]:
        """Run a verb, which has to succeed, and return its answer."""
        done = subprocess.run(
            [sys.executable, "-m", "sopslab", *words, "--json"],
            env=self.environment, cwd=PROJECT, capture_output=True, text=True, check=False,
            timeout=_LONGEST_S,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == 0, answer["problems"]
        return answer

    @property
    def kind_is_at_work(self) -> bool:
        """Whether the seat's kind is making the cluster."""
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = line.read_bytes().split(b"\0")
                if {b"create", b"cluster", self.name.encode()} <= set(words):
                    return True
        return False


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("here")
    key = make_key(folder / "home" / ".ssh" / "id_ed25519")
    (key.parent / "config").write_text(f"IdentityFile {key}\nIdentitiesOnly yes\n")
    with seat(folder / "seat", key, make_key(folder / "host"), path=os.environ["PATH"]) as made:
        room = Here(made, folder, lab_name("here"))
        told = {"host": made.machine.host, "port": made.machine.port, "user": made.machine.user}
        roster = [{"id": "ada", "name": "Ada", **told}]
        (folder / "class.yaml").write_text(json.dumps(roster))
        lab = {"lab": room.name, "git_port": free_port()}
        (folder / "room.yaml").write_text(yaml.safe_dump(lab))
        try:
            yield room
        finally:
            room.sopslab("down", "--purge", "--yes")
            shutil.rmtree(Path(local_settings().root, "rooms", room.name), ignore_errors=True)


def test_a_controller_that_is_killed_while_the_cluster_is_made_is_followed_by_one_that_completes(
    here: Here,
) -> None:
    process = here.begin("up")
    try:
        wait_until(
            lambda: here.kind_is_at_work or process.poll() is not None,
            "the seat begins its cluster", _LONGEST_S,
        )  # fmt: skip
        assert process.poll() is None, (here.folder / "said").read_text()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    assert here.kind_is_at_work
    answer = here.sopslab("up")
    assert answer["seats"]["ada"]["ok"] and answer["changed"] > 0
    assert here.sopslab("up")["changed"] == 0
