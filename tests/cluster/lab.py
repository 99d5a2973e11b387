"""A real lab that tests work on: how it is started, asked, broken and put back."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from sopslab.config.job import free_port
from sopslab.config.labfile import read_lab_file
from sopslab.config.naming import bridge_name, git_server_name, network_name, node_name
from sopslab.config.settings import Settings, load_settings
from sopslab.layout import CANARY_PATH, KUSTOMIZATION, NAMESPACE, PROJECT
from tests.durations import note_verb

SOPSLAB = str(Path(sys.executable).parent / "sopslab")
# Names of our own variables; a test must not inherit what the developer's shell has set.
_OURS = ("SOPSLAB_LAB", "SOPSLAB_FILE", "SOPS_", "KUBECONFIG")
# The names of these labs begin with this. A run with another prefix can work beside this one.
PREFIX = os.environ.get("SOPSLAB_TEST_PREFIX", "lab")


def lab_name(purpose: str) -> str:
    """Return the name of the lab that the tests use for a purpose."""
    return f"{PREFIX}-{purpose}"


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Return when `condition` holds; after `seconds`, fail with `what` was awaited.

    Between two checks it sleeps twice as long as a check takes, but 0.1 s at least and 1 s at most:
    the processors are for what is awaited.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        if now > deadline:
            raise AssertionError(f"after {seconds} s: {what}")
        time.sleep(min(max(0.1, 2 * (now - asked)), 1))


@dataclass
class Lab:
    """A lab under test.

    `folder` is the test's own, and holds the lab file. `root` is the SOPSLAB_ROOT of the lab's
    commands, and `within` the words of a program that runs each of them. `birth` is what was seen
    while the lab was made from nothing, if a test watched it. `program` is the command `sopslab`,
    which may be that of another version.
    """

    name: str
    folder: Path
    data: dict[str, Any]
    root: str | None = None
    within: Sequence[str] = ()
    birth: dict[str, Any] = field(default_factory=dict)
    program: str = SOPSLAB

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / f"{self.name}.yaml"
        self.data.setdefault("git_port", free_port())
        self.file.write_text(yaml.safe_dump({"lab": self.name, **self.data}))

    @property
    def base_environment(self) -> dict[str, str]:
        """The developer's environment without variables that would point at another lab."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        if self.root is not None:
            kept["SOPSLAB_ROOT"] = self.root
        return {**kept, "SOPSLAB_FILE": str(self.file)}

    @property
    def settings(self) -> Settings:
        """The lab's settings."""
        import runpy

        defaults = runpy.run_path(str(PROJECT / "group_data" / "all.py"))
        data = {key: value for key, value in defaults.items() if key in Settings.model_fields}
        if self.root is not None:
            data["root"] = self.root
        return load_settings({**data, **read_lab_file(str(self.file))})

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of a shell after `eval "$(sopslab env)"`."""
        text = self.sopslab("env").stdout
        shell = subprocess.run(
            ["sh", "-c", 'eval "$1"; exec env -0', "sh", text],
            env=self.base_environment, capture_output=True, check=True,
        )  # fmt: skip
        pairs = [item.split("=", 1) for item in shell.stdout.decode().split("\0") if "=" in item]
        return dict(pairs)

    def sopslab(
        self, *arguments: str, check: bool = True, umask: int = -1, **more: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run `sopslab` on this lab; `more` are variables for it, None unsets one."""
        changed = {**self.base_environment, **more}
        env = {key: value for key, value in changed.items() if value is not None}
        started = time.monotonic()
        try:
            return run([*self.within, self.program, *arguments], env=env, check=check, umask=umask)
        finally:
            note_verb(arguments[0], time.monotonic() - started)

    def up(
        self, *arguments: str, check: bool = True, umask: int = -1, **more: str | None
    ) -> dict[str, Any]:
        """Run `sopslab up --json` and return its object, with the exit code as `code`."""
        done = self.sopslab("up", "--json", *arguments, check=False, umask=umask, **more)
        if not done.stdout:
            raise AssertionError(f"sopslab up: exit {done.returncode}, {done.stderr}")
        answer: dict[str, Any] = {**json.loads(done.stdout), "code": done.returncode}
        if check and done.returncode != 0:
            raise AssertionError(
                f"sopslab up: {answer['problems']}\n{Path(answer['log']).read_text()[-4000:]}"
            )
        return answer

    def run(
        self, *argv: str, cwd: Path | None = None, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a stock command as a learner would, after `eval "$(sopslab env)"`."""
        command = [*self.within, *argv]
        return run(command, env=self.environment, cwd=cwd, check=check, stdin=stdin)

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Return what the stock kubectl prints on this lab."""
        return self.run("kubectl", *arguments, check=check).stdout

    def recipient(self, key: str | None = None) -> str:
        """Return the public key of an identity in the store, by default the environment's."""
        path = f"{self.settings.keys_dir}/{key or self.settings.learner.id}.agekey"
        return self.run("age-keygen", "-y", path).stdout.strip()

    def cluster_recipient(self) -> str:
        """Return the public key of the identity in the Secret `sops-age`; empty without one."""
        found = json.loads(
            self.kubectl("-n", "flux-system", "get", "secret", "sops-age", "-o", "json")
        )
        identity = base64.b64decode(found["data"].get("age.agekey", "")).decode()
        return self.run("age-keygen", "-y", stdin=identity, check=False).stdout.strip()

    def canary_digests(self, folder: Path) -> tuple[str, str]:
        """Return the SHA-256 of the canary as stock sops decrypts it, and as the cluster has it."""
        clone = self.learner(folder)
        value = self.run(
            "sops", "decrypt", "--extract", '["stringData"]["value"]', CANARY_PATH, cwd=clone
        ).stdout
        live = self.kubectl(
            "-n", NAMESPACE, "get", "secret", "lab-canary", "-o", "jsonpath={.data.value}"
        )
        shutil.rmtree(clone)
        assert value.strip() and live, "the canary is empty"
        return _digest(value.encode()), _digest(base64.b64decode(live))

    def flux_applied(self, head: str) -> bool:
        """Return whether Flux has applied the commit `head` of the learner's repository."""
        return head in self.kubectl(
            "-n", "flux-system", "get", "kustomization", KUSTOMIZATION,
            "-o", "jsonpath={.status.lastAppliedRevision}", check=False,
        )  # fmt: skip

    def rules(self) -> list[str]:
        """Return the rules of Docker's chain that name the lab's bridge."""
        listing = run(as_root("iptables", "-w", "10", "-S", "DOCKER-USER")).stdout
        return [line for line in listing.splitlines() if bridge_name(self.name) in line]

    def changes(self, answer: dict[str, Any]) -> list[str]:
        """Return what a run changed, as `Step: operation: notes`."""
        return [
            f"{step['name']}: {change}" for step in answer["steps"] for change in step["changes"]
        ]

    @property
    def cluster(self) -> str:
        """The cluster as kind names it: the lab's own, or one that somebody made."""
        context = self.data.get("context")
        return str(context).removeprefix("kind-") if context else self.name

    @property
    def node(self) -> str:
        """The container of the node that has the API server."""
        return node_name(self.cluster)

    @property
    def node_network(self) -> str:
        """The Docker network of the nodes."""
        return self.cluster if "context" in self.data else self.network

    @property
    def system_share(self) -> float:
        """The percentage of the node's processors that starting pods may take, by its kernel."""
        read = """
            cd /sys/fs/cgroup
            cat system.slice/cpu.max 2>/dev/null \\
                || cat cpu/system.slice/cpu.cfs_quota_us cpu/system.slice/cpu.cfs_period_us
            nproc
        """
        answer = run(["docker", "exec", self.node, "sh", "-c", read]).stdout.split()
        quota, period, cpus = (-1 if word == "max" else int(word) for word in answer)
        return 100 * quota / period / cpus

    @property
    def network(self) -> str:
        """The Docker network."""
        return network_name(self.name)

    @property
    def announces(self) -> bool:
        """Whether Flux is told of a push; if not, it looks every minute."""
        return "context" not in self.data or "git_in_cluster" in self.data

    @property
    def git_server(self) -> str:
        """The container of the Git server."""
        return git_server_name(self.name)

    def learner(self, folder: Path) -> Path:
        """Return a fresh clone of the learner's repository below `folder`, with the commit hook."""
        work = Path(self.settings.work_dir)
        target = folder / "clone"
        helper = run(["git", "config", "credential.helper"], cwd=work).stdout.strip()
        url = f"{self.settings.git_base_url}/{self.settings.learner_repository}.git"
        clone = ["git", "-c", f"credential.helper={helper}", "clone", "--quiet", url, str(target)]
        run([*self.within, *clone])
        for key in ("credential.helper", "user.name", "user.email"):
            run(
                ["git", "config", key, run(["git", "config", key], cwd=work).stdout.strip()],
                cwd=target,
            )
        hook = target / ".git" / "hooks" / "pre-commit"
        shutil.copy(work / ".git" / "hooks" / "pre-commit", hook)
        return target

    def push_notes(self, folder: Path) -> str:
        """Commit and push a file as the learner does, and return the commit."""
        return self.push(folder, lambda clone: (clone / "notes.md").write_text("mine\n"))

    def push(self, folder: Path, change: Callable[[Path], object]) -> str:
        """Commit and push a change of a clone as the learner does, and return the commit. The clone
        is removed afterwards.
        """
        clone = self.learner(folder)
        change(clone)
        self.run("git", "add", "--all", cwd=clone)
        self.run("git", "commit", "--quiet", "--message", "Change it", cwd=clone)
        self.run("git", "push", "--quiet", cwd=clone)
        shutil.rmtree(clone)
        return self.head()

    def head(self) -> str:
        """Return the commit of the learner's branch main on the Git server."""
        return run(["git", "rev-parse", "refs/heads/main"], cwd=self.bare).stdout.strip()

    def reset_repository(self, head: str) -> None:
        """Put the learner's repository and clone back to a commit that they had."""
        work = Path(self.settings.work_dir)
        known = run(["git", "cat-file", "-e", head], cwd=self.bare, check=False).returncode == 0
        if not known:
            # The test made the lab anew, and with it another repository.
            return
        if self.head() != head:
            run(["git", "update-ref", "refs/heads/main", head], cwd=self.bare)
        run(["git", "fetch", "--quiet", "--force", "origin"], cwd=work, check=False)
        run(["git", "reset", "--quiet", "--hard", head], cwd=work)
        run(["git", "clean", "-qfd"], cwd=work)

    @property
    def bare(self) -> Path:
        """The learner's repository as the Git server keeps it."""
        return (
            Path(self.settings.git_dir) / "repositories" / f"{self.settings.learner_repository}.git"
        )

    def traces(self) -> list[str]:
        """Return what the lab has in Docker and in the firewall."""
        found = self.rules()
        for kind in ("container", "network", "volume"):
            names = "{{.Names}}" if kind == "container" else "{{.Name}}"
            more = ["--all"] if kind == "container" else []
            listing = run(["docker", kind, "ls", *more, "--format", names]).stdout.split()
            found += [f"{kind} {name}" for name in listing if self.name in name]
        return found

    def remove(self) -> None:
        """Take the lab down and remove what it keeps; the store stays."""
        # A lab that does not exist needs no `down`: a run of all tests would have dozens of them.
        if Path(self.settings.lab_dir).exists() or self.traces():
            self.sopslab("down", check=False)
        shutil.rmtree(self.settings.lab_dir, ignore_errors=True)

    def purge(self) -> None:
        """Take the lab down for ever, as its owner does, but keep the store: it would go with the
        last lab of a root, so another lab's folder is there meanwhile."""
        other = Path(self.settings.lab_dir).with_name(lab_name("keeps-the-store"))
        other.mkdir(exist_ok=True)
        try:
            self.sopslab("down", "--purge", "--yes", "--json")
        finally:
            other.rmdir()

    @contextmanager
    def made(self, **more: Any) -> Iterator[Lab]:
        """Make the lab from nothing for the block, and remove it afterwards.

        + more: arguments of `up`, such as variables
        """
        self.remove()
        try:
            self.up(**more)
            yield self
        finally:
            self.remove()


def _digest(value: bytes) -> str:
    return hashlib.sha256(value.strip()).hexdigest()


def as_root(*argv: str) -> list[str]:
    """Return the command that runs `argv` as root."""
    return list(argv) if os.geteuid() == 0 else ["sudo", "-n", *argv]


def run(
    argv: Sequence[str],
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
    stdin: str | None = None,
    umask: int = -1,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, for 15 minutes at most, and fail with what it printed."""
    done = subprocess.run(
        list(argv), env=env, cwd=cwd, input=stdin if stdin is not None else "",
        capture_output=True, text=True, timeout=900, check=False, umask=umask,
    )  # fmt: skip
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done


def secrets_of(lab: Lab) -> dict[str, bytes]:
    """Return every value that must be seen nowhere, by a name that may be seen."""
    top = Path(lab.settings.lab_dir)
    found = {
        str(path.relative_to(top)): path.read_bytes().strip()
        for path in (
            *(top / "git" / "credentials").glob("*/password"),
            top / "git" / "receiver" / "token",
        )
    }
    for path in (top / "keys").glob("*.agekey"):
        (identity,) = [
            line for line in path.read_bytes().splitlines() if line.startswith(b"AGE-SECRET-KEY-")
        ]
        found[path.name] = identity
    value = lab.kubectl(
        "-n", "develop", "get", "secret", "lab-canary", "-o", "jsonpath={.data.value}"
    )
    found["canary"] = base64.b64decode(value).strip()
    config = json.loads(lab.run("kubectl", "config", "view", "--raw", "--output", "json").stdout)
    found["client key"] = config["users"][0]["user"]["client-key-data"].encode()
    # Of the same in PEM, a line that no other key has.
    found["client key in PEM"] = base64.b64decode(found["client key"]).splitlines()[1]
    return found
