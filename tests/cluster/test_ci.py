"""CI's recipes on real labs: what a job gets from its lab, and that it leaves nothing of the lab,
even if the job is cancelled or killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from sopslab.config.job import job_name
from sopslab.layout import PROJECT
from tests.cluster.engine_elsewhere import engine_at
from tests.cluster.lab import PREFIX, Lab, lab_name, run, wait_until
from tests.cluster.neighbour import address_of_this_machine
from tests.conftest import find_tool

pytestmark = pytest.mark.soak

MODULE = PROJECT / "tests" / "modules" / "act"
_AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
WORKFLOW = PROJECT / ".github" / "workflows" / "lab.yaml"


class Job:
    """A job in a folder of its own, and the lab that it will have."""

    def __init__(self, folder: Path, environment: dict[str, str], name: str) -> None:
        self.folder = folder
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("SOPSLAB_") or key == "SOPSLAB_ROOT"
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**kept, **environment, "PATH": path}
        self.lab = Lab(name, folder / "looking", {})

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, start_new_session=True,
            stdout=(self.folder / "log").open("a"), stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *command: str) -> None:
        """Run a command of the job, and fail if it does not succeed."""
        code = self.start(*command).wait(timeout=900)
        assert code == 0, self.log

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def cases(self, report: str) -> dict[str, str | None]:
        """Return for each case of a report how it ended, such as `failure`; None if it passed."""
        suites = ElementTree.parse(self.folder / "sops-lab-reports" / report).getroot()
        return {
            case.get("name", ""): next(
                (part.tag for part in case if part.tag != "system-out"), None
            )
            for case in suites.iter("testcase")
        }

    @property
    def left(self) -> list[str]:
        """What is left of the job's lab."""
        folder = Path(self.lab.settings.lab_dir)
        return [*self.lab.traces(), *map(str, folder.rglob("*"))]


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A job as GitLab starts one."""
    told = {
        "GITLAB_CI": "true", "CI_SERVER_URL": "https://git.example", "CI_JOB_ID": str(os.getpid()),
        "CI_JOB_NAME": PREFIX,
    }  # fmt: skip
    job = Job(tmp_path, told, job_name(told))
    yield job
    job.lab.remove()


def test_a_job_proves_its_lab_from_end_to_end_and_leaves_the_store(job: Job) -> None:
    job.run("sh", str(PROJECT / "ci/lab.sh"), "run")
    assert set(job.cases("up.xml")) >= {"Host", "Artifacts", "Cluster", "Flux", "Canary"}
    assert set(job.cases("up.xml").values()) == {None}
    assert set(job.cases("verify.xml").values()) == {None}
    assert not (job.folder / "sops-lab-reports" / "support.tar.gz").exists()
    assert job.left == []
    assert any(Path(job.lab.settings.store).iterdir())


def test_a_job_that_fails_leaves_what_helps_and_nothing_of_its_lab(job: Job) -> None:
    failing = job.start("sh", str(PROJECT / "ci/lab.sh"), "run", "sh", "-c", "exit 9")
    assert failing.wait(timeout=900) == 9, job.log
    assert (job.folder / "sops-lab-reports" / "support.tar.gz").stat().st_size > 1000
    assert job.left == []


def test_what_a_killed_job_has_left_is_reaped_and_no_other_lab(job: Job, lab: Lab) -> None:
    job.run("sh", str(PROJECT / "ci/lab.sh"), "up")
    file = Path(job.lab.settings.lease_file)
    lease = json.loads(file.read_text())
    env = job.lab.base_environment

    told = run(["sopslab", "reap"], env={**env, "PATH": job.environment["PATH"]}).stdout
    assert f"{job.lab.name} stays: its lease ends at {lease['until']}" in told
    file.write_text(json.dumps({**lease, "until": "2026-01-01T00:00:00+00:00"}))
    told = run(["sopslab", "reap"], env={**env, "PATH": job.environment["PATH"]}).stdout

    assert f"{job.lab.name} is taken down" in told
    assert f"{lab.name} stays: it has no lease" in told
    assert job.left == []
    assert lab.up()["changed"] == 0


@pytest.fixture(scope="module")
def act() -> str:
    """The runner of GitHub's actions, built from its module, and rebuilt if the module changes."""
    program = PROJECT / "build" / "tools" / "act"
    run(
        [find_tool("go"), "build", "-o", str(program), "github.com/nektos/act"],
        env=dict(os.environ), cwd=MODULE,
    )  # fmt: skip
    return str(program)


@pytest.fixture
def workflow(tmp_path: Path, act: str) -> Iterator[tuple[Job, list[str]]]:
    """The job of the workflow without what needs GitHub itself, and the command that runs it."""
    name = lab_name("act")
    read = yaml.safe_load(WORKFLOW.read_text())
    steps = read["jobs"]["lab"]["steps"]
    # The runner knows how to check out by itself.
    own = [step for step in steps if re.match(r"\./$|actions/checkout@", step.get("uses", "./"))]
    assert len(own) == 3
    read["jobs"]["lab"]["steps"] = own
    # YAML reads the key `on` as a boolean.
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump({"on": read.pop(True), **read}))
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(PROJECT / "action.yml", checkout)
    shutil.copytree(PROJECT / "ci", checkout / "ci")
    # Made anew it would take minutes, and be the same.
    (checkout / ".venv").symlink_to(sys.prefix)
    (checkout / "Makefile").write_text(".venv/.runtime:\n")
    for command in ("init --quiet", "add .", "commit --quiet --message=Checkout"):
        run(["git", *_AUTHOR, *command.split()], cwd=checkout)
    (tmp_path / "config" / "act").mkdir(parents=True)
    (tmp_path / "config" / "act" / "actrc").touch()
    told = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    job = Job(tmp_path, told, name)
    job.lab.remove()
    yield (
        job,
        [
            act, "push", "--directory", str(checkout), "--workflows", str(tmp_path / "lab.yaml"),
            "--platform", "ubuntu-24.04=-self-hosted", "--env", f"SOPSLAB_LAB={name}",
        ],
    )  # fmt: skip
    job.lab.remove()


def test_the_action_makes_a_lab_for_the_steps_of_a_job_and_takes_it_down(
    workflow: tuple[Job, list[str]],
) -> None:
    job, command = workflow
    job.run(*command)
    assert "Done: the secret went the whole way" in job.log
    assert job.left == []


def test_of_a_job_that_is_cancelled_in_the_middle_nothing_is_left(
    workflow: tuple[Job, list[str]],
) -> None:
    job, command = workflow
    running = job.start(*command)
    wait_until(lambda: job.lab.node in " ".join(job.lab.traces()), "no node was made", 300)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=600) != 0, job.log
    assert job.left == []


def test_beside_a_docker_that_is_a_service_everything_is_reached_there(tmp_path: Path) -> None:
    address = address_of_this_machine()
    lab = Lab(lab_name("service"), tmp_path, {})
    lab.remove()
    with engine_at(address) as docker_host:
        try:
            lab.up(DOCKER_HOST=docker_host)
            assert lab.up(DOCKER_HOST=docker_host)["changed"] == 0
            kubeconfig = yaml.safe_load(Path(lab.settings.lab_kubeconfig).read_text())
            (server,) = (each["cluster"]["server"] for each in kubeconfig["clusters"])
            assert server.startswith(f"https://{address}:")
            work = Path(lab.settings.work_dir)
            origin = run(["git", "remote", "get-url", "origin"], cwd=work).stdout
            assert origin.startswith(f"https://{address}:{lab.settings.git_port}/")
            # The firewall of another machine is not for the lab to change.
            assert lab.rules() == []
            lab.sopslab("reset", "--to", "done", DOCKER_HOST=docker_host)
            path = f"{lab.settings.bin_dir}:{os.environ['PATH']}"
            lab.sopslab("verify", "--wait", "60", DOCKER_HOST=docker_host, PATH=path)
        finally:
            lab.sopslab("down", DOCKER_HOST=docker_host)
            left = lab.traces()
            lab.remove()
    assert left == []
