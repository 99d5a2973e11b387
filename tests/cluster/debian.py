"""Machines with a Debian of their own: containers that can have a Docker engine of their own.

No image is pulled for them. The root file system comes from Debian packages, through the mirror
that this machine's apt uses, and Python packages come through the index that its pip uses.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sopslab.layout import PROJECT
from tests.cluster.lab import as_root, run
from tests.package import tracked

# The packages of Docker's engine and client in each release.
ENGINE = {"bookworm": ["docker.io"], "trixie": ["docker.io", "docker-cli"]}

_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP = {"index-url", "extra-index-url", "trusted-host", "default-timeout"}


@dataclass(frozen=True)
class Machine:
    """A machine that has only what it was made with."""

    container: str

    def run(
        self, *argv: str, check: bool = True, cwd: str = "/root", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there as root to its end, for 15 minutes at most."""
        # Variables are passed by their names only: the URL of an index may hold a password.
        given = {**environment, **_index()}
        names = [word for name in given for word in ("--env", name)]
        command = ["docker", "exec", "--workdir", cwd, *names, self.container, *argv]
        return run(command, env={**os.environ, **given}, check=check)

    def copy_in(self, folder: Path, target: str, *members: str) -> None:
        """Copy the members of a folder, by default all, to a folder there, with their times."""
        self.run("mkdir", "-p", target)
        archive = ["tar", "--format=posix", "--directory", str(folder), "--create", "--"]
        with subprocess.Popen([*archive, *(members or ["."])], stdout=subprocess.PIPE) as packed:
            unpack = ["tar", "--directory", target, "--extract", "--no-same-owner"]
            subprocess.run(
                ["docker", "exec", "--interactive", self.container, *unpack],
                stdin=packed.stdout, check=True, timeout=600,
            )  # fmt: skip
        assert packed.returncode == 0

    def copy_checkout(self, target: str) -> None:
        """Copy this project there, with what is not committed yet, but without what Git ignores."""
        self.copy_in(PROJECT, target, *tracked())


@contextmanager
def machine(suite: str, *packages: str) -> Iterator[Machine]:
    """Yield a machine with a release of Debian, such as `bookworm`: its smallest set of packages,
    and these besides. The machine is removed afterwards."""
    rootfs = root_file_system(suite, *packages)
    name = f"sops-lab-machine-{uuid.uuid4().hex[:8]}"
    try:
        with rootfs.open("rb") as file:
            subprocess.run(
                ["docker", "import", "-", f"{name}:latest"],
                stdin=file, stdout=subprocess.DEVNULL, check=True, timeout=300,
            )  # fmt: skip
        # An engine's layers cannot lie on the layers of a container, so the engine has a volume.
        run([
            "docker", "run", "--detach", "--name", name, "--init", "--privileged",
            "--volume", "/var/lib/docker", "--tmpfs", "/run:exec", "--tmpfs", "/tmp:exec",
            "--env", "LC_ALL=C.UTF-8", name, "sleep", "infinity",
        ])  # fmt: skip
        found = Machine(name)
        found.copy_in(_AUTHORITIES.parent, "/etc/index", _AUTHORITIES.name)
        yield found
    finally:
        run(["docker", "rm", "--force", "--volumes", name], check=False)
        run(["docker", "rmi", name], check=False)


def root_file_system(suite: str, *packages: str) -> Path:
    """Return an archive of a release of Debian: its smallest set of packages, and these besides.
    The archive is kept below build/."""
    key = hashlib.sha256(shlex.join(sorted(packages)).encode()).hexdigest()[:12]
    target = PROJECT / "build" / "machines" / f"{suite}-{key}.tar"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_suffix(f".{os.getpid()}")
        run(
            as_root(
                "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=tar",
                f"--include={','.join(('ca-certificates', *packages))}",
                "--aptopt=APT::Install-Recommends false", "--dpkgopt=force-unsafe-io",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                suite, str(new), f"deb {_mirror()} {suite} main",
            )
        )  # fmt: skip
        new.replace(target)
    return target


def _mirror() -> str:
    """Return the mirror from which this machine's apt gets the packages of its own release."""
    targets = ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", "Identifier: Packages"]
    lines = [line.split() for line in run(targets).stdout.splitlines()]
    return next(site for site, codename in lines if "-" not in codename)


def _index() -> dict[str, str]:
    """Return the variables with which pip uses the same index as on this machine."""
    told = run([sys.executable, "-m", "pip", "config", "list"]).stdout.splitlines()
    pairs = (line.partition("=") for line in told)
    options = {name.rpartition(".")[2]: value for name, _, value in pairs}
    found = {name: value.strip("'") for name, value in options.items() if name in _PIP}
    return {f"PIP_{name.upper().replace('-', '_')}": value for name, value in found.items()} | {
        "PIP_CERT": f"/etc/index/{_AUTHORITIES.name}"
    }
