"""What the lab of a CI job is called, and where it listens."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Mapping

from sopslab.errors import InputError

# For each kind of CI: the variable that identifies it, the variable with a job's name, for people
# to recognise, and the variables that together tell the job from every other one on the same
# machine at the same time.
_KINDS = (
    (
        ("GITHUB_ACTIONS", "true"), "GITHUB_JOB",
        ("GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "RUNNER_NAME"),
    ),
    (("GITLAB_CI", "true"), "CI_JOB_NAME", ("CI_SERVER_URL", "CI_JOB_ID")),
    (
        ("CI_SYSTEM_NAME", "woodpecker"), "CI_WORKFLOW_NAME",
        ("CI_SYSTEM_URL", "CI_REPO", "CI_PIPELINE_NUMBER", "CI_WORKFLOW_NUMBER"),
    ),
)  # fmt: skip
_LENGTH = 30  # characters of a lab's name


def job_name(environment: Mapping[str, str]) -> str:
    """Return the name of the lab for the CI job that has these variables: the same name in every
    step of the job, and another one in every other job. Raises InputError outside any known CI.
    """
    for (variable, value), title, parts in _KINDS:
        if environment.get(variable) == value:
            told = "\0".join(environment.get(part, "") for part in parts)
            end = f"-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
            words = re.findall("[a-z0-9]+", environment.get(title, "").lower())
            return "-".join(["ci", *words])[: _LENGTH - len(end)].rstrip("-") + end
    raise InputError(
        [
            "this is not the environment of a CI job that is known: name the lab yourself, with"
            " SOPSLAB_LAB"
        ]
    )


def free_port() -> int:
    """Return a port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
