"""A real class that tests work on: three seats, and what each of their learners can do."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sopslab.config.environment import at_seat
from sopslab.config.inputs import CLASSROOM
from sopslab.config.naming import seat_namespace, seat_system_namespace
from sopslab.config.settings import Learner
from tests.cluster.lab import Lab, run

SEATS = ("ada", "bob", "eve")
# Flux looks at an object when this annotation of it changes.
NOW = "reconcile.fluxcd.io/requestedAt"


def write_roster(path: Path, ids: tuple[str, ...]) -> Path:
    """Write a roster of these learners and return its path."""
    learners = [{"id": seat, "name": f"Learner {seat}"} for seat in ids]
    path.write_text(yaml.safe_dump({"learners": learners}))
    return path


def version_of(item: Mapping[str, Any]) -> str:
    """Return what changes whenever somebody changes an object. For a quota, this is what it allows:
    Kubernetes itself writes to its status when it begins to count another kind."""
    if item["kind"] == "ResourceQuota":
        return json.dumps(item["spec"])
    return str(item["metadata"]["resourceVersion"])


@dataclass
class Classroom:
    """A lab with a class on it."""

    lab: Lab

    def up(
        self,
        *arguments: str,
        ids: tuple[str, ...] = SEATS,
        check: bool = True,
        **more: str | None,
    ) -> dict[str, Any]:
        """Run `sopslab up` for these learners and return its object; `more` are variables."""
        roster = write_roster(self.lab.folder / "roster.yaml", ids)
        return self.lab.up(
            CLASSROOM, "--roster", str(roster), *arguments, check=check, umask=-1, **more
        )

    def kubeconfig(self, seat: str) -> Path:
        """Return the file that the learner was given."""
        return Path(self.lab.settings.seat_dir(seat)) / "kubeconfig"

    def kubectl_as(
        self, seat: str, *arguments: str, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run stock kubectl with the learner's own kubeconfig."""
        environment = {**self.lab.environment, "KUBECONFIG": str(self.kubeconfig(seat))}
        return run(["kubectl", *arguments], env=environment, check=check, stdin=stdin)

    def url(self, seat: str) -> str:
        """Return the address of the learner's repository."""
        return f"{self.lab.settings.git_base_url}/{self.environment(seat).repository}.git"

    def environment(self, seat: str) -> Any:
        """Return the names of the learner's environment."""
        return at_seat(Learner(id=seat, name=seat, email=f"{seat}@example.org"))

    @property
    def trust(self) -> list[str]:
        """Return the options with which git trusts the Git server; none if it has no TLS."""
        ca = self.lab.settings.git_ca
        return [] if ca is None else ["-c", f"http.sslCAInfo={ca}"]

    def login(self, seat: str) -> list[str]:
        """Return the options with which git logs in as the learner, and as nobody else."""
        file = Path(self.lab.settings.git_dir) / "credentials" / seat / "git-credentials"
        return ["-c", "credential.helper=", "-c", f"credential.helper=store --file='{file}'"]

    def logs_in(self, seat: str, login: Path) -> bool:
        """Return whether the Git server lets the login in a file read the learner's repository."""
        with tempfile.TemporaryDirectory() as folder:
            # git removes a refused login from the file.
            copy = shutil.copy(login, folder)
            done = run(
                ["git", *self.trust, "-c", "credential.helper=", "-c",
                 f"credential.helper=store --file='{copy}'", "ls-remote", self.url(seat),
                 "refs/heads/main"],
                env={**self.lab.environment, "GIT_TERMINAL_PROMPT": "0"}, check=False,
            )  # fmt: skip
        assert done.returncode == 0 or "Authentication failed" in done.stderr
        return done.returncode == 0

    def pods_with(self, kubeconfig: Path) -> subprocess.CompletedProcess[str]:
        """List pods with this kubeconfig, in the namespace that it names."""
        environment = {**self.lab.environment, "KUBECONFIG": str(kubeconfig)}
        return run(["kubectl", "get", "pods"], env=environment, check=False)

    def clone(self, seat: str, folder: Path) -> Path:
        """Return a clone of the learner's repository below `folder`, with the learner's login."""
        target = folder / seat
        options = [*self.trust, *self.login(seat)]
        run(["git", *options, "clone", "--quiet", self.url(seat), str(target)])
        settings = {
            "user.name": seat,
            "user.email": f"{seat}@example.org",
            **dict(word.split("=", 1) for word in options[1::2]),
        }
        for key, value in settings.items():
            run(["git", "config", key, value], cwd=target)
        return target

    def commit(self, clone: Path) -> None:
        """Commit all that is in a clone, past any hook."""
        run(["git", "add", "--all"], cwd=clone)
        words = ("--quiet", "--no-verify", "--allow-empty", "--message", "Try")
        run(["git", "commit", *words], cwd=clone)

    def push(
        self, clone: Path, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Commit all that is in a learner's clone, past any hook, and push it. Flux is told of the
        push, so that no test waits until it looks."""
        self.commit(clone)
        done = run(["git", "push", "--quiet", *arguments], cwd=clone, check=check)
        if done.returncode == 0:
            self.announce(clone.name)
        return done

    def announce(self, seat: str) -> None:
        """Have Flux look at a learner's repository now, if no hook tells it of pushes."""
        if not self.lab.announces:
            self.lab.kubectl(
                "-n", seat_system_namespace(seat), "annotate", "--overwrite", "gitrepository/lab",
                f"{NOW}={time.time_ns()}",
            )  # fmt: skip

    def has_fetched(self, seat: str, commit: str) -> bool:
        """Return whether Flux has a commit of the learner's repository."""
        return commit in self.lab.kubectl(
            "--namespace", seat_system_namespace(seat), "get", "gitrepository", "lab",
            "--output", "jsonpath={.status.artifact.revision}",
        )  # fmt: skip

    def canary_digest(self, seat: str) -> str:
        """Return the SHA-256 of the seat's canary as the cluster has it; "" if it has none."""
        live = self.lab.kubectl(
            "--namespace", seat_namespace(seat), "get", "secret", "lab-canary",
            "--output", "jsonpath={.data.value}", check=False,
        )  # fmt: skip
        return hashlib.sha256(base64.b64decode(live)).hexdigest() if live else ""

    def has_canary(self, seat: str) -> bool:
        """Return whether the cluster has the seat's canary with the value that the lab gave it."""
        kept = Path(self.lab.settings.seat_dir(seat), "canary")
        return self.canary_digest(seat) == kept.read_text().strip()

    def bare(self, seat: str) -> Path:
        """Return the learner's repository as the Git server keeps it."""
        return Path(self.lab.settings.git_dir) / "repositories" / seat / "lab.git"

    def key(self, seat: str) -> str:
        """Return the public half of the seat's identity."""
        return Path(self.lab.settings.keys_dir, f"{seat}.pub").read_text().strip()

    def head(self, seat: str) -> str:
        """Return the commit of the learner's branch main."""
        return run(["git", "rev-parse", "refs/heads/main"], cwd=self.bare(seat)).stdout.strip()
