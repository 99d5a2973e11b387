"""The embedded Git server, in a container, and what it may read and write.

The server runs as the user who runs the lab; if that is root, as a user that nobody else is. The
files that the server reads have its group. A repository is written by the server and by the host's
own git, and each can change what the other wrote, because of core.sharedRepository and because the
folders hand on their group. The server can write nothing else, and the passwords themselves are not
in its container. It is not started until all of this is so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from sopslab.config.naming import git_server_name, network_name
from sopslab.config.places import GIT_SERVER_PORT, GIT_SERVER_USER, Lab
from sopslab.errors import LabError
from sopslab.lab.observe.server import answer
from sopslab.lab.tools.docker import container_log, docker
from sopslab.lab.tools.git import Git
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.results import Undecided

_PATIENCE = 60  # seconds, since a machine at work takes long to start a container
_FOLDERS = ("access", "credentials", "receiver", "recipients", "repositories", "rows", "tls")
# These folders hand on their group: the server has to read what is put there while it runs, too.
_HANDED_ON = ("access", "rows")


def serve(lab: Lab, image: str, label: str) -> None:
    """Start the server anew. Raises LabError if it does not answer, and Failed.

    + image: the server's image
    + label: the label that tells later what the server was started with
    """
    container = git_server_name(lab.lab)
    with suppress(Failed):
        docker("rm", "--force", "--volumes", container)
    user, group = (os.geteuid(), os.getegid()) if os.geteuid() else (GIT_SERVER_USER,) * 2
    prepare(lab, group)
    options = options_for(lab, user, group, len(os.sched_getaffinity(0)))
    docker(
        "run", "--detach", "--name", container, "--label", label, *options,
        image, "-m", "sopslab.gitserver", "/srv/git", str(GIT_SERVER_PORT),
        *(["/srv/git/tls/server.pem"] if lab.networked else []),
        patience=120,
    )  # fmt: skip
    if wait_until(lambda: answer(lab, f"{lab.git_base_url}/") is not None, _PATIENCE, pause=0.1):
        return
    with suppress(Undecided):
        log(container_log(container, 5))
    raise LabError(
        f"the Git server did not answer at {lab.git_address}:{lab.git_port} within {_PATIENCE} s"
    )


def options_for(lab: Lab, user: int, group: int, processors: int) -> list[str]:
    """Return the options that the server's container is started with."""
    data = lab.git_dir
    return [
        "--network", network_name(lab.lab), "--restart", "unless-stopped",
        "--publish", f"{lab.git_published}:{lab.git_port}:{GIT_SERVER_PORT}",
        "--user", f"{user}:{group}",
        "--read-only", "--tmpfs", "/tmp:mode=1777,size=192m",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        # Under SELinux, a container may not read files that are labelled as a user's, and these
        # keep their labels.
        "--security-opt", "label=disable",
        # Three quarters of the processors.
        "--memory", "768m", "--cpus", f"{processors * 0.75:.2f}", "--pids-limit", "512",
        "--log-opt", "max-size=1m",
        "--volume", f"{data}:/srv/git:ro",
        "--volume", f"{data}/repositories:/srv/git/repositories",
        "--tmpfs", "/srv/git/credentials:ro,size=4k,mode=0",
        "--env", "PYTHONPATH=/srv/git/policy", "--env", "PYTHONPYCACHEPREFIX=/tmp/bytecode",
        "--entrypoint", "/usr/bin/python3",
    ]  # fmt: skip


def prepare(lab: Lab, group: int) -> None:
    """Give what the server reads and writes, and nothing else, to its group."""
    data = Path(lab.git_dir)
    for name in _FOLDERS:
        (data / name).mkdir(parents=True, exist_ok=True)
    _give(data, group, lambda _: stat.S_ISGID | 0o750)
    _give(data / "htpasswd", group, lambda _: 0o640)
    for name in ("receiver", "tls"):
        for path in _all(data / name):
            _give(path, group, _to_read)
    for name in _HANDED_ON:
        for path in _all(data / name):
            # A board may be replacing files there.
            with suppress(FileNotFoundError):
                _give(path, group, _to_hand_on)
    repositories = data / "repositories"
    for path in _all(repositories):
        _give(path, group, _to_write)
    for folder in (repositories, *repositories.iterdir()):
        # A learner who pushes to a repository must not be able to make others beside it.
        if folder.is_dir() and not folder.is_symlink() and folder.suffix != ".git":
            _give(folder, group, lambda mode: stat.S_IMODE(mode) & ~stat.S_IWGRP)
    for config in (*repositories.glob("*.git/config"), *repositories.glob("*/*.git/config")):
        if b"sharedrepository" not in config.read_bytes().lower():
            Git(lab, config.parent).run("config", "core.sharedRepository", "group")


def _all(folder: Path) -> Iterator[Path]:
    yield folder
    for path, folders, files in os.walk(folder):
        yield from (Path(path, name) for name in (*folders, *files))


def _give(path: Path, group: int, permitted: Callable[[int], int]) -> None:
    """Give a file or folder to a group, with the mode that `permitted` makes of its present one. A
    link has no mode of its own, and what it leads to is left alone."""
    status = path.lstat()
    if status.st_gid != group:
        os.chown(path, -1, group, follow_symlinks=False)
    mode = permitted(status.st_mode)
    if not stat.S_ISLNK(status.st_mode) and stat.S_IMODE(path.lstat().st_mode) != mode:
        path.chmod(mode)


def _to_read(mode: int) -> int:
    handed_on = stat.S_IMODE(mode) & stat.S_ISGID if stat.S_ISDIR(mode) else 0
    return handed_on | (0o750 if mode & 0o111 else 0o640)


def _to_hand_on(mode: int) -> int:
    return stat.S_ISGID | 0o750 if stat.S_ISDIR(mode) else 0o640


def _to_write(mode: int) -> int:
    user = mode & stat.S_IRWXU
    return (stat.S_ISGID if stat.S_ISDIR(mode) else 0) | user | user >> 3
