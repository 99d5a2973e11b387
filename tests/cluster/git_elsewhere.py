"""A Git server that is not ours: it knows one password, and none of our hooks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt

from sopslab.config.job import free_port
from tests.cluster.lab import lab_name, run
from tests.cluster.neighbour import address_of_this_machine

CONFIGURATION = """
server.modules = ( "mod_auth", "mod_authn_file", "mod_setenv", "mod_alias", "mod_cgi" )
server.document-root = "/srv/git"
server.port = 8080
server.errorlog = "/dev/stderr"
server.upload-dirs = ( "/tmp" )
server.stream-request-body = 0
auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "/srv/git/htpasswd"
auth.require = ( "" => ( "method" => "basic", "realm" => "other", "require" => "valid-user" ) )
alias.url = ( "/" => "/usr/lib/git-core/git-http-backend/" )
cgi.assign = ( "" => "" )
setenv.set-environment = ( "GIT_PROJECT_ROOT" => "/srv/git", "GIT_HTTP_EXPORT_ALL" => "" )
"""
USER, PASSWORD = "class", "a password: of / theirs"
SERVER = lab_name("other-git-server")


@contextmanager
def git_server(folder: Path, image: str) -> Iterator[str]:
    """Serve the empty repositories of a lab from a folder, and yield the URL above them.

    It listens on an address of this machine that the nodes of any cluster here reach.
    """
    for name in ("learner/lab.git", "platform.git"):
        run(["git", "-c", "init.defaultBranch=main", "init", "-q", "--bare", str(folder / name)])
    (folder / "lighttpd.conf").write_text(CONFIGURATION)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=5)).decode()
    (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
    port, address = free_port(), address_of_this_machine()
    run(["docker", "rm", "--force", SERVER], check=False)
    run(
        [
            "docker", "run", "--detach", "--name", SERVER, "--publish", f"{address}:{port}:8080",
            "--user", f"{os.getuid()}:{os.getgid()}", "--volume", f"{folder}:/srv/git",
            "--entrypoint", "/usr/sbin/lighttpd", image, "-D", "-f", "/srv/git/lighttpd.conf",
        ]
    )  # fmt: skip
    try:
        yield f"http://{address}:{port}"
    finally:
        run(["docker", "rm", "--force", SERVER])
