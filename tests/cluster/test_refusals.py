"""Refusals: each with a sentence and an exit code of its own, before anything is touched."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.artifacts.catalog import load_catalog
from sopslab.config.job import free_port
from sopslab.errors import Exit
from tests.cluster.interruption import held_up
from tests.cluster.lab import Lab, lab_name, run
from tests.marks import mostly_soak


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Lab]:
    """A lab for which nothing was done yet."""
    other = Lab(lab_name("other"), tmp_path / "other", {})
    other.remove()
    yield other
    other.remove()


@pytest.fixture
def foreign_container(other: Lab) -> Iterator[str]:
    """A container that looks like the node of a cluster of the lab's name, made by someone else."""
    image = load_catalog(other.settings.catalog).git_tag
    label = f"io.x-k8s.kind.cluster={other.name}"
    run(
        [
            "docker", "run", "--detach", "--name", other.node, "--label", label,
            "--entrypoint", "sleep", image, "infinity",
        ]
    )  # fmt: skip
    yield other.node
    run(["docker", "rm", "--force", "--volumes", other.node])


def test_a_foreign_cluster_of_the_same_name_is_left_alone(
    other: Lab, foreign_container: str
) -> None:
    def inspect() -> dict[str, object]:
        found = json.loads(run(["docker", "inspect", foreign_container]).stdout)[0]
        return {key: found[key] for key in ("Id", "State", "NetworkSettings", "Config")}

    before = inspect()
    answer = other.up(check=False)
    assert answer["code"] == Exit.CLUSTER
    assert (
        f"there is a kind cluster {other.name} that this lab did not make" in answer["problems"][0]
    )
    assert inspect() == before
    assert not Path(other.settings.lab_kubeconfig).exists()
    other.sopslab("down")
    assert inspect() == before
    assert other.traces() == [f"container {foreign_container}"]


@pytest.mark.soak
def test_a_foreign_network_of_the_same_name_is_left_alone(other: Lab) -> None:
    identity = run(
        ["docker", "network", "create", "--label", "sops-lab.root=/elsewhere", other.network]
    ).stdout.strip()
    try:
        answer = other.up(check=False)
        assert answer["code"] == Exit.CLUSTER
        assert other.network in answer["problems"][0] and "/elsewhere" in answer["problems"][0]
        other.sopslab("down")
        text = "{{.Id}}"
        found = run(["docker", "network", "inspect", "--format", text, other.network])
        assert found.stdout.strip() == identity
        assert other.traces() == [f"network {other.network}"]
    finally:
        run(["docker", "network", "rm", other.network])


@pytest.mark.parametrize("port", mostly_soak(("git_port", "api_port"), "git_port"))
def test_a_taken_port_is_named_with_its_holder_before_anything_is_made(
    other: Lab, tmp_path: Path, port: str
) -> None:
    refused = Lab(other.name, tmp_path / "refused", {port: free_port()})
    taken = getattr(refused.settings, port)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", taken))
        listener.listen()
        answer = refused.up(check=False)
    assert answer["code"] == Exit.HOST and answer["changed"] == 0
    assert f"port {taken} is taken by another program" in answer["problems"][0]
    assert refused.traces() == []


@pytest.mark.soak
@pytest.mark.restores
def test_a_port_that_another_lab_serves_on_is_named_with_that_container(
    lab: Lab, tmp_path: Path
) -> None:
    second = Lab(lab_name("second"), tmp_path / "second", {"git_port": lab.settings.git_port})
    try:
        answer = second.up(check=False)
        assert answer["code"] == Exit.HOST and answer["changed"] == 0
        assert f"is taken by {lab.git_server}" in answer["problems"][0]
        assert second.traces() == []
    finally:
        second.remove()


@pytest.fixture
def dead_docker() -> Iterator[dict[str, str]]:
    """Addresses at which no engine answers: nothing listens there, or what listens is silent."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield {
            "nobody": f"tcp://127.0.0.1:{free_port()}",
            "silent": f"tcp://127.0.0.1:{listener.getsockname()[1]}",
        }
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("who", mostly_soak(("nobody", "silent"), "nobody"))
def test_a_docker_that_does_not_answer_is_said_in_bounded_time(
    other: Lab, dead_docker: dict[str, str], who: str
) -> None:
    started = time.monotonic()
    answer = other.up(check=False, DOCKER_HOST=dead_docker[who])
    # Docker's own client would wait for ever for an answer to its request.
    assert time.monotonic() - started < 90
    assert answer["seconds"] < 10 or who == "silent"
    assert answer["code"] == Exit.HOST and answer["changed"] == 0
    assert "Docker is unavailable" in answer["problems"][0]
    assert "start that engine" in answer["problems"][0]
    assert other.traces() == []
    assert not Path(other.settings.keys_dir).exists()


@pytest.mark.soak
@pytest.mark.restores
def test_of_two_runs_at_once_one_ends_and_names_the_other(lab: Lab) -> None:
    with held_up(lab, "up") as first:
        second = lab.up(check=False)
    assert second["code"] == Exit.LOCKED
    assert second["problems"] == [
        f"this lab is being worked on by process {first.holder}: wait for it to finish"
    ]
    assert (first.answer["code"], first.answer["changed"]) == (Exit.OK, 0)


BAD_FILES: dict[str, tuple[str | bytes, list[str]]] = {
    "tab": ("lab: lab-bad\n\troot: /tmp/x\n", ["lab.yaml:2:"]),
    "duplicate key": ("lab: lab-bad\nlab: lab-worse\n", ["lab.yaml:2:", "twice"]),
    "alias bomb": ("lab: &a lab-bad\nroot: *a\n", ["lab.yaml:2:", "aliases"]),
    "not UTF-8": (b"lab: lab-bad\nroot: /tmp/\xff\n", ["lab.yaml:2:", "UTF-8"]),
    "too large": ("# " + "x" * 1_100_000, ["larger than 1 MiB"]),
    "all problems at once": (
        "lab: Bad_Name\ngit_port: '80'\ncolour: red\nartifact_source: moon\n",
        ["lab: 'Bad_Name'", "git_port: '80'", "colour", "artifact_source: 'moon'"],
    ),
    "injection": ("lab: '$(touch /tmp/sops-lab-owned)'\n", ["lab: "]),
    "jinja": ("lab: '{{ 7 * 7 }}'\n", ["lab: "]),
    "newline": ('lab: "lab-bad\\n; rm -rf /"\n', ["lab: "]),
    "a boolean for a name": ("lab: no\n", ["lab: ", "quotes"]),
    "a number for a name": ("lab: 007\n", ["lab: ", "quotes"]),
    "nothing for a name": ("lab: ~\n", ["lab: "]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_lab_file_is_refused_before_anything_exists(
    other: Lab, tmp_path: Path, case: str
) -> None:
    content, expected = BAD_FILES[case]
    file = tmp_path / "lab.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    root = tmp_path / "root"
    done = other.sopslab("up", check=False, SOPSLAB_FILE=str(file), SOPSLAB_ROOT=str(root))
    said = done.stdout + done.stderr
    assert done.returncode == Exit.INPUT, said
    for part in expected:
        assert part in said
    assert "Traceback" not in said
    assert not root.exists() and not Path("/tmp/sops-lab-owned").exists()
    listing = run(["docker", "ps", "--all", "--format", "{{.Names}}"]).stdout
    assert "lab-bad" not in listing
