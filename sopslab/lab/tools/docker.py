"""Docker, with the configuration of the user who runs the lab."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from sopslab.config.places import Places
from sopslab.lab.tools.programs import (
    SHORT_LIVED,
    SILENCE,
    Answer,
    ask,
    lab_environment,
    run,
    try_ask,
)


def docker(*arguments: str, patience: float = 60, inherited: int | None = None) -> str:
    """Return what docker prints. Raises Failed.

    + inherited: a descriptor that docker inherits
    """
    done = run(["docker", *arguments], os.environ, patience=patience, inherited=inherited)
    return os.fsdecode(done).rstrip("\n")


def ask_docker(*arguments: str, patience: float = 60) -> Answer:
    """Return what docker answers, whatever its exit code, or SILENCE where there is no docker.

    Raises Undecided if docker does not end.
    """
    if shutil.which("docker") is None:
        return SILENCE
    return ask(["docker", *arguments], {**os.environ, **SHORT_LIVED}, patience=patience)


def try_docker(*arguments: str, patience: float = 60) -> Answer:
    """Return what docker answers, or SILENCE if it is not there or does not end."""
    return try_ask(["docker", *arguments], {**os.environ, **SHORT_LIVED}, patience=patience)


def labelled_containers(label: str) -> list[str]:
    """Return the ids of all containers with a label; none where no engine answers."""
    return ask_docker("ps", "--all", "--quiet", "--filter", f"label={label}").text.split()


def inspected_containers(*names: str) -> list[Any]:
    """Return what Docker says of those containers that are there."""
    if not names:
        return []
    return list(json.loads(ask_docker("container", "inspect", *names).out or b"[]"))


def container_log(container: str, lines: int) -> bytes:
    """Return the last lines that a container has written, on both of its outputs, or why docker
    cannot show them. Raises Undecided if docker does not end."""
    return ask(["docker", "logs", "--tail", str(lines), container], os.environ, errors=True).out


def node_images(places: Places, node: str) -> frozenset[str] | None:
    """Return the images that a node has, None where it does not answer."""
    command = ["docker", "exec", node, "ctr", "--namespace", "k8s.io", "images", "list", "--quiet"]
    answer = try_ask(command, lab_environment(places))
    return frozenset(answer.text.split()) if answer.code == 0 else None
