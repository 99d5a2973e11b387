"""The Docker engine is killed while kind makes the node.

The test has an engine of its own, in a network of its own: this machine's engine serves others, and
two engines in one network would rewrite each other's firewall rules.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from sopslab.artifacts.catalog import load_catalog
from sopslab.errors import Exit
from tests.cluster.lab import Lab, as_root, lab_name, run, wait_until

pytestmark = [pytest.mark.soak, pytest.mark.exclusive]

NETWORK = f"sops-lab-{lab_name('dies')}"


@dataclass
class Engine:
    """A Docker engine whose data is below a folder."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The value of DOCKER_HOST for this engine."""
        return f"unix://{self.folder}/docker.sock"

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Return what Docker's client prints for this engine."""
        return run(["docker", "--host", self.address, *arguments], check=check).stdout

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        command = [
            "nsenter", f"--net=/run/netns/{NETWORK}", "dockerd", "--host", self.address,
            "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"),
            "--pidfile", str(self.folder / "pid"),
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                as_root(*command), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        wait_until(lambda: "Server" in self.docker("version", check=False), "the engine answers")

    def end(self, how: signal.Signals) -> None:
        """End the engine by a signal and wait until it is gone."""
        assert self.process is not None
        run(as_root("kill", f"-{how.value}", (self.folder / "pid").read_text()))
        self.process.wait(60)


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    # A short name, because the path of a socket is limited.
    engine = Engine(tmp_path_factory.mktemp("e"))
    run(as_root("ip", "netns", "add", NETWORK))
    try:
        run(as_root("ip", "-n", NETWORK, "link", "set", "lo", "up"))
        engine.start()
        yield engine
    finally:
        _remove(engine)


def _remove(engine: Engine) -> None:
    for container in engine.docker("ps", "--all", "--quiet", check=False).split():
        engine.docker("rm", "--force", "--volumes", container, check=False)
    with contextlib.suppress(OSError, AssertionError):
        engine.end(signal.SIGTERM)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed([one for one in mounts if one.startswith(f"{engine.folder}/")]):
        run(as_root("umount", "--lazy", mount), check=False)
    run(as_root("ip", "netns", "del", NETWORK), check=False)
    shutil.rmtree(engine.folder, ignore_errors=True)


def test_an_up_ends_with_it_and_the_next_one_goes_on(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = as_root("nsenter", f"--net=/run/netns/{NETWORK}")
    lab = Lab(lab_name("dies"), tmp_path, {}, within=within)
    catalog = load_catalog(lab.settings.catalog)
    images = ["docker", "save", catalog.node_tag, catalog.git_tag]
    with subprocess.Popen(images, stdout=subprocess.PIPE) as saved:
        subprocess.run(
            ["docker", "--host", engine.address, "load", "--quiet"],
            stdin=saved.stdout, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    monkeypatch.setenv("DOCKER_HOST", engine.address)
    lab.remove()

    def is_halfway() -> bool:
        """Return whether the node is being made and the lab has its keys, which have to stay."""
        keys = list(Path(lab.settings.keys_dir).glob("*.agekey"))
        return len(keys) == 2 and "true" in running(engine, lab.node)

    try:
        with ThreadPoolExecutor(1) as pool:
            attempt = pool.submit(lab.up, check=False)
            wait_until(is_halfway, "the node is being made, and there are keys", 120)
            assert not attempt.done()
            engine.end(signal.SIGKILL)
            killed = time.monotonic()
            answer = attempt.result()
        assert time.monotonic() - killed < 120
        # The step that first misses the engine fails: other steps run while the node is made.
        assert answer["code"] in {Exit.GIT, Exit.LEARNERS, Exit.CLUSTER}, answer["problems"]
        assert answer["problems"]
        recipients = [lab.recipient(), lab.recipient("instructor")]

        again = lab.up(check=False)
        assert (again["code"], again["changed"]) == (Exit.HOST, 0)
        assert "Docker is unavailable" in again["problems"][0]

        engine.start()
        lab.up()
        assert [lab.recipient(), lab.recipient("instructor")] == recipients
        expected, live = lab.canary_digests(tmp_path)
        assert live == expected
        assert lab.up()["changed"] == 0
    finally:
        lab.remove()


def running(engine: Engine, container: str) -> str:
    return engine.docker("inspect", "--format", "{{.State.Running}}", container, check=False)
