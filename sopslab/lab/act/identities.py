"""Age identities of the lab's key store. None is ever overwritten, because each exists only
once."""

from __future__ import annotations

import time
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import told
from sopslab.lab.observe.keys import PublicKeys, key_files, look_at_cluster_key
from sopslab.lab.tools import files, sops
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.layout import KEY_SECRET

# The options of age-keygen for an identity of each kind.
_OPTIONS = {"x25519": (), "pq": ("-pq",)}
_IDENTITY, _RECIPIENT = ".agekey", ".pub"


def generate(lab: Lab, kind: str, paths: list[str]) -> None:
    """Make a new identity at each of the paths, which are in one folder. The identities are on the
    disk when this returns.

    + kind: `x25519` or `pq`
    """
    folder = Path(paths[0]).parent
    files.private_folder(folder)
    folder.chmod(0o700)
    names = [Path(path).name for path in paths]
    made = [_new_identity(lab, kind, path) for path in paths]
    recipients = sops.recipients(lab, b"".join(made))
    with files.new_folder(paths[0]) as new:
        for name, identity, recipient in zip(names, made, recipients, strict=True):
            files.write(new / f"{name}{_IDENTITY}", identity)
            files.sync(new / f"{name}{_IDENTITY}")
            files.write(new / f"{name}{_RECIPIENT}", f"{recipient}\n")
        # A hard link is made only where no file is: no identity is ever overwritten.
        for name in names:
            (folder / f"{name}{_IDENTITY}").hardlink_to(new / f"{name}{_IDENTITY}")
        for name in names:
            (new / f"{name}{_RECIPIENT}").rename(folder / f"{name}{_RECIPIENT}")
    # The cluster gets it and secrets are encrypted to it, which a loss of power does not undo.
    for changed in (folder, folder.parent):
        files.sync(changed)


def _new_identity(lab: Lab, kind: str, path: str) -> bytes:
    try:
        return sops.new_identity(lab, *_OPTIONS[kind])
    except Failed as failure:
        raise LabError(
            f"the identity {path}{_IDENTITY} could not be made: {told(failure)}"
        ) from None


def record(lab: Lab, paths: list[str]) -> None:
    """Write down the recipient of the identity at each of the paths."""
    for path in paths:
        recipients = sops.recipients(lab, Path(f"{path}{_IDENTITY}").read_bytes())
        files.write(f"{path}{_RECIPIENT}", "".join(f"{one}\n" for one in recipients))


def recover(lab: Lab, path: str, namespace: str) -> None:
    """Write the identity with which the cluster decrypts in a namespace to a path; an identity that
    was at that path is archived. Raises LabError if the cluster has none."""
    identity = _held(lab, namespace)
    recipients = sops.recipients(lab, identity)
    files.private_folder(Path(path).parent)
    file, archived = Path(f"{path}{_IDENTITY}"), Path(path).parent / "archive"
    with files.umask(0o077), files.new_folder(file) as new:
        files.write(new / "identity", identity)
        if file.exists():
            archived.mkdir(exist_ok=True)
            stamp = time.strftime("%Y%m%dT%H%M%S")
            files.archive(file, archived / f"{Path(path).name}-{stamp}{_IDENTITY}")
        (new / "identity").rename(file)
    files.write(f"{path}{_RECIPIENT}", "".join(f"{one}\n" for one in recipients))


def _held(lab: Lab, namespace: str) -> bytes:
    data = (Kubectl(lab).get("secret", KEY_SECRET, namespace) or {}).get("data")
    entry = look_at_cluster_key(data, PublicKeys(lab)).kept
    if entry is None:
        raise LabError(f"{KEY_SECRET} in {namespace} holds no identity any more")
    return key_files(data)[entry]
