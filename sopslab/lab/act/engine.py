"""Set up the Docker engine for a lab: the lab's runtime in front of runc, and who may use the
engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from sopslab.errors import LabError
from sopslab.lab.tools import files
from sopslab.lab.tools.docker import try_docker
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed, run
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.engine import GROUP

# Where a distribution has its Python.
_SYSTEM_PATH = "/usr/bin:/bin:/usr/local/bin"
_PATIENCE_S = 5
# For what is asked only once, perhaps of an engine that has just been started.
_LONG_PATIENCE_S = 20


def put_runtime_in_front(wrapper: str, runtime: str, path: str, config: str, pid_file: str) -> None:
    """Make a runtime of the lab the engine's default.

    + wrapper: the program, in Python
    + runtime: its name
    + path: where the program is put
    + config: the engine's configuration
    + pid_file: where the engine says which process it is
    """
    for file in (path, config):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    files.write(path, _runnable(wrapper), 0o755)
    before = (files.read(config) or b"").decode()
    files.write(config, with_runtime(before, runtime, path, config), 0o644)
    pid = (files.read(pid_file) or b"").decode().strip()
    if pid:
        with suppress(ValueError, OSError):
            # Runtimes are among what dockerd reads again on SIGHUP; running containers go on.
            os.kill(int(pid), signal.SIGHUP)


def _runnable(program: str) -> str:
    """Return a program with a first line that starts the machine's own Python: Docker needs the
    program for longer than the present virtual environment exists."""
    python = shutil.which("python3", path=_SYSTEM_PATH) or os.path.realpath(sys.executable)
    return re.sub(r"\A#!\S+", f"#!{python}", program)


def with_runtime(configured: str, runtime: str, path: str, config: str) -> str:
    """Return an engine's configuration in which a runtime is the default one.

    Raises LabError if another runtime is the default already, or if the text is not a
    configuration.

    + configured: the present configuration
    + config: the file with the configuration
    """
    try:
        known = json.loads(configured.strip() or "{}")
        other = known.get("default-runtime") or runtime
        runtimes = known.get("runtimes") or {}
        known |= {
            "default-runtime": runtime,
            "runtimes": {**runtimes, runtime: {**runtimes.get(runtime, {}), "path": path}},
        }
    except (ValueError, AttributeError, TypeError):
        raise LabError(f"{config} is not understood: it has to be one object in JSON") from None
    if other != runtime:
        raise LabError(
            f"{config} names the default runtime {other}, and kind needs {runtime} here: remove"
            " that line"
        )
    return json.dumps(known, indent=2, ensure_ascii=False) + "\n"


def await_answer(seconds: int) -> None:
    """Return when the engine that DOCKER_HOST names answers. Raises LabError if it does not.

    + seconds: how long it is waited for
    """
    if not wait_until(_answers, seconds):
        raise LabError(
            "Docker is unavailable: nothing answers at DOCKER_HOST; start that engine, or unset"
            " DOCKER_HOST to use the one of this machine"
        )


def _answers(patience: float = _PATIENCE_S) -> bool:
    return try_docker("version", patience=patience).code == 0


def admit(user: str, uid: int, socket: str, join: bool) -> None:
    """Let a user talk to the engine from now on, by an entry in the access control list of its
    socket, which is gone when the engine makes the socket anew. Raises LabError if that fails. If
    the user cannot join the group, only the log says so: the entry suffices for this login.

    + uid: the user's number
    + socket: where the engine listens
    + join: add the user to the engine's group, too, which counts from the next login on
    """
    if join:
        try:
            # Unlike usermod, it takes users who are not in /etc/passwd, such as those of LDAP.
            run(["gpasswd", "-a", user, GROUP], os.environ)
        except Failed as failure:
            log(failure.words)
    try:
        files.admit(socket, uid)
    except OSError:
        raise LabError(
            f"{user} could not be given access to {socket}: run `sudo gpasswd -a {user} {GROUP}`,"
            " log in again, and run this again"
        ) from None


def check_use(user: str) -> None:
    """Raise LabError if the engine, which runs, does not answer the user who asks.

    + user: the user's name
    """
    if not _answers(_LONG_PATIENCE_S):
        raise LabError(
            f"Docker runs now, and does not answer {user}: `docker version` says why; mend that and"
            " run this again"
        )
