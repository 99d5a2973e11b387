"""Operations that deliver directories as a whole."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from sopslab.files.archive import Tree, digest, pack
from sopslab.lab.observe.folders import folder_digest
from sopslab.provision.command import Commands, script
from sopslab.provision.look import look_at_machine


@operation()
def tree(path: str, files: Tree) -> Commands:
    """
    Give a directory exactly these files. It is replaced by a rename, so it is never half written.

    + path: the directory on the host
    + files: the files, by their path below the directory
    """
    if look_at_machine(folder_digest, path=path) == digest(files):
        host.noop(f"{path} is up to date")
        return
    yield script(
        """
        path=$1
        mkdir -p "$(dirname "$path")"
        new=$(mktemp -d "$(dirname "$path")/.new.XXXXXX")
        trap 'rm -rf "$new"' EXIT
        mkdir -m 755 "$new/files"
        base64 -d | tar -xz -C "$new/files"
        [ ! -e "$path" ] || mv "$path" "$new/old"
        mv "$new/files" "$path"
        """,
        path,
        stdin=pack(files),
    )
